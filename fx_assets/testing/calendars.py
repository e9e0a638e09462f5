"""What every calendar must do, each check a sentence about one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from fx_assets import clock
from fx_assets.calendars import (
    Calendar,
    Frequency,
    calendar,
    custom_close,
    definition_of,
    frequencies_of,
    instant_of,
)
from fx_assets.testing.require import Checks, require

FIRST: Final = date(2016, 1, 1)
LAST: Final = date(2025, 12, 31)
CHECKS: Final[Checks[CalendarCase]] = Checks()


@dataclass(frozen=True)
class CalendarCase:
    """A calendar and a length of bars."""

    name: str
    frequency: Frequency = "1d"

    @property
    def market(self) -> Calendar:
        """Its bars, known ten minutes after they close unless a custom tells otherwise."""
        return calendar(f"{self.name}|{self.frequency}||10")

    def __str__(self) -> str:
        return f"{self.name}-{self.frequency}"


def cases_of(name: str) -> list[CalendarCase]:
    """A calendar with daily bars, and with the hours or else the shortest that it has."""
    able = frequencies_of(name)
    hours = "1h" if "1h" in able else able[0]
    return [CalendarCase(name, each) for each in dict.fromkeys((able[-1], hours))]


@CHECKS.add
def it_says_what_it_is(case: CalendarCase) -> None:
    """Documentation, and when a day closes."""
    found = definition_of(case.name)
    require(found is not None, "its name is one of ours, or of the holidays library")
    require(bool(((found and found.__doc__) or "").strip()), "the class has no docstring")
    require(bool(custom_close(case.name)), "it has no day_close")


@CHECKS.add
def closes_come_in_order_on_open_days(case: CalendarCase) -> None:
    """Ten years, change of clocks included, and the next; a day has one daily bar."""
    market = case.market
    for year in range(FIRST.year, clock.now().year + 2):
        days = market.open_days(date(year, 1, 1), date(year, 12, 31))
        require(len(days) > 0, f"no day of {year} is open")
    closes = market.closes(FIRST, LAST)
    require(bool((np.diff(closes) > np.timedelta64(0)).all()), "closes are not in order")
    due = np.array(market.open_days(FIRST, LAST), dtype="datetime64[D]").astype(np.int64)
    found = market.days(closes)
    require(not market.daily or len(found) == len(due), f"{len(found)} bars on {len(due)} days")
    same = np.unique(found)
    require(len(due) > 0 and np.array_equal(same, due), f"bars of {len(same)} days on {len(due)}")


@CHECKS.add
def a_closed_day_says_why_and_has_no_bar(case: CalendarCase) -> None:
    """Reasons are words; open days have none."""
    market = case.market
    for i in range((LAST - FIRST).days):
        day = FIRST + timedelta(days=i)
        reason = market.closed_reason(day)
        require(reason is None or bool(reason.strip()), f"{day} is closed without a word")
        bars = market.event_times(day)
        require(reason is None or not bars, f"{day} is closed ({reason}), and has a bar")


@CHECKS.add
def bars_are_known_after_they_close(case: CalendarCase) -> None:
    """Publication follows the close."""
    closes = case.market.closes(FIRST, LAST)
    known = case.market.published(closes)
    require(bool((known >= closes).all()), "a bar is known before it closes")


@CHECKS.add
def the_close_keeps_its_local_time_when_clocks_change(case: CalendarCase) -> None:
    """Daylight saving moves a close in UTC, never on the wall."""
    market = case.market
    for close in market.closes(FIRST, LAST) if market.daily else ():
        local = instant_of(close).astimezone(market.timezone)
        said = (custom_close(case.name) or "").partition(" ")[0]
        require(
            f"{local:%H:%M}" == said[:5], f"the bar of {local:%Y-%m-%d} closes at {local:%H:%M}"
        )


@CHECKS.add
def the_next_close_is_the_next_bar(case: CalendarCase) -> None:
    """What labels are counted by."""
    closes = case.market.closes(FIRST, LAST)
    for bars in (1, 5, 20):
        found = case.market.next_closes(closes[:-bars], bars)
        require(bool((found == closes[bars:]).all()), f"{bars} bars ahead is another close")


@CHECKS.add
def two_askings_agree(case: CalendarCase) -> None:
    """Determinism: what a day is does not depend on when it is asked."""
    found = definition_of(case.name)
    for i in range(0, (LAST - FIRST).days, 3) if found else ():
        day = FIRST + timedelta(days=i)
        same = found is None or found.closed_reason(day) == found.closed_reason(day)
        require(same, f"{day} is answered in two ways")
