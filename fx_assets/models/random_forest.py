"""Random forest (Breiman, 2001): shallow trees with large leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from fx_assets.models._trees import Trees
from fx_assets.models.base import FloatArray, Params
from fx_assets.specs.tuning import Range, Space

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph


class ForestParams(Params):
    n_estimators: PositiveInt = 60
    """Number of trees, at least 1."""
    max_depth: PositiveInt = 5
    """Largest depth of a tree, at least 1."""
    min_samples_leaf: PositiveInt = 50
    """Fewest training rows in a leaf, at least 1."""
    max_samples: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the training rows that each tree draws, above 0 and at most 1."""


class RandomForest(Trees[ForestParams]):
    """The mean target in the leaves that a row falls into: P(up), mean return or mean variance.

    NaN becomes the training median.
    """

    name = "random_forest"
    targets = ("binary", "real", "positive")
    libraries = ("scikit-learn",)
    params_type = ForestParams
    search_space: ClassVar[Space] = {
        "max_depth": Range(low=2, high=8),
        "min_samples_leaf": Range(low=20, high=400, log=True),
        "max_samples": [0.1, 0.25, 0.5],
    }

    def _grow(self, X: FloatArray, y: FloatArray) -> Any:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        kind = RandomForestClassifier if self.classifies else RandomForestRegressor
        drawn = {"max_samples": max(1, round(self.settings.max_samples * len(y)))}
        forest = kind(**self.params | drawn, max_features="sqrt", n_jobs=1, random_state=self.seed)
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        return make_pipeline(imputer, forest).fit(X, y)

    def _say(self, X: FloatArray) -> FloatArray:
        if self.classifies:
            up: FloatArray = self.trees_.predict_proba(X)[:, 1]
            return up
        return np.asarray(self.trees_.predict(X), dtype=np.float64)

    def _trees_graph(self) -> Graph:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        from fx_assets.models.onnx_export import INPUT, ML_OPSET, OPSET, Graph

        converted = convert_sklearn(
            self.trees_,
            initial_types=[(INPUT, FloatTensorType([None, self.n_features_in_]))],
            options={"zipmap": False} if self.classifies else None,
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
        )
        output = converted.graph.output[-1].name
        graph = Graph.from_converter(converted, output, self.n_features_in_)
        return graph.column(1 if self.classifies else 0)

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """Shares of the total decrease of impurity."""
        if self.trees_ is None:
            return dict.fromkeys(names, 0.0)
        importances = self.trees_[-1].feature_importances_
        return dict(zip(names, importances.tolist(), strict=True))
