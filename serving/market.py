"""What a calendar says of a day, remembered: bars supplied by callers repeat the same days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

from fx_assets.calendars import calendar
from serving.schemas import Data, Verdict

EPOCH = date(1970, 1, 1).toordinal()
_MANY = 40_000


class DayFacts(NamedTuple):
    """An open or closed day of a market."""

    closed: str | None
    ordinal: int
    """Days since 1970-01-01."""
    next_ordinal: int
    """Of the next open day."""
    available_us: int
    """When its bar is published, in microseconds since 1970 (UTC)."""


@lru_cache(maxsize=_MANY)
def day_facts(name: str, day: date) -> DayFacts:
    """The facts of a day in the calendar of that name."""
    market = calendar(name)
    return DayFacts(
        closed=market.closed_reason(day),
        ordinal=day.toordinal() - EPOCH,
        next_ordinal=market.following(day, 1).toordinal() - EPOCH,
        available_us=round(market.available_at(day).timestamp()) * 1_000_000,
    )


@lru_cache(maxsize=4096)
def target_time(name: str, day: date, horizon: int) -> datetime:
    """When the bar closes that is ``horizon`` bars after the day's."""
    market = calendar(name)
    return market.event_time(market.following(day, horizon))


@lru_cache(maxsize=4096)
def published(name: str, day: date) -> datetime:
    """When the day's bar is published."""
    return calendar(name).available_at(day)


@lru_cache(maxsize=4096)
def _expected(name: str, day: date) -> datetime:
    market = calendar(name)
    return market.available_at(market.following(day, 1))


def data_facts(name: str, day: date, as_of: datetime, close: float | None, now: datetime) -> Data:
    """Age and freshness of a bar, by the calendar and the clock."""
    expected = _expected(name, day)
    missing = 0
    if expected <= now:
        today = calendar(name).day_of(now)
        missing = _open_between(name, day, today)
        missing += day < today and _known(name, today, now)
    verdict: Verdict = "fresh" if missing == 0 else "late" if missing == 1 else "stale"
    age = (now - as_of).total_seconds()
    return Data(day, as_of.astimezone(UTC), close, age, missing, verdict, expected)


@lru_cache(maxsize=4096)
def _open_between(name: str, after: date, before: date) -> int:
    first, last = after.toordinal() + 1, before.toordinal() - 1
    days = (date.fromordinal(day) for day in range(first, last + 1))
    return sum(map(calendar(name).is_open, days))


def _known(name: str, day: date, now: datetime) -> bool:
    return calendar(name).is_open(day) and published(name, day) <= now
