"""Volatility: the variance of the next ``horizon`` bars."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx_assets.calendars import Frequency
from fx_assets.targets.base import NONE, Floats, Positions, Reference
from fx_assets.targets.outcomes import Positive
from fx_assets.targets.plausible import Measure, least_qlike, log_correlation
from fx_assets.targets.shown import ValueFormat, Wording

SMOOTHED = 500
"""Bars whose squared returns count; the weight of those before is less than a millionth."""
SAME_HOUR = 0.25
"""The share of the same hour's mean in the second reference of intraday bars."""
DAYS, FEWEST_DAYS = 20, 10
"""Days that the same hour's mean is over, at most and at least."""


def decay_powers(factor: float) -> Floats:
    """(500,) powers ``factor ** k`` for the return ``k`` bars ago, the newest (``k`` = 0) last."""
    powers: Floats = factor ** np.arange(SMOOTHED - 1, -1, -1, dtype=np.float64)
    return powers


def smoothing(horizon: int, decay: float, bars_a_day: int = 1) -> tuple[Floats, float]:
    """What exponential smoothing says of the variance of the next ``horizon`` bars.

    Of bars with several a day, a quarter of it is the same hour's mean: for each bar to come, the
    mean of the squared returns of the bars at its place in the last 20 days, or in the days that
    500 bars are.

    Returns
    -------
    tuple
        (500,) weights of squared returns, the newest last, and that of what variance was before.
    """
    weights = horizon * (1 - decay) * decay_powers(decay)
    rest = horizon * decay**SMOOTHED
    if bars_a_day == 1:
        return weights, rest
    days = min(DAYS, SMOOTHED // bars_a_day)
    places = np.arange(horizon) % bars_a_day
    past = bars_a_day * np.arange(1, days + 1)[:, None] - places
    np.add.at(same_hour := np.zeros(SMOOTHED), SMOOTHED - past, 1 / days)
    return (1 - SAME_HOUR) * weights + SAME_HOUR * same_hour, (1 - SAME_HOUR) * rest


def _decay(horizon: int) -> float:
    return 0.94 if horizon == 1 else 0.97


class Volatility(Positive):
    """The variance of the next ``horizon`` bars, the sum of their squared log returns."""

    name = "volatility"
    path = True

    def labels(self, close: Floats, ends: Positions) -> Floats:
        """Sums of squared log returns, one bar after the other."""
        out = np.full(len(close), np.nan)
        out[ends != NONE] = 0.0
        squares = np.log(close[1:] / close[:-1]) ** 2
        bars = np.where(ends != NONE, ends - np.arange(len(close)), 0)
        for k in range(int(bars.max(initial=0))):
            reach = len(close) - 1 - k
            some = out[:reach]
            np.add(some, squares[k:], out=some, where=bars[:reach] > k)
        return out

    def reference(self, horizon: int) -> Reference:
        """Exponential smoothing with RiskMetrics' weights: of a day, and of a month."""
        decay = _decay(horizon)
        return Reference("ewma", {"decay": decay}, f"exponential smoothing ({decay:g})")

    def intraday_references(self, horizon: int, bars_a_day: int) -> list[Reference]:
        """Smoothing with the same hour's mean, unless a day is too long for ten in 500 bars."""
        if not 1 < bars_a_day <= SMOOTHED // FEWEST_DAYS:
            return []
        decay = _decay(horizon)
        called = f"exponential smoothing ({decay:g}, a quarter the same hour's mean)"
        return [Reference("ewma", {"decay": decay, "bars_a_day": bars_a_day}, called)]

    def reference_value(self, horizon: int, log_returns: Floats | None) -> float | None:
        """Exponential smoothing of the newest squared returns, begun at their mean."""
        if log_returns is None:
            return None
        squares = np.square(log_returns[-SMOOTHED:])
        squares = squares[np.isfinite(squares)][::-1]
        if not len(squares):
            return None
        decay = _decay(horizon)
        weights = (1 - decay) * decay ** np.arange(len(squares))
        rest = decay ** len(squares) * squares.mean()
        return float(horizon * (weights @ squares + rest))

    def plausible(self, frequency: Frequency, horizon: int) -> dict[Measure, float]:
        """What the true variance itself would score."""
        return {
            "qlike": least_qlike(horizon),
            "log_correlation": log_correlation(frequency, horizon),
        }

    def usual_candidates(self, bars_a_day: int) -> list[Any]:
        """What knows the hours of a day, if any; and regressions on a bar, a day and a week."""
        if bars_a_day == 1:
            return ["ewma", "har"]
        hours: list[Any] = [
            {"family": each.family, "params": {"bars_a_day": bars_a_day}}
            for each in self.intraday_references(1, bars_a_day)
        ]
        medium = min(bars_a_day, 100)
        spans = {"medium": medium, "long": min(500, 7 * medium)}
        return [*(hours or ["ewma"]), {"family": "har", "params": spans}]

    @property
    def unit(self) -> str:
        """A variance."""
        return "variance of log returns, summed over the horizon"

    @property
    def shown(self) -> ValueFormat:
        """As volatility in per cent a year."""
        return ValueFormat(digits=1, annualised=True)

    @property
    def wording(self) -> Wording:
        """What people read."""
        return Wording(
            title="volatility",
            called="variance",
            headline="volatility of {value} expected over {over}, up to {when}.",
            past="the volatility forecast for {over}, and what it was, in per cent a year",
            axis="volatility a year",
            scale="logarithm of the variance",
            baseline="the average variance so far",
        )
