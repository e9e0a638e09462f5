"""Gradient-boosted trees (XGBoost; Chen and Guestrin, 2016): small, shrunken and subsampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from fx_assets.models._trees import Trees
from fx_assets.models.base import FloatArray, Params
from fx_assets.specs.tuning import Range, Space
from fx_assets.targets import TargetDefinition

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

OBJECTIVES: Final = {
    "binary": "binary:logistic",
    "real": "reg:squarederror",
    "positive": "reg:gamma",
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


class XGBoost(Trees[XGBoostParams]):
    """Boosted trees with the likelihood of the target.

    Direction: logistic loss. Return: squared error. Volatility: gamma deviance (QLIKE up to a
    constant) with a log link. NaN goes the way that each split has learned.
    """

    name = "xgboost"
    targets = ("binary", "real", "positive")
    libraries = ("xgboost",)
    params_type = XGBoostParams
    search_space: ClassVar[Space] = {
        "n_estimators": Range(low=50, high=300, step=50),
        "max_depth": Range(low=1, high=4),
        "learning_rate": Range(low=0.005, high=0.1, log=True),
        "min_child_weight": Range(low=10.0, high=200.0, log=True),
    }

    @classmethod
    def default_params(cls, target: TargetDefinition) -> dict[str, Any]:
        """Returns hold the least signal, and learn slowest."""
        return {"learning_rate": 0.01} if target.outcome == "real" else {}

    def _grow(self, X: FloatArray, y: FloatArray) -> Any:
        import xgboost

        params = self.params
        rounds = params.pop("n_estimators")
        fixed = {
            "objective": OBJECTIVES[self.target.definition.outcome],
            "base_score": float(y.mean()),
            "tree_method": "hist",
            "nthread": 1,
            "seed": self.seed,
            "verbosity": 0,
        }
        return xgboost.train(params | fixed, xgboost.DMatrix(X, y, nthread=1), rounds)

    def _say(self, X: FloatArray) -> FloatArray:
        return np.asarray(self.trees_.inplace_predict(X), dtype=np.float64)

    def _trees_graph(self) -> Graph:
        from onnxmltools.convert import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        from fx_assets.models.onnx_export import INPUT, Graph

        width = self.n_features_in_
        converted = convert_xgboost(
            self.trees_, initial_types=[(INPUT, FloatTensorType([None, width]))], target_opset=15
        )
        graph = Graph.from_converter(converted, converted.graph.output[-1].name, width)
        return graph.column(1 if self.classifies else 0)

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """Shares of the total gain of all splits."""
        gains = {} if self.trees_ is None else self.trees_.get_score(importance_type="total_gain")
        total = sum(gains.values()) or 1.0
        return {name: gains.get(f"f{i}", 0.0) / total for i, name in enumerate(names)}
