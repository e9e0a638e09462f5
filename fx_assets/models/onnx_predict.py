"""Predicts from an ONNX graph: what live predictions and the server run. Loads no training code."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike

from fx_assets.errors import RegistryError
from fx_assets.models.base import FloatArray, Model
from fx_assets.targets import TargetDefinition

_REMEDY = "Export the model again with Model.to_onnx, or restore the file from the registry."
_DTYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32}


class OnnxModel:
    """A fitted model read from the bytes of ``Model.to_onnx``; safe to share between threads.

    Attributes
    ----------
    metadata
        The graph's metadata: family, target, horizon, params, seed, columns and the caller's.
    columns
        Names of the input columns in order; empty when the export did not name them.
    width
        Number of input columns.

    Raises
    ------
    RegistryError
        The bytes are not such a graph.
    """

    def __init__(self, content: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            (inputs,), (output,) = self._session.get_inputs(), self._session.get_outputs()
            self._input, self._outputs = inputs.name, [output.name]
            self._dtype = _DTYPES[inputs.type]
            self.width = int(inputs.shape[1])
            self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
            self.columns: tuple[str, ...] = tuple(json.loads(self.metadata["columns"]))
        except Exception as error:
            raise RegistryError(
                f"{len(content)} bytes are not the ONNX graph of a model: {error}", remedy=_REMEDY
            ) from error

    @property
    def family(self) -> str:
        """The model's family."""
        return self.metadata["family"]

    def predict(self, X: ArrayLike) -> FloatArray:
        """(n, width) inputs to (n,) predictions; NaN and infinite inputs are legal.

        Raises
        ------
        RegistryError
            The rows have another width than the graph's input.
        """
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.width:
            raise RegistryError(
                f"Inputs of shape {X.shape}, but the {self.family} graph reads (n, {self.width}).",
                remedy=f"Give the columns {', '.join(self.columns) or 'of the fit'} in this order.",
            )
        if not len(X):
            return np.empty(0)
        if X.dtype != self._dtype:
            with np.errstate(over="ignore"):
                X = X.astype(self._dtype)
        return np.asarray(self._session.run(self._outputs, {self._input: X})[0], np.float64)


def parity(model: Model[Any], content: bytes, X: ArrayLike) -> float:
    """Largest difference between a fitted object and its graph on the rows of ``X``.

    Absolute for probabilities and returns, relative for sizes such as variances; infinite if either
    is not finite. At most ``model.onnx_tolerance`` for a faithful export.
    """
    said = model.predict(X)
    return difference(model.target.definition, said, OnnxModel(content).predict(X))


def difference(target: TargetDefinition, expected: FloatArray, found: FloatArray) -> float:
    """The largest difference by which :func:`parity` measures two sets of predictions."""
    if not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return float("inf")
    return float(target.gap(expected, found).max(initial=0.0))
