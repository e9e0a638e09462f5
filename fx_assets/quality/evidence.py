"""What a check looks at, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.specs import GateSpec

SHOWN = 5
RETURNS = 250
"""Length of the trailing windows, in bars."""
WARM_UP = 60
SMALLEST_SIGMA = 5e-4
"""Pegs hardly move: a robust standard deviation counts as at least 5 basis points."""


@dataclass(frozen=True)
class Evidence:
    """A batch, what is stored, and the path that they would make together.

    Parameters
    ----------
    stored
        Bars accepted before, without the known bad days.
    batch
        The usable rows of the batch: typed, positive, one an event time, not in the future.
    explained
        Days whose rows are in quarantine, so that they do not count as missing.
    """

    stored: pd.DataFrame
    batch: pd.DataFrame
    explained: frozenset[date]
    gate: GateSpec
    calendar: Calendar
    now: datetime

    def limit(self, check: str) -> float:
        """The threshold of a check, or its default where the feed leaves it open."""
        limit = getattr(self.gate, check).limit
        return float(getattr(GateSpec(), check).limit if limit is None else limit)

    @cached_property
    def path(self) -> Path:
        """The stored bars with the batch's in their place."""
        both = pd.concat([self.stored.assign(new=False), self.batch.assign(new=True)])
        last = both.drop_duplicates("event_time", keep="last").sort_values("event_time")
        return Path(last.reset_index(drop=True), self.calendar)

    @cached_property
    def revised(self) -> pd.DataFrame:
        """Rows of the batch whose event time is stored, with the stored close as ``old``."""
        old = self.stored.set_index("event_time")["close"]
        rows = self.batch[self.batch["event_time"].isin(old.index)]
        return rows.assign(old=rows["event_time"].map(old))


@dataclass(frozen=True)
class Path:
    """Bars in order of time; ``new`` marks those of the batch."""

    bars: pd.DataFrame
    calendar: Calendar

    @cached_property
    def days(self) -> np.ndarray:
        """Local days, ``datetime64[D]``."""
        index = self.calendar.day_index(pd.DatetimeIndex(self.bars["event_time"]))
        return np.asarray(index, dtype="datetime64[D]")

    @cached_property
    def new(self) -> np.ndarray:
        return self.bars["new"].to_numpy(dtype=bool)

    @cached_property
    def log_close(self) -> np.ndarray:
        return np.asarray(np.log(self.bars["close"].to_numpy(np.float64)))

    @cached_property
    def returns(self) -> np.ndarray:
        """Log returns; the first is 0."""
        return np.diff(self.log_close, prepend=self.log_close[:1])

    @cached_property
    def sigma(self) -> np.ndarray:
        """Robust standard deviation of the returns before each one: median |r| / 0.6745.

        NaN while fewer than ``WARM_UP`` returns lie before.
        """
        size = pd.Series(np.abs(self.returns[1:]))
        median = size.rolling(RETURNS, min_periods=WARM_UP).median().shift(1)
        return np.concatenate([[np.nan], np.maximum(median / 0.6745, SMALLEST_SIGMA)])[
            : len(self.bars)
        ]

    def describe(self, i: int) -> str:
        """A bar as ``day: close (previous close)``."""
        close = self.bars["close"]
        before = f" after {close[i - 1]:g}" if i else ""
        return f"{self.days[i]}: {close[i]:g}{before}"


@dataclass(frozen=True)
class Outcome:
    """What one check measured.

    Parameters
    ----------
    count
        The measured number, to be compared with the limit.
    message
        A sentence about it.
    examples
        Offending rows for people.
    blamed
        Event times of the batch's rows that are to blame.
    reason
        Why they are, for the quarantine.
    """

    count: float
    message: str
    examples: tuple[str, ...] = ()
    blamed: frozenset[pd.Timestamp] = field(default=frozenset())
    reason: str = ""


def listed(examples: list[str]) -> str:
    """The first few examples in a sentence."""
    more = f" and {len(examples) - SHOWN} more" if len(examples) > SHOWN else ""
    return ", ".join(examples[:SHOWN]) + more
