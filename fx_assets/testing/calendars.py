"""What every calendar must do, each check a sentence about one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from fx_assets.calendars import Calendar, calendar, custom_close, definition_of, instant_of
from fx_assets.testing.require import require

FIRST: Final = date(2016, 1, 1)
LAST: Final = date(2025, 12, 31)
CHECKS: Final[list[Callable[[CalendarCase], None]]] = []
"""The checks in the order in which they are run; a check's name is what it states."""


@dataclass(frozen=True)
class CalendarCase:
    """A calendar, with daily bars."""

    name: str

    @property
    def market(self) -> Calendar:
        """Its bars, known ten minutes after they close."""
        return calendar(f"{self.name}|1d||10")

    def __str__(self) -> str:
        return f"{self.name}-1d"


def cases_of(name: str) -> list[CalendarCase]:
    """A calendar with daily bars."""
    return [CalendarCase(name)]


def _check(check: Callable[[CalendarCase], None]) -> Callable[[CalendarCase], None]:
    CHECKS.append(check)
    return check


@_check
def it_says_what_it_is(case: CalendarCase) -> None:
    """Documentation, and when a day closes."""
    found = definition_of(case.name)
    require(found is not None, "its name is one of ours, or of the holidays library")
    require(bool(((found and found.__doc__) or "").strip()), "the class has no docstring")
    require(bool(custom_close(case.name)), "it has no day_close")


@_check
def closes_come_in_order_one_an_open_day(case: CalendarCase) -> None:
    """Ten years, change of clocks included."""
    market = case.market
    closes = market.closes(FIRST, LAST)
    require(bool((np.diff(closes) > np.timedelta64(0)).all()), "closes are not in order")
    due = market.open_days(FIRST, LAST)
    require(len(closes) == len(due) > 0, f"{len(closes)} closes on {len(due)} open days")
    for day, close in zip(due, closes, strict=True):
        found = market.bar_day(instant_of(close))
        require(found == day, f"the bar of {day} closes on {found}")


@_check
def a_closed_day_says_why_and_has_no_bar(case: CalendarCase) -> None:
    """Reasons are words; open days have none."""
    market = case.market
    for i in range((LAST - FIRST).days):
        day = FIRST + timedelta(days=i)
        reason = market.closed_reason(day)
        require(reason is None or bool(reason.strip()), f"{day} is closed without a word")
        bars = market.event_times(day)
        require(reason is None or not bars, f"{day} is closed ({reason}), and has a bar")


@_check
def bars_are_known_after_they_close(case: CalendarCase) -> None:
    """Publication follows the close."""
    closes = case.market.closes(FIRST, LAST)
    known = case.market.published(closes)
    require(bool((known >= closes).all()), "a bar is known before it closes")


@_check
def the_close_keeps_its_local_time_when_clocks_change(case: CalendarCase) -> None:
    """Daylight saving moves a close in UTC, never on the wall."""
    market = case.market
    for close in market.closes(FIRST, LAST):
        local = instant_of(close).astimezone(market.timezone)
        said = (custom_close(case.name) or "").partition(" ")[0]
        require(
            f"{local:%H:%M}" == said[:5], f"the bar of {local:%Y-%m-%d} closes at {local:%H:%M}"
        )


@_check
def the_next_close_is_the_next_bar(case: CalendarCase) -> None:
    """What labels are counted by."""
    closes = case.market.closes(FIRST, LAST)
    for bars in (1, 5, 20):
        found = case.market.next_closes(closes[:-bars], bars)
        require(bool((found == closes[bars:]).all()), f"{bars} bars ahead is another close")


@_check
def two_askings_agree(case: CalendarCase) -> None:
    """Determinism: what a day is does not depend on when it is asked."""
    found = definition_of(case.name)
    for i in range(0, (LAST - FIRST).days, 3) if found else ():
        day = FIRST + timedelta(days=i)
        same = found is None or found.closed_reason(day) == found.closed_reason(day)
        require(same, f"{day} is answered in two ways")
