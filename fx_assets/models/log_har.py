"""Heterogeneous autoregression of log variance (Corsi, 2009)."""

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


class LogHarParams(SpanParams):
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Least variance under the logarithm, as a share of the training variance, between 0 and 1."""


class LogHar(SpanMeans[LogHarParams]):
    """Log variance per bar over the horizon, regressed on log mean squared returns.

    Variances below ``floor_`` count as ``floor_``, since a return of zero has no logarithm. The
    exponential is corrected by the mean exponential of the residuals (smearing; Duan, 1983), which
    needs no normal residuals.

    Attributes
    ----------
    floor_
        Least variance under the logarithm.
    smearing_
        Correction of the exponential.
    """

    name = "log_har"
    targets = ("volatility",)
    params_type = LogHarParams
    search_space: ClassVar[Space] = {"floor": Range(low=0.001, high=0.1, log=True)}

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        _, self.fill_ = training_returns(X, y, self.target.horizon)
        self.floor_ = self.settings.floor * self.fill_
        target = np.log(np.maximum(y / self.target.horizon, self.floor_))
        fitted = self._regress(self._log_means(X), target)
        self.smearing_ = float(np.mean(np.exp(target - fitted)))

    def _log_means(self, X: FloatArray) -> FloatArray:
        logs: FloatArray = np.log(np.maximum(self._means(X), self.floor_))
        return logs

    def _predict(self, X: FloatArray) -> FloatArray:
        log_variance = row_dot(self._log_means(X), self.coef_) + self.intercept_
        variance: FloatArray = self.target.horizon * self.smearing_ * np.exp(log_variance)
        return variance

    def _graph(self) -> Graph:
        graph = self._means_graph().then("Max", self.floor_).function("Log")
        graph.dot(self.coef_).then("Add", self.intercept_)
        return graph.function("Exp").then("Mul", self.target.horizon * self.smearing_)
