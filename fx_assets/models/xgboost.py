"""Gradient-boosted trees (XGBoost; Chen and Guestrin, 2016): small, shrunken and subsampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from fx_assets.models.base import FEATURES, INPUT_LIMIT, FloatArray, Model, Params, up_share
from fx_assets.specs.forecast import TargetKind, TargetSpec

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

OBJECTIVES: Final[dict[TargetKind, str]] = {
    "direction": "binary:logistic",
    "return": "reg:squarederror",
    "volatility": "reg:gamma",
}
SMALLEST_VARIANCE: Final = 1e-6
"""Floor of training variances, as a share of their mean: the gamma likelihood needs one."""

_TOLERANCES: Final[dict[TargetKind, float]] = {
    "direction": 1e-5,
    "return": 1e-7,
    "volatility": 1e-5,
}
_Share = Annotated[float, Field(gt=0, le=1)]


class XGBoostParams(Params):
    n_estimators: PositiveInt = 100
    """Number of trees, at least 1."""
    max_depth: Annotated[int, Field(ge=1, le=12)] = 2
    """Largest depth of a tree, 1 to 12."""
    learning_rate: _Share = 0.05
    """Shrinkage of each tree, above 0 and at most 1; 0.01 by default for returns."""
    subsample: _Share = 0.8
    """Share of the rows that each tree draws, above 0 and at most 1."""
    colsample_bytree: _Share = 0.5
    """Share of the features that each tree draws, above 0 and at most 1."""
    min_child_weight: NonNegativeFloat = 50.0
    """Smallest sum of second derivatives in a leaf, at least 0."""
    reg_lambda: NonNegativeFloat = 10.0
    """Strength of the ridge penalty on leaves, at least 0."""


class XGBoost(Model[XGBoostParams]):
    """Boosted trees with the likelihood of the target.

    Direction: logistic loss. Return: squared error on standardised returns. Volatility: gamma
    deviance (QLIKE up to a constant) on variances divided by their mean, with a log link. NaN goes
    the way that each split has learned. A constant training target gives that constant (for
    direction its share, smoothed by one count of each kind).

    Attributes
    ----------
    constant_
        The prediction where the training target was constant, else None.
    booster_
        The fitted trees, or None.
    offset_, scale_
        The prediction is ``offset_ + scale_ *`` the booster's.
    """

    inputs = FEATURES
    libraries = ("xgboost",)
    params_type = XGBoostParams

    def __init__(self, *, target: TargetSpec, seed: int = 0, **params: Any) -> None:
        super().__init__(target=target, seed=seed, **params)
        self.onnx_tolerance = _TOLERANCES[target.kind]

    @classmethod
    def default_params(cls, kind: TargetKind) -> dict[str, Any]:
        """Returns hold the least signal, and learn slowest."""
        return {"learning_rate": 0.01} if kind == "return" else {}

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        kind = self.target.kind
        self.offset_, self.scale_, self.constant_, self.booster_ = 0.0, 1.0, None, None
        if y.min() == y.max():
            self.constant_ = up_share(y) if kind == "direction" else float(y[0])
            return
        if kind == "return":
            self.offset_, self.scale_ = float(y.mean()), float(y.std())
        elif kind == "volatility":
            self.scale_ = float(y.mean())
        scaled = (y - self.offset_) / self.scale_
        if kind == "volatility":
            scaled = np.maximum(scaled, SMALLEST_VARIANCE)
        self.booster_ = self._boost(X, scaled)

    def _boost(self, X: FloatArray, y: FloatArray) -> Any:
        import xgboost

        params = self.params
        rounds = params.pop("n_estimators")
        fixed = {
            "objective": OBJECTIVES[self.target.kind],
            "base_score": float(y.mean()),
            "tree_method": "hist",
            "nthread": 1,
            "seed": self.seed,
            "verbosity": 0,
        }
        rows = xgboost.DMatrix(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT), y, nthread=1)
        return xgboost.train(params | fixed, rows, rounds)

    def _predict(self, X: FloatArray) -> FloatArray:
        if self.booster_ is None:
            return np.full(len(X), self.constant_)
        raw = self.booster_.inplace_predict(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT))
        return self.offset_ + self.scale_ * np.asarray(raw, dtype=np.float64)

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import INPUT, Graph

        width = self.n_features_in_
        if self.constant_ is not None:
            return Graph(width).fill_rows(self.constant_)
        from onnxmltools.convert import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        converted = convert_xgboost(
            self.booster_, initial_types=[(INPUT, FloatTensorType([None, width]))], target_opset=15
        )
        output = converted.graph.output[-1].name
        graph = Graph.from_converter(converted, output, width)
        graph.column(1 if self.target.kind == "direction" else 0)
        return graph.then("Mul", self.scale_).then("Add", self.offset_)

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """Shares of the total gain of all splits."""
        gains = (
            {} if self.booster_ is None else self.booster_.get_score(importance_type="total_gain")
        )
        total = sum(gains.values()) or 1.0
        return {name: gains.get(f"f{i}", 0.0) / total for i, name in enumerate(names)}


MODEL = XGBoost
