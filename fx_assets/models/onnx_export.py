"""Builds ONNX graphs: by hand where a model is a formula, from a converter where it is trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

INPUT: Final = "inputs"
OUTPUT: Final = "prediction"
OPSET: Final = 17
ML_OPSET: Final = 3
IR_VERSION: Final = 8
REGISTER: Final = 8
"""Doubles in the widest vector register."""


class Graph:
    """A graph under construction, from the input to its current ``value``.

    ``value`` is the name of the tensor computed last. Numbers and arrays among the arguments of
    :meth:`then` become double constants.

    Parameters
    ----------
    width
        Columns of the input.
    dtype
        Element type of the input: double, or float for trees.
    """

    def __init__(self, width: int, dtype: int = TensorProto.DOUBLE) -> None:
        self._input: ValueInfoProto = helper.make_tensor_value_info(INPUT, dtype, [None, width])
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self.value = INPUT

    @classmethod
    def from_converter(cls, converted: ModelProto, output: str, width: int) -> Graph:
        """Continue a graph with float input ``inputs`` made by a converter at its ``output``."""
        graph = cls(width, TensorProto.FLOAT)
        graph._nodes = list(converted.graph.node)
        graph._constants = list(converted.graph.initializer)
        graph.value = output
        return graph

    def embed(self, model: ModelProto, first: int, last: int, prefix: str) -> str:
        """What another graph of ours says of these columns of the input; the name of its output.

        ``value`` stays. ``prefix`` keeps its names apart from others.
        """
        from onnx.compose import add_prefix

        inner = add_prefix(model, prefix).graph
        start, end, axis = (self.constant([x], np.int64) for x in (first, last, 1))
        read = self.node("Slice", INPUT, start, end, axis)
        kind = inner.input[0].type.tensor_type.elem_type
        self._nodes.append(helper.make_node("Cast", [read], [inner.input[0].name], to=kind))
        self._nodes.extend(inner.node)
        self._constants.extend(inner.initializer)
        return str(inner.output[0].name)

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float64) -> str:
        """Add a constant tensor and return its name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, op: str, *inputs: str | ArrayLike, **attributes: Any) -> str:
        """Add a node and return the name of its output; ``value`` stays."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        name = f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, names, [name], **attributes))
        return name

    def then(self, op: str, *others: str | ArrayLike, **attributes: Any) -> Graph:
        """Apply ``op`` to ``value`` and ``others``."""
        self.value = self.node(op, self.value, *others, **attributes)
        return self

    def where_nan(self, fill: ArrayLike) -> Graph:
        """Replace NaN by ``fill``."""
        self.value = self.node("Where", self.node("IsNaN", self.value), fill, self.value)
        return self

    def clip(self, lowest: float, highest: float) -> Graph:
        """Limit ``value``."""
        return self.then("Clip", lowest, highest)

    def fill_rows(self, value: float) -> Graph:
        """The same value for every row."""
        rows = self.node("Shape", INPUT, start=0, end=1)
        self.value = self.node("Expand", value, rows)
        return self

    def column(self, index: int) -> Graph:
        """One column of a two-dimensional ``value`` as a vector of doubles."""
        self.then("Gather", self.constant(index, np.int64), axis=1)
        return self.then("Cast", to=TensorProto.DOUBLE)

    def function(self, op: str) -> Graph:
        """Apply a transcendental function so that a row's result ignores how many rows there are.

        ONNX Runtime computes full vector registers and the remainder by different code, which
        differ in the last bit. Copies of the rows leave no remainder.
        """
        copies = self.node("Concat", *[self.value] * REGISTER, axis=0)
        rows = self.node("Shape", self.value, start=0, end=1)
        start, axis = self.constant([0], np.int64), self.constant([0], np.int64)
        self.value = self.node("Slice", self.node(op, copies), start, rows, axis)
        return self

    def recurrent(
        self,
        op: str,
        *,
        steps: int,
        last: int,
        weights: ArrayLike,
        recurrence: ArrayLike,
        bias: ArrayLike,
    ) -> Graph:
        """Run a recurrent layer over rows that hold ``steps`` bars; the newest bar's state.

        Parameters
        ----------
        op
            ``LSTM``; its gates are in ONNX's order, and it computes in single precision.
        steps, last
            Bars in a row, the newest last, and how many of the newest are read.
        weights, recurrence, bias
            (4h, p), (4h, h) and (8h,): the two biases one after the other.
        """
        hidden = np.shape(recurrence)[1]
        shape = self.constant([0, steps, np.shape(weights)[1]], np.int64)
        self.then("Cast", to=TensorProto.FLOAT).then("Reshape", shape)
        start, end, axis = (self.constant([x], np.int64) for x in (steps - last, steps, 1))
        self.then("Slice", start, end, axis).then("Transpose", perm=[1, 0, 2])
        layers = [
            self.constant(np.asarray(x)[None], np.float32) for x in (weights, recurrence, bias)
        ]
        self.then(op, *layers, hidden_size=hidden)
        self.then("Gather", self.constant(-1, np.int64), axis=0)
        self.then("Squeeze", self.constant([0], np.int64))
        return self.then("Cast", to=TensorProto.DOUBLE)

    def dot(self, weights: ArrayLike) -> Graph:
        """Product of the rows of ``value`` with a vector."""
        return self.then("MatMul", weights)

    def to_bytes(self, metadata: Mapping[str, str], columns: int | None = None) -> bytes:
        """Serialize, with ``value`` as the output: a vector, or a matrix of so many columns."""
        shape = [None] if columns is None else [None, columns]
        output = helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, shape)
        nodes = [*self._nodes, helper.make_node("Identity", [self.value], [OUTPUT])]
        graph = helper.make_graph(nodes, "fx_assets", [self._input], [output], self._constants)
        model = helper.make_model(
            graph,
            producer_name="fx-assets",
            ir_version=IR_VERSION,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                helper.make_opsetid("ai.onnx.ml", ML_OPSET),
            ],
        )
        helper.set_model_props(model, dict(metadata))
        serialized: bytes = model.SerializeToString(deterministic=True)
        return serialized
