"""Exponentially weighted moving average of squared returns (RiskMetrics, 1996)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from fx_assets.models._window import LENGTH, WeightedSquares, decay, training_returns
from fx_assets.models.base import FloatArray, Params
from fx_assets.specs.tuning import Range, Space


class EwmaParams(Params):
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.94
    """Weight lambda of yesterday's variance, between 0 and 1; RiskMetrics' daily value is 0.94."""


class Ewma(WeightedSquares[EwmaParams]):
    """Horizon times s(t), where s(t) = lambda s(t-1) + (1 - lambda) r(t)^2.

    Before the window the recursion stands at the training returns' mean square, ``fill_``.
    """

    name = "ewma"
    targets = ("volatility",)
    params_type = EwmaParams
    search_space: ClassVar[Space] = {"decay": Range(low=0.8, high=0.995)}

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        horizon, factor = self.target.horizon, self.settings.decay
        _, self.fill_ = training_returns(X, y, horizon)
        self.weights_ = horizon * (1 - factor) * decay(factor)
        self.offset_ = horizon * factor**LENGTH * self.fill_
