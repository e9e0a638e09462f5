"""What a calendar says of a bar, remembered: bars supplied by callers repeat the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

import numpy as np

from fx_assets.calendars import calendar, instant_of, moment
from serving.schemas import Bar, Data, Verdict

FIRST_YEAR, LAST_YEAR = 1970, 2200
LONGEST_PAUSE = timedelta(days=14)
_MANY = 40_000


class BarFacts(NamedTuple):
    """A bar that a caller supplied, by the calendar."""

    wrong: str | None
    """Why the market has no such bar."""
    event_us: int
    """When it closes, in microseconds since 1970 (UTC)."""
    available_us: int
    """When it is published, in microseconds since 1970 (UTC)."""


def facts_of(key: str, bars: Sequence[Bar]) -> list[BarFacts]:
    """The facts of supplied bars: of a daily one by its day, of an intraday one by its close."""
    days = [bar.day for bar in bars]
    if None not in days and [bar.event_time for bar in bars].count(None) == len(bars):
        return list(map(_facts_of_day, repeat(key), days))
    return [_facts_of(key, bar) for bar in bars]


def _facts_of(key: str, bar: Bar) -> BarFacts:
    if bar.event_time is not None:
        return _facts_of_close(key, bar.event_time)
    if bar.day is not None:
        return _facts_of_day(key, bar.day)
    return BarFacts("it has neither a day nor an event_time", 0, 0)


@lru_cache(maxsize=_MANY)
def _facts_of_day(key: str, day: date) -> BarFacts:
    market = calendar(key)
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        return BarFacts(f"{day} is not a day of {FIRST_YEAR} to {LAST_YEAR}", 0, 0)
    if not market.daily:
        return BarFacts(f"bars of the calendar {key} need an event_time", 0, 0)
    closed = market.closed_reason(day)
    if closed:
        return BarFacts(f"{day} is closed in the calendar {key}: {closed}", 0, 0)
    return _facts_of_close(key, market.event_time(day))


@lru_cache(maxsize=_MANY)
def _facts_of_close(key: str, event_time: datetime) -> BarFacts:
    if event_time.tzinfo is None:
        return BarFacts(f"the event_time {event_time} has no offset from UTC", 0, 0)
    market = calendar(key)
    if not FIRST_YEAR <= event_time.year <= LAST_YEAR:
        return BarFacts(f"{event_time} is not a time of {FIRST_YEAR} to {LAST_YEAR}", 0, 0)
    if not market.possible(np.array([moment(event_time)]))[0]:
        wrong = f"no bar of the calendar {key} closes at {event_time.astimezone(UTC)}"
        return BarFacts(wrong, 0, 0)
    return BarFacts(
        wrong=None,
        event_us=_us(event_time),
        available_us=_us(market.publication(event_time)),
    )


@lru_cache(maxsize=4096)
def target_time(key: str, event_time: datetime, horizon: int) -> datetime:
    """When the bar closes that is due ``horizon`` bars after one."""
    return calendar(key).next_close(event_time, horizon)


@lru_cache(maxsize=65_536)
def bar_day(key: str, event_time: datetime) -> date:
    """The market's day of the bar that closes at an instant."""
    return calendar(key).bar_day(event_time)


@lru_cache(maxsize=4096)
def day_known(key: str, instant: datetime) -> date:
    """The market's day of the newest bar that is published by an instant."""
    market = calendar(key)
    today = market.day_of(instant)
    due = market.closes(today - LONGEST_PAUSE, today)
    known = due[market.published(due) <= moment(instant)]
    return market.bar_day(instant_of(known[-1])) if len(known) else market.bar_day(instant)


@lru_cache(maxsize=4096)
def published(key: str, event_time: datetime) -> datetime:
    """When a bar is published."""
    return calendar(key).publication(event_time)


@lru_cache(maxsize=4096)
def bar_name(key: str, event_time: datetime) -> str:
    """A bar's name for people."""
    return calendar(key).label(event_time)


def data_facts(
    key: str, event_time: datetime, as_of: datetime, close: float | None, now: datetime
) -> Data:
    """Age and freshness of a bar, by the calendar and the clock."""
    day, expected = _day_and_next(key, event_time)
    missing = 0 if expected > now else _missing(key, event_time, now)
    verdict: Verdict = "fresh" if missing == 0 else "late" if missing == 1 else "stale"
    age = (now - as_of).total_seconds()
    closed_at, known_at = event_time.astimezone(UTC), as_of.astimezone(UTC)
    return Data(day, closed_at, known_at, close, age, missing, verdict, expected)


@lru_cache(maxsize=4096)
def _day_and_next(key: str, event_time: datetime) -> tuple[date, datetime]:
    market = calendar(key)
    return market.bar_day(event_time), market.publication(market.next_close(event_time))


def _missing(key: str, event_time: datetime, now: datetime) -> int:
    """Bars after one that are published by now."""
    market = calendar(key)
    due = market.closes(market.day_of(event_time), market.day_of(now))
    due = due[due > moment(event_time)]
    return int((market.published(due) <= moment(now)).sum())


def _us(instant: datetime) -> int:
    return round(instant.timestamp()) * 1_000_000
