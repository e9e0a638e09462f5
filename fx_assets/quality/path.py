"""The path that stored and new bars make together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fx_assets.calendars import DAY, Calendar
from fx_assets.quality.times import bar_times, days_of, labels
from fx_assets.specs.bars import PRICE_COLUMNS

RETURNS = 250
"""Length of the trailing windows, in bars."""
WARM_UP = 60
LOOK_BACK = 4 * RETURNS
"""Bars that the longest window of a check covers."""
FEW = 10_000
"""Windows up to which each is worked out by itself."""
FEW_DAYS = 20
LEAST_VOLATILITY = 1e-3
SMALLEST_SIGMA = 5e-4
"""Pegs hardly move: a robust standard deviation counts as at least 5 basis points."""


@dataclass(frozen=True)
class Path:
    """Bars in order of time, one an instant; ``new`` marks those of the batch.

    Parameters
    ----------
    times
        Event times, ``datetime64[us]``.
    open, high, low, close, volume, market_cap
        What a bar has, NaN where it has none.
    """

    calendar: Calendar
    times: np.ndarray
    new: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    market_cap: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def days(self) -> np.ndarray:
        """Local days, ``datetime64[D]``."""
        return days_of(self.times, self.calendar)

    @cached_property
    def log_close(self) -> np.ndarray:
        return np.asarray(np.log(self.close))

    @cached_property
    def returns(self) -> np.ndarray:
        """Log returns; the first is 0."""
        return np.diff(self.log_close, prepend=self.log_close[:1])

    def sigma_at(self, places: np.ndarray) -> np.ndarray:
        """Robust standard deviation of the returns before each place: median |r| / 0.6745.

        NaN where fewer than ``WARM_UP`` returns lie before.
        """
        size = np.abs(self.returns)
        sigma = np.full(len(places), np.nan)
        full = places > RETURNS
        if full.sum() > FEW:
            sigma[full] = pd.Series(size).rolling(RETURNS).median().to_numpy()[places[full] - 1]
        elif full.any():
            windows = np.lib.stride_tricks.sliding_window_view(size, RETURNS)
            sigma[full] = np.median(windows[places[full] - RETURNS], axis=1)
        for i in np.flatnonzero(~full & (places > WARM_UP)):
            sigma[i] = np.median(size[1 : places[i]])
        return np.asarray(np.maximum(sigma / 0.6745, SMALLEST_SIGMA))

    @cached_property
    def usual_sigma(self) -> float:
        """The robust standard deviation of all returns, for places with too few before them."""
        if len(self) < 2:
            return SMALLEST_SIGMA
        return max(float(np.median(np.abs(self.returns[1:]))) / 0.6745, SMALLEST_SIGMA)

    @cached_property
    def annual_sigma(self) -> float:
        """Robust volatility of a year, from the closes of days where there are enough of them.

        Says at every frequency how far a market may go: about 0.08 for a major currency, 0.5 for a
        coin.
        """
        path = self.daily if len(self.daily) > FEW_DAYS else self
        a_year = self.calendar.bars_a_year
        if path is not self:
            a_year //= DAY // self.calendar.bar
        size = np.abs(path.returns[1:])
        if not len(size):
            return LEAST_VOLATILITY
        sigma = float(np.median(size)) / 0.6745 or float(np.mean(size)) / 0.8
        return max(sigma * float(np.sqrt(a_year)), LEAST_VOLATILITY)

    @cached_property
    def log_gap(self) -> np.ndarray:
        """How far the close before lies outside of a bar's range, in log price.

        NaN where a bar has none: a flat bar is a price, and says nothing of its way.
        """
        before = np.concatenate([self.log_close[:1], self.log_close[:-1]])
        with np.errstate(invalid="ignore", divide="ignore"):
            above, below = before - np.log(self.high), np.log(self.low) - before
            ranged = self.high > self.low
        return np.where(ranged, np.maximum(0.0, np.maximum(above, below)), np.nan)

    @cached_property
    def daily(self) -> Path:
        """The last bar of each day; a day is new when one of its bars is."""
        if self.calendar.daily or len(self) < 2:
            return self
        ends = np.flatnonzero(np.append(self.days[1:] != self.days[:-1], True))
        starts = np.concatenate([[0], ends[:-1] + 1])
        new = np.logical_or.reduceat(self.new, starts)
        columns = (getattr(self, name)[ends] for name in PRICE_COLUMNS)
        return Path(self.calendar, self.times[ends], new, *columns)

    def part(self, rows: slice) -> Path:
        """Some of the bars."""
        columns = (getattr(self, name)[rows] for name in PRICE_COLUMNS)
        return Path(self.calendar, self.times[rows], self.new[rows], *columns)

    def label(self, place: int) -> str:
        """What a person calls a bar."""
        return str(labels(self.times[[place]], self.calendar)[0])

    def label_of(self, time: np.datetime64) -> str:
        """What a person calls the bar that closes at an instant."""
        return str(labels(np.array([time]), self.calendar)[0])

    def describe(self, place: int) -> str:
        """A bar as ``day: close (previous close)``."""
        before = f" after {self.close[place - 1]:g}" if place else ""
        return f"{self.label(place)}: {self.close[place]:g}{before}"


def path_of(stored: pd.DataFrame, batch: pd.DataFrame, calendar: Calendar) -> Path:
    """The stored bars with the batch's in their place."""
    times = np.concatenate([bar_times(stored), bar_times(batch)])
    new = np.repeat([False, True], [len(stored), len(batch)])
    prices = [
        np.concatenate([stored[name].to_numpy(np.float64), batch[name].to_numpy(np.float64)])
        for name in PRICE_COLUMNS
    ]
    if not (times[1:] > times[:-1]).all():
        order = np.argsort(times, kind="stable")
        ordered = times[order]
        order = order[np.append(ordered[1:] != ordered[:-1], True)]
        times, new = times[order], new[order]
        prices = [values[order] for values in prices]
    return Path(calendar, times, new, *prices)


def windows_of(length: int, size: int, begin: int = 0) -> list[slice]:
    """Windows of one size, one after the other, the last one up to the end."""
    if length <= size:
        return [slice(0, length)]
    if length <= size + begin:
        return []
    starts = [*range(begin, length - size, size), length - size]
    return [slice(start, start + size) for start in starts]
