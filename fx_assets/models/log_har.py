"""Heterogeneous autoregression of log variance (Corsi, 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from pydantic import Field

from fx_assets.models._window import RETURN_COLUMN, squares, squares_graph, training_returns
from fx_assets.models.base import FloatArray, Model, Params, Window, row_dot

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

SPANS: Final = (1, 5, 22)
"""Bars that the squared returns are averaged over: a day, a week, a month."""
LENGTH: Final = max(SPANS)


class LogHarParams(Params):
    floor: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Least variance under the logarithm, as a share of the training variance, between 0 and 1."""


class LogHar(Model[LogHarParams]):
    """Log variance per bar over the horizon, regressed on log mean squared returns.

    The regressors are the logarithms of the mean squared return of the last 1, 5 and 22 bars.
    Variances below ``floor_`` count as ``floor_``, since a return of zero has no logarithm. The
    exponential is corrected by the mean exponential of the residuals (smearing; Duan, 1983), which
    needs no normal residuals.

    Attributes
    ----------
    fill_
        Variance that stands for a return that is not known (NaN).
    floor_
        Least variance under the logarithm.
    coef_, intercept_
        (3,) slopes of the last 1, 5 and 22 bars, and the constant, by least squares.
    smearing_
        Correction of the exponential.
    """

    inputs = Window(RETURN_COLUMN, LENGTH)
    params_type = LogHarParams

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        _, self.fill_ = training_returns(X, y, self.target.horizon)
        self.floor_ = self.settings.floor * self.fill_
        regressors = np.column_stack([np.ones(len(X)), self._log_means(X)])
        target = np.log(np.maximum(y / self.target.horizon, self.floor_))
        solution = np.linalg.lstsq(regressors, target, rcond=None)[0]
        self.intercept_, self.coef_ = float(solution[0]), solution[1:]
        self.smearing_ = float(np.mean(np.exp(target - regressors @ solution)))

    def _log_means(self, X: FloatArray) -> FloatArray:
        squared = squares(X, self.fill_)
        means = [squared[:, -span:].mean(axis=1) for span in SPANS]
        logs: FloatArray = np.log(np.maximum(np.column_stack(means), self.floor_))
        return logs

    def _predict(self, X: FloatArray) -> FloatArray:
        log_variance = row_dot(self._log_means(X), self.coef_) + self.intercept_
        variance: FloatArray = self.target.horizon * self.smearing_ * np.exp(log_variance)
        return variance

    def _graph(self) -> Graph:
        averages = np.zeros((LENGTH, len(SPANS)))
        for column, span in enumerate(SPANS):
            averages[-span:, column] = 1 / span
        graph = squares_graph(LENGTH, self.fill_).then("MatMul", averages)
        graph.then("Max", self.floor_).function("Log").dot(self.coef_).then("Add", self.intercept_)
        return graph.function("Exp").then("Mul", self.target.horizon * self.smearing_)


MODEL = LogHar
