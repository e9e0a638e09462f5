"""What the families of trees share: targets in units of their spread, and constants."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fx_assets.models.base import FEATURES, INPUT_LIMIT, FloatArray, Model, P, up_share
from fx_assets.specs.forecast import TargetSpec

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

SMALLEST_VARIANCE: Final = 1e-6
"""Floor of training variances, as a share of their mean: the gamma likelihood needs one."""

_TOLERANCES: Final = {"binary": 1e-5, "real": 1e-7, "positive": 1e-5}


class Trees(Model[P]):
    """Trees on standardised returns, or on variances divided by their mean.

    A constant training target gives that constant (for direction its share, smoothed by one count
    of each kind).

    Attributes
    ----------
    constant_
        The prediction where the training target was constant, else None.
    trees_
        The fitted trees, or None.
    offset_, scale_
        The prediction is ``offset_ + scale_ *`` that of the trees.
    """

    inputs = FEATURES
    trees_: Any
    constant_: float | None

    def __init__(self, *, target: TargetSpec, seed: int = 0, **params: Any) -> None:
        super().__init__(target=target, seed=seed, **params)
        self.onnx_tolerance = _TOLERANCES[target.definition.outcome]

    @property
    def classifies(self) -> bool:
        """Whether the outcomes are 0 and 1."""
        return self.target.definition.outcome == "binary"

    @abstractmethod
    def _grow(self, X: FloatArray, y: FloatArray) -> Any:
        """Fit trees to limited inputs and scaled targets."""

    @abstractmethod
    def _say(self, X: FloatArray) -> FloatArray:
        """What the trees predict for limited inputs, on the scale of the targets of ``_grow``."""

    @abstractmethod
    def _trees_graph(self) -> Graph:
        """The computation of ``_say``."""

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        outcome = self.target.definition.outcome
        self.offset_, self.scale_, self.constant_, self.trees_ = 0.0, 1.0, None, None
        if y.min() == y.max():
            self.constant_ = up_share(y) if self.classifies else float(y[0])
            return
        if outcome == "real":
            self.offset_, self.scale_ = float(y.mean()), float(y.std())
        elif outcome == "positive":
            self.scale_ = float(y.mean())
        scaled = (y - self.offset_) / self.scale_
        if outcome == "positive":
            scaled = np.maximum(scaled, SMALLEST_VARIANCE)
        self.trees_ = self._grow(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT), scaled)

    def _predict(self, X: FloatArray) -> FloatArray:
        if self.trees_ is None:
            return np.full(len(X), self.constant_)
        return self.offset_ + self.scale_ * self._say(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT))

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        if self.constant_ is not None:
            return Graph(self.n_features_in_).fill_rows(self.constant_)
        return self._trees_graph().then("Mul", self.scale_).then("Add", self.offset_)
