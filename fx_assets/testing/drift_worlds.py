"""A forecast, its frames in simulated and resampled worlds, and what to plant in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.features import labelled_frame
from fx_assets.monitoring.calibration import alarms, calibrate, score_windows
from fx_assets.monitoring.monitored import PREDICTION, monitored_frame
from fx_assets.specs import ForecastSpec
from fx_assets.specs.watching import DriftRule
from fx_assets.testing import worlds

TARGET = calendar("target")
RULE = DriftRule()
WARM_UP = 252
YEAR = 252

Plant = Callable[[np.ndarray, float], np.ndarray]
"""Changes live log returns, given the standard deviation of those before."""


def spec(kind: str = "direction", horizon: int = 1) -> ForecastSpec:
    families = {"direction": "logistic_regression", "return": "ridge", "volatility": "ewma"}
    return ForecastSpec.model_validate(
        {
            "name": "watched",
            "feed": "eurusd",
            "target": {"kind": kind, "horizon": horizon},
            "candidates": [families[kind]],
        }
    )


def garch_returns(n: int, seed: int) -> np.ndarray:
    return returns_of(worlds.garch_world(n + 1, seed))


def walk_returns(n: int, seed: int) -> np.ndarray:
    return returns_of(worlds.random_walk(n + 1, seed))


def shuffled_ecb_returns(n: int, seed: int, block: int = 60) -> np.ndarray:
    """The ECB's EUR/USD returns in blocks of a quarter, drawn at random."""
    real = returns_of(worlds.ecb_bars())
    starts = np.random.default_rng(seed).integers(0, len(real), size=n // block + 1)
    rows = (starts[:, None] + np.arange(block)) % len(real)
    drawn: np.ndarray = real[rows.ravel()[:n]]
    return drawn


def returns_of(bars: pd.DataFrame) -> np.ndarray:
    return np.diff(np.log(bars["close"].to_numpy()))


def untouched(returns: np.ndarray, _: float) -> np.ndarray:
    return returns


def level_shift(returns: np.ndarray, std: float) -> np.ndarray:
    """The mean return rises by one standard deviation."""
    return returns + std


def doubled_volatility(returns: np.ndarray, _: float) -> np.ndarray:
    return 2 * returns


@dataclass(frozen=True)
class Watched:
    """A history to calibrate on and live rows to watch, of one series of returns."""

    returns: np.ndarray
    live: int
    plant: Plant = untouched
    rule: DriftRule = RULE

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The labelled frame of everything."""
        before = self.returns[: -self.live]
        after = self.plant(self.returns[-self.live :], float(before.std()))
        close = 1.2 * np.exp(np.cumsum(np.concatenate([before, after])))
        bars = worlds.bars_from_closes(worlds.trading_days(len(close), "2000-01-03"), close)
        return labelled_frame(bars, spec(), TARGET)

    @cached_property
    def monitored(self) -> pd.DataFrame:
        """What is watched, without predictions and labels, which are not known on the day."""
        frame = monitored_frame(self.frame, pd.DataFrame(), spec(), TARGET)
        return frame.drop(columns=[PREDICTION, "target"])

    @cached_property
    def scores(self) -> np.ndarray:
        """The statistic of the report of each live day; with its limit subtracted."""
        window = self.rule.window
        reference = self.monitored.iloc[: -self.live]
        limit = calibrate(reference, window, self.rule.column_alarms_a_year, YEAR)
        current = self.monitored.iloc[-self.live - window + 1 :]
        return score_windows(limit, reference, current).max(axis=1).to_numpy() - limit.limit

    @property
    def false_alarms(self) -> int:
        return alarms(self.scores, 0.0, self.rule.window)

    @property
    def delay(self) -> int | None:
        """Days from the change to the first alarm, the first day counting as 1."""
        above = np.flatnonzero(self.scores > 0)
        return int(above[0]) + 1 if len(above) else None
