"""Gradient-boosted trees grown leaf by leaf (LightGBM; Ke et al., 2017), shrunken, subsampled."""

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

OBJECTIVES: Final = {"binary": "binary", "real": "regression", "positive": "gamma"}
LINKS: Final = {"binary": "Sigmoid", "positive": "Exp"}
_Share = Annotated[float, Field(gt=0, le=1)]


class LightGbmParams(Params):
    n_estimators: PositiveInt = 100
    """Number of trees, at least 1."""
    num_leaves: Annotated[int, Field(ge=2, le=1024)] = 4
    """Most leaves of a tree, 2 to 1024."""
    learning_rate: _Share = 0.05
    """Shrinkage of each tree, above 0 and at most 1; 0.01 by default for returns."""
    subsample: _Share = 0.8
    """Share of the rows that each tree draws, above 0 and at most 1."""
    colsample_bytree: _Share = 0.5
    """Share of the features that each tree draws, above 0 and at most 1."""
    min_child_samples: PositiveInt = 100
    """Fewest training rows in a leaf, at least 1."""
    reg_lambda: NonNegativeFloat = 10.0
    """Strength of the ridge penalty on leaves, at least 0."""


class LightGBM(Trees[LightGbmParams]):
    """Boosted trees with the likelihood of the target, each split where it gains most.

    Direction: logistic loss. Return: squared error. Volatility: gamma deviance (QLIKE up to a
    constant) with a log link. NaN goes the way that each split has learned.
    """

    name = "lightgbm"
    targets = ("binary", "real", "positive")
    libraries = ("lightgbm",)
    params_type = LightGbmParams
    search_space: ClassVar[Space] = {
        "n_estimators": Range(low=50, high=300, step=50),
        "num_leaves": Range(low=2, high=16, log=True),
        "learning_rate": Range(low=0.005, high=0.1, log=True),
        "min_child_samples": Range(low=20, high=400, log=True),
    }

    @classmethod
    def default_params(cls, target: TargetDefinition) -> dict[str, Any]:
        """Returns hold the least signal, and learn slowest."""
        return {"learning_rate": 0.01} if target.outcome == "real" else {}

    def _grow(self, X: FloatArray, y: FloatArray) -> Any:
        import lightgbm

        params = self.params
        del params["n_estimators"]
        fixed = {
            "objective": OBJECTIVES[self.target.definition.outcome],
            "subsample_freq": 1,
            "feature_pre_filter": False,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "seed": self.seed,
            "verbosity": -1,
        }
        return lightgbm.train(params | fixed, lightgbm.Dataset(X, y), self.settings.n_estimators)

    def _say(self, X: FloatArray) -> FloatArray:
        score = np.asarray(self.trees_.predict(X, raw_score=True, num_threads=1), np.float64)
        match self.target.definition.outcome:
            case "binary":
                return 0.5 * (1 + np.tanh(0.5 * score))
            case "positive":
                return np.exp(score)
            case _:
                return score

    def _trees_graph(self) -> Graph:
        from fx_assets.models._tree_nodes import lightgbm_scores
        from fx_assets.models.onnx_export import Graph

        graph = lightgbm_scores(Graph(self.n_features_in_), [self.trees_.dump_model()]).column(0)
        link = LINKS.get(self.target.definition.outcome)
        return graph.function(link) if link else graph

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """Shares of the total gain of all splits."""
        if self.trees_ is None:
            return dict.fromkeys(names, 0.0)
        gains = self.trees_.feature_importance("gain")
        return dict(zip(names, (gains / (gains.sum() or 1.0)).tolist(), strict=True))
