"""Heterogeneous autoregression of realised variance in levels (HAR-RV; Corsi, 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from fx_assets.models._har import SpanMeans, SpanParams
from fx_assets.models._window import training_returns
from fx_assets.models.base import FloatArray, row_dot
from fx_assets.specs.tuning import Range, Space

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph


class HarParams(SpanParams):
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Least variance predicted, as a share of the training variance, between 0 and 1."""


class Har(SpanMeans[HarParams]):
    """Variance per bar over the horizon, linear in the mean squared returns of three spans.

    A line in levels may fall below zero, and reaches far beyond what was seen after one large
    return. So the prediction is limited from below to a share of the training variance, and from
    above to the largest training target (the insanity filter of Swanson and White, 1997).

    Attributes
    ----------
    lowest_, highest_
        Limits of the variance over the horizon.
    """

    name = "har"
    targets = ("volatility",)
    params_type = HarParams
    search_space: ClassVar[Space] = {"floor": Range(low=0.02, high=0.5, log=True)}

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        horizon = self.target.horizon
        _, self.fill_ = training_returns(X, y, horizon)
        self.lowest_ = self.settings.floor * self.fill_ * horizon
        self.highest_ = max(float(y.max()), self.lowest_)
        # Squared returns are tiny: least squares is better conditioned in units of their mean.
        self._regress(self._means(X) / self.fill_, y / (horizon * self.fill_))
        self.coef_ = self.coef_ * horizon
        self.intercept_ *= horizon * self.fill_

    def _predict(self, X: FloatArray) -> FloatArray:
        variance = row_dot(self._means(X), self.coef_) + self.intercept_
        return np.clip(variance, self.lowest_, self.highest_)

    def _graph(self) -> Graph:
        graph = self._means_graph().dot(self.coef_).then("Add", self.intercept_)
        return graph.clip(self.lowest_, self.highest_)
