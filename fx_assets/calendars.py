"""When bars close, when they can be known, and on which days there are none.

A calendar belongs to a feed. All instants are UTC; a *day* is a local date of the market.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import holidays

if TYPE_CHECKING:
    import pandas as pd

FRANKFURT = ZoneInfo("Europe/Berlin")
PUBLICATION_MOVED = date(2016, 7, 1)


@dataclass(frozen=True)
class Calendar:
    """A market's open days, with one bar a day.

    Parameters
    ----------
    name
        How specs refer to the calendar.
    timezone
        IANA zone of the market; decides which day an instant belongs to.
    closed_reason
        Says why a day has no bar, or ``None`` on an open day.
    close_time
        Local time at which a day's bar closes.
    publication_time
        Local time at which a day's bar becomes known.
    """

    name: str
    timezone: ZoneInfo
    closed_reason: Callable[[date], str | None]
    close_time: Callable[[date], time]
    publication_time: Callable[[date], time]

    def is_open(self, day: date) -> bool:
        """Whether the day has a bar."""
        return self.closed_reason(day) is None

    def day_of(self, instant: datetime) -> date:
        """The market's local date at an instant."""
        return instant.astimezone(self.timezone).date()

    def event_time(self, day: date) -> datetime:
        """When the day's bar closes, in UTC."""
        return self._at(day, self.close_time(day))

    def available_at(self, day: date) -> datetime:
        """The earliest moment at which the day's bar can be known, in UTC."""
        return self._at(day, self.publication_time(day))

    def open_days(self, first: date, last: date) -> list[date]:
        """Every open day from ``first`` to ``last``, both included."""
        span = (last - first).days
        days = (first + timedelta(days=i) for i in range(span + 1))
        return [day for day in days if self.is_open(day)]

    def following(self, day: date, bars: int) -> date:
        """The open day that is ``bars`` bars after ``day``; ``bars`` is at least 1."""
        while bars > 0:
            day += timedelta(days=1)
            bars -= self.is_open(day)
        return day

    def day_index(self, event_times: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """The local dates of many instants, as midnights without a zone."""
        return event_times.tz_convert(str(self.timezone)).tz_localize(None).normalize()

    def _at(self, day: date, local: time) -> datetime:
        return datetime.combine(day, local, tzinfo=self.timezone).astimezone(UTC)


@lru_cache(maxsize=256)
def _target_holidays(year: int) -> dict[date, str]:
    return dict(holidays.financial_holidays("ECB", years=year))


def _target_closed_reason(day: date) -> str | None:
    if day.weekday() >= 5:
        return "weekend"
    return _target_holidays(day.year).get(day)


def _always(local: time) -> Callable[[date], time]:
    return lambda _day: local


@cache
def calendar(name: str) -> Calendar:
    """The calendar of that name.

    ``target``: TARGET business days with the ECB's fixing at 14:15 in Frankfurt, published at about
    14:30 before 1 July 2016 and at about 16:00 since (ECB, *Euro foreign exchange reference rates:
    new framework*, 7 December 2015). Closing days come from the ``holidays`` library.
    """
    return {"target": _target}[name]()


def _target() -> Calendar:
    return Calendar(
        name="target",
        timezone=FRANKFURT,
        closed_reason=_target_closed_reason,
        close_time=_always(time(14, 15)),
        publication_time=lambda day: time(16, 0) if day >= PUBLICATION_MOVED else time(14, 30),
    )
