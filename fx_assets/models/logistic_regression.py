"""Logistic regression on standardised features, ridge-penalised."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from fx_assets.models._linear import StandardisedLinear
from fx_assets.models.base import FloatArray, Params, up_share
from fx_assets.specs.tuning import Range, Space

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph


class LogisticParams(Params):
    C: PositiveFloat = 0.01
    """Inverse strength of the ridge penalty, above 0; smaller shrinks more."""
    max_iter: PositiveInt = 1000
    """Most iterations of the optimiser, at least 1."""


class LogisticRegression(StandardisedLinear[LogisticParams]):
    """P(up) as the logistic function of a linear score.

    Rows that all went one way give the constant share, smoothed by one count of each kind.
    """

    name = "logistic_regression"
    targets = ("binary",)
    params_type = LogisticParams
    search_space: ClassVar[Space] = {"C": Range(low=1e-4, high=1.0, log=True)}

    def _solve(self, Z: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
        if y.min() == y.max():
            share = up_share(y)
            return np.zeros(Z.shape[1]), math.log(share / (1 - share))
        from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

        fitted = SklearnLogisticRegression(C=self.settings.C, max_iter=self.settings.max_iter)
        fitted.fit(Z, y)
        return fitted.coef_[0], float(fitted.intercept_[0])

    def _predict(self, X: FloatArray) -> FloatArray:
        return 0.5 * (1 + np.tanh(0.5 * super()._predict(X)))

    def _graph(self) -> Graph:
        return super()._graph().function("Sigmoid")
