"""A model family: linear, and less sure of itself than its fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fx_assets.models import FEATURES, Model, Params

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

Floats = NDArray[np.float64]


class DampedRidgeParams(Params):
    strength: float = Field(default=100.0, gt=0)
    """Penalty on the slopes, above 0."""


class DampedRidge(Model[DampedRidgeParams]):
    """Ridge regression of returns whose slopes are halved."""

    name = "damped_ridge"
    targets = ("return",)
    inputs = FEATURES
    params_type = DampedRidgeParams

    def _fit(self, X: Floats, y: Floats) -> None:
        Z = self._filled(X)
        penalty = self.settings.strength * np.eye(Z.shape[1])
        self.mean_ = float(y.mean())
        self.coef_ = 0.5 * np.linalg.solve(Z.T @ Z + penalty, Z.T @ (y - self.mean_))

    def _filled(self, X: Floats) -> Floats:
        return np.clip(np.where(np.isnan(X), 0.0, X), -10.0, 10.0)

    def _predict(self, X: Floats) -> Floats:
        prediction: Floats = (self._filled(X) * self.coef_).sum(axis=1) + self.mean_
        return prediction

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        graph = Graph(len(self.coef_)).where_nan(np.zeros(len(self.coef_))).clip(-10.0, 10.0)
        return graph.dot(self.coef_).then("Add", self.mean_)
