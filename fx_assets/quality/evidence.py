"""What a check looks at, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

import numpy as np
import pandas as pd

from fx_assets.calendars import BAR_LENGTHS, Calendar
from fx_assets.quality.confirmed import confirmed_bars
from fx_assets.quality.path import LOOK_BACK, RETURNS, WARM_UP, Path, path_of
from fx_assets.quality.references import Reference
from fx_assets.quality.times import bar_times, days_of, labels
from fx_assets.specs import GateSpec
from fx_assets.specs.bars import PRICE_COLUMNS

__all__ = ["RETURNS", "SHOWN", "WARM_UP", "Evidence", "Outcome", "listed"]

SHOWN = 5
KEPT_EXAMPLES = 50


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
    explained_times
        Closes of intraday rows that are in quarantine, ``datetime64[us]``.
    references
        Other histories of the instrument.
    closed
        Rows of the batch that lie where the calendar has no bar.
    defaults
        The rules where the feed leaves a limit open.
    """

    stored: pd.DataFrame
    batch: pd.DataFrame
    explained: frozenset[date]
    explained_times: np.ndarray
    closed: pd.DataFrame
    references: tuple[Reference, ...]
    gate: GateSpec
    defaults: GateSpec
    calendar: Calendar
    now: datetime

    def limit(self, check: str) -> float:
        """The threshold of a check, or its default where the feed leaves it open."""
        limit = getattr(self.gate, check).limit
        return float(getattr(self.defaults, check).limit if limit is None else limit)

    @cached_property
    def window(self) -> int:
        """How many of the newest bars show whether prices move: 250, or a day of short bars."""
        return max(RETURNS, BAR_LENGTHS["1d"] // self.calendar.bar)

    @cached_property
    def path(self) -> Path:
        """The stored bars with the batch's in their place; of intraday bars only those around."""
        return path_of(self._near, self.batch, self.calendar)

    @cached_property
    def confirmed(self) -> np.ndarray:
        """Which bars of the path an operator has confirmed."""
        return confirmed_bars(self.path, self.gate.confirmed)

    @cached_property
    def _near(self) -> pd.DataFrame:
        """The stored bars that can say something about the batch.

        Of daily bars all; of intraday bars the calendar years of the batch, because exchanged
        dates stay within a year, and no fewer than a window on both sides.
        """
        stored = self.stored
        if self.calendar.daily or stored.empty:
            return stored
        times = bar_times(stored)
        if not (times[1:] > times[:-1]).all():
            order = np.argsort(times, kind="stable")
            stored, times = stored.iloc[order], times[order]
        reach = LOOK_BACK + self.window
        if self.batch.empty:
            return stored.tail(reach)
        new = bar_times(self.batch)
        first, last = new.min(), new.max()
        january = first.astype("datetime64[Y]").astype("datetime64[us]")
        december = (last.astype("datetime64[Y]") + 1).astype("datetime64[us]")
        begin = min(np.searchsorted(times, january), np.searchsorted(times, first) - reach)
        end = max(np.searchsorted(times, december), np.searchsorted(times, last) + reach)
        return stored.iloc[max(0, int(begin)) : int(end)]

    @cached_property
    def revised(self) -> pd.DataFrame:
        """Rows of the batch whose event time is stored, with the stored close as ``old``, and as
        ``differs`` and ``differed`` the first price that is another: its name, and what is stored.
        """
        if self._near.empty or self.batch.empty:
            return self.batch.iloc[:0].assign(old=np.float64(), differs="", differed=np.float64())
        times = bar_times(self._near)
        order = np.argsort(times, kind="stable")
        new = bar_times(self.batch)
        place = order[np.minimum(np.searchsorted(times[order], new), len(times) - 1)]
        found = times[place] == new
        rows, stored = self.batch[found], self._near.iloc[place[found]]
        names = ["close", *(name for name in PRICE_COLUMNS if name != "close")]
        then, now = (frame[names].to_numpy(np.float64) for frame in (stored, rows))
        first = ((then != now) & ~(np.isnan(then) & np.isnan(now))).argmax(axis=1)
        revised: pd.DataFrame = rows.assign(
            old=then[:, 0],
            differs=np.array(names)[first],
            differed=np.take_along_axis(then, first[:, None], axis=1)[:, 0],
        )
        return revised

    @cached_property
    def last_stored_day(self) -> date | None:
        """The day of the newest stored bar."""
        if self.stored.empty:
            return None
        newest = bar_times(self.stored).max()
        day: date = days_of(np.array([newest]), self.calendar)[0].item()
        return day

    def labels(self, times: np.ndarray) -> np.ndarray:
        """How a person calls the bars that close at these instants."""
        return labels(times, self.calendar)


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
        Event times of the batch's rows that are to blame, ``datetime64[us]``.
    reason
        Why they are, for the quarantine.
    only_warns
        Whether what was found warns even where the check blocks.
    """

    count: float
    message: str
    examples: tuple[str, ...] = ()
    blamed: np.ndarray = field(default_factory=lambda: np.array([], dtype="datetime64[us]"))
    reason: str = ""
    only_warns: bool = False

    def __post_init__(self) -> None:
        # What NumPy counted is no number to those that store findings.
        if isinstance(self.count, np.generic):
            object.__setattr__(self, "count", self.count.item())


def listed(examples: list[str], total: int | None = None) -> str:
    """The first few examples in a sentence.

    Parameters
    ----------
    total
        How many there are, where ``examples`` are only some of them.
    """
    rest = (len(examples) if total is None else total) - min(SHOWN, len(examples))
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(examples[:SHOWN]) + more
