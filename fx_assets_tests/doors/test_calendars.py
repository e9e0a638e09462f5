"""A calendar of a stranger is declared and proved; one that is wrong is told why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from fx_assets.calendars import calendar
from fx_assets.doors import CALENDARS
from fx_assets.errors import SpecError
from fx_assets.specs import FeedSpec
from fx_assets.testing import prove, verdicts_of

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
(CODE,) = (
    text
    for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    if "CalendarDefinition" in text
)
FEED = {
    "name": "ours",
    "source": {"kind": "files", "path": "a.csv", "instrument": "AED"},
    "calendar": "gulf",
}


@pytest.fixture(autouse=True)
def _calendars_are_made_anew() -> Iterator[None]:
    calendar.cache_clear()
    yield
    calendar.cache_clear()


def test_the_documentations_calendar_is_proved_and_declared(plugin: Callable[[str], Path]) -> None:
    plugin(CODE)
    assert [verdict for verdict in prove("gulf") if not verdict.holds] == []
    feed = FeedSpec.model_validate(FEED)
    assert feed.market.closed_reason(date(2024, 1, 5)) == "weekend"
    assert feed.market.is_open(date(2024, 1, 7))
    assert feed.market.event_time(date(2024, 1, 7)).isoformat() == "2024-01-07T12:00:00+00:00"
    assert feed.reading_facts["day_close"] == "16:00 Asia/Dubai"
    assert feed.market.bars_a_year in (260, 261)


def test_it_is_for_daily_bars_and_its_name_is_among_those_allowed(
    plugin: Callable[[str], Path],
) -> None:
    plugin(CODE)
    with pytest.raises(ValidationError, match="it is for bars of 1d"):
        FeedSpec.model_validate({**FEED, "frequency": "1h"})
    with pytest.raises(ValidationError, match="Did you mean 'gulf'"):
        FeedSpec.model_validate({**FEED, "calendar": "Gulf"})


@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        ('"weekend" if', '" " if', "a closed day says why"),
        ("day.weekday() in (4, 5)", "True", "closes come in order"),
        ("16:00 Asia/Dubai", "25:00 Asia/Dubai", "closes come in order"),
        (
            "day.weekday() in (4, 5)",
            'day.weekday() in (4, 5) or day > __import__("datetime").date.today()',
            "closes come in order",
        ),
        ('"weekend" if', '__import__("random").choice(["weekend", None]) if', "two askings agree"),
    ],
)
def test_a_fault_in_a_calendar_is_found(
    right: str, wrong: str, check: str, plugin: Callable[[str], Path]
) -> None:
    plugin(CODE.replace(right, wrong))
    assert any(v.check.startswith(check) for v in prove("gulf") if not v.holds)


HOURS = """
    frequencies = ("1h", "1d")

    @classmethod
    def in_session(cls, closes, bar):
        hours = closes.astype("datetime64[h]").astype(int) % 24
        return (hours > 4) & (hours <= 12)
"""


def test_a_calendar_says_which_hours_are_in_session(plugin: Callable[[str], Path]) -> None:
    plugin(CODE + HOURS)
    feed = FeedSpec.model_validate({**FEED, "frequency": "1h"})
    assert feed.market.event_time(date(2024, 1, 7)).isoformat() == "2024-01-07T12:00:00+00:00"


EARLY = """
    @staticmethod
    def publication(close):
        return close - timedelta(hours=3)
"""
NEVER = HOURS.replace("(hours > 4) &", "(hours > 99) &")


@pytest.mark.parametrize(
    ("more", "check"),
    [(EARLY, "bars are known after they close"), (NEVER, "closes come in order on open days")],
)
def test_a_fault_in_what_a_calendar_may_say_is_found(
    more: str, check: str, plugin: Callable[[str], Path]
) -> None:
    plugin(f"from datetime import timedelta\n\n{CODE}{more}")
    assert check in [verdict.check for verdict in prove("gulf") if not verdict.holds]


@pytest.mark.slow
@pytest.mark.parametrize("name", CALENDARS)
def test_ours_come_through_the_door_and_are_proved(name: str) -> None:
    assert CALENDARS.origin(name) == "fx-assets"
    assert [v for v in verdicts_of("calendar", name) if not v.holds] == []


def test_a_close_that_is_no_local_time_is_told_with_its_value(
    plugin: Callable[[str], Path],
) -> None:
    plugin(CODE.replace("16:00 Asia/Dubai", "16:00 Asia/Nowhere"))
    with pytest.raises(SpecError, match="gulf has the day_close '16:00 Asia/Nowhere'"):
        calendar("gulf")
