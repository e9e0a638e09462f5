"""Exponentially weighted moving average of squared returns (RiskMetrics, 1996)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from fx_assets.models._window import WeightedSquares, training_returns
from fx_assets.models.base import FloatArray, Params
from fx_assets.specs.tuning import Range, Space
from fx_assets.targets.volatility import FEWEST_DAYS, SMOOTHED, smoothing


class EwmaParams(Params):
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.94
    """Weight lambda of yesterday's variance, between 0 and 1; RiskMetrics' daily value is 0.94."""
    bars_a_day: Annotated[int, Field(ge=1, le=SMOOTHED // FEWEST_DAYS)] = 1
    """Above 1 a quarter of the forecast is the same hour's mean of the last 20 days."""


class Ewma(WeightedSquares[EwmaParams]):
    """Horizon times s(t), where s(t) = lambda s(t-1) + (1 - lambda) r(t)^2.

    Before the window the recursion stands at the training returns' mean square, ``fill_``. Intraday
    it may take in the day's pattern, see :func:`fx_assets.targets.volatility.smoothing`.
    """

    name = "ewma"
    targets = ("volatility",)
    params_type = EwmaParams
    search_space: ClassVar[Space] = {"decay": Range(low=0.8, high=0.995)}

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        horizon, given = self.target.horizon, self.settings
        _, self.fill_ = training_returns(X, y, horizon)
        self.weights_, rest = smoothing(horizon, given.decay, given.bars_a_day)
        self.offset_ = rest * self.fill_
