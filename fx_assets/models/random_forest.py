"""Random forest (Breiman, 2001): shallow trees with large leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, PositiveInt

from fx_assets.models.base import FEATURES, INPUT_LIMIT, FloatArray, Model, Params, up_share

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


class RandomForest(Model[ForestParams]):
    """P(up) as the mean share of up moves in the leaves that a row falls into.

    NaN becomes the training median. Rows that all went one way give the constant share, smoothed
    by one count of each kind.

    Attributes
    ----------
    constant_
        The share where all training rows went one way, else None.
    pipeline_
        The fitted scikit-learn pipeline, or None.
    """

    inputs = FEATURES
    libraries = ("scikit-learn",)
    params_type = ForestParams
    onnx_tolerance = 1e-5

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        self.constant_ = up_share(y) if y.min() == y.max() else None
        self.pipeline_ = None
        if self.constant_ is None:
            self.pipeline_ = make_pipeline(
                SimpleImputer(strategy="median", keep_empty_features=True),
                RandomForestClassifier(
                    **self.params, max_features="sqrt", n_jobs=1, random_state=self.seed
                ),
            ).fit(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT), y)

    def _predict(self, X: FloatArray) -> FloatArray:
        if self.pipeline_ is None:
            return np.full(len(X), self.constant_)
        probabilities = self.pipeline_.predict_proba(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT))
        up: FloatArray = probabilities[:, 1]
        return up

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import INPUT, ML_OPSET, OPSET, Graph

        if self.constant_ is not None:
            return Graph(self.n_features_in_).fill_rows(self.constant_)
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        converted = convert_sklearn(
            self.pipeline_,
            initial_types=[(INPUT, FloatTensorType([None, self.n_features_in_]))],
            options={"zipmap": False},
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
        )
        probabilities = converted.graph.output[1].name
        return Graph.from_converter(converted, probabilities, self.n_features_in_).column(1)

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """Shares of the total decrease of impurity."""
        if self.pipeline_ is None:
            return dict.fromkeys(names, 0.0)
        importances = self.pipeline_[-1].feature_importances_
        return dict(zip(names, importances.tolist(), strict=True))


MODEL = RandomForest
