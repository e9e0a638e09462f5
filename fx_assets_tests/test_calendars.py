"""Calendars know sessions, daylight saving and holidays, and agree with themselves."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.calendars import (
    BAR_LENGTHS,
    Calendar,
    calendar,
    instant_of,
    moment,
    rests_at_weekends,
)
from fx_assets_tests.examples import examples

KEYS = (
    "target",
    "24x7|1d||35",
    "24x7|1h||0",
    "24x7|5min||0",
    "24x5|1d||0",
    "24x5|1d|00:00 UTC|0",
    "24x5|1h||0",
    "24x5|4h||0",
    "US|1d|12:00 America/New_York|0",
    "NYSE|1d||15",
)
days = st.dates(date(2003, 1, 1), date(2027, 12, 1))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("key", KEYS)
@settings(deadline=None, max_examples=examples(30))
@given(first=days, span=st.integers(0, 40))
def test_closes_are_ascending_possible_and_on_open_days(key: str, first: date, span: int) -> None:
    market = calendar(key)
    last = first + timedelta(days=span)
    closes = market.closes(first, last)
    assert (np.diff(closes) > np.timedelta64(0)).all()
    assert market.possible(closes).all()
    index = market.day_index(pd.DatetimeIndex(closes).tz_localize("UTC"))
    found = sorted(set(index.date))
    assert found == market.open_days(first, last)
    assert [market.bar_day(instant_of(close)) for close in closes] == list(index.date)


@pytest.mark.parametrize("key", KEYS)
@settings(deadline=None, max_examples=examples(30))
@given(first=days, bars=st.integers(1, 30))
def test_the_next_close_is_the_next_of_all_closes(key: str, first: date, bars: int) -> None:
    market = calendar(key)
    closes = market.closes(first, first + timedelta(days=90))
    expected = closes[bars : bars + 20]
    assert (market.next_closes(closes[:20], bars) == expected).all()
    just_before = instant_of(closes[0]) - timedelta(seconds=1)
    assert market.next_close(just_before, 1) == instant_of(closes[0])


@pytest.mark.parametrize("key", KEYS)
@settings(deadline=None, max_examples=examples(30))
@given(day=days)
def test_a_bar_is_never_known_before_it_closes(key: str, day: date) -> None:
    market = calendar(key)
    closes = market.closes(day, day + timedelta(days=10))
    assert (market.published(closes) >= closes).all()
    assert [market.publication(instant_of(c)) for c in closes] == [
        instant_of(p) for p in market.published(closes)
    ]


def test_the_currency_week_begins_an_hour_earlier_in_utc_while_new_york_saves_daylight() -> None:
    market = calendar("24x5|1h||0")

    def session(friday: date) -> tuple[datetime, datetime]:
        before = market.closes(friday, friday)
        after = market.closes(friday + timedelta(days=1), friday + timedelta(days=3))
        return instant_of(before[-1]), instant_of(after[0])

    # New York saves daylight from 8 March to 1 November 2026.
    assert session(date(2026, 2, 27)) == (at("2026-02-27 22:00"), at("2026-03-01 23:00"))
    assert session(date(2026, 3, 6)) == (at("2026-03-06 22:00"), at("2026-03-08 22:00"))
    assert session(date(2026, 10, 30)) == (at("2026-10-30 21:00"), at("2026-11-01 23:00"))


def test_a_year_of_currency_hours_has_52_weeks_of_120_hours_without_two_holidays() -> None:
    closes = calendar("24x5|1h||0").closes(date(2023, 1, 2), date(2023, 12, 24))
    assert abs(len(closes) - 51 * 120) <= 2
    assert not len(calendar("24x5|1h||0").closes(date(2025, 12, 25), date(2025, 12, 25)))
    assert calendar("24x5|1h||0").is_open(date(2025, 12, 25))


def test_a_crypto_day_ends_at_midnight_and_belongs_to_the_day_before() -> None:
    market = calendar("24x7|1d||35")
    assert market.event_times(date(2026, 1, 5)) == [at("2026-01-06 00:00")]
    assert market.bar_day(at("2026-01-06 00:00")) == date(2026, 1, 5)
    assert market.publication(at("2026-01-06 00:00")) == at("2026-01-06 00:35")
    assert market.label(at("2026-01-06 00:00")) == "2026-01-05"


def test_a_currency_day_closes_at_five_in_new_york() -> None:
    market = calendar("24x5|1d||0")
    assert market.event_times(date(2026, 1, 5)) == [at("2026-01-05 22:00")]
    assert market.event_times(date(2026, 7, 6)) == [at("2026-07-06 21:00")]
    assert market.closed_reason(date(2026, 7, 5)) == "weekend"


@pytest.mark.parametrize("frequency", sorted(BAR_LENGTHS))
@pytest.mark.parametrize("name", ["24x7", "24x5", "target", "NYSE"])
def test_bars_a_year_are_the_mean_closes_of_years(name: str, frequency: str) -> None:
    if name in ("target", "NYSE") and frequency != "1d":
        return
    market: Calendar = calendar(f"{name}|{frequency}||0")
    first, last = (2013, 2024) if market.daily else (2021, 2024)
    closes = market.closes(date(first, 1, 1), date(last, 12, 31))
    assert market.bars_a_year == pytest.approx(len(closes) / (last + 1 - first), rel=0.002)


def test_a_year_has_256_fixings_and_259_currency_days() -> None:
    keys = ("target", "24x5|1d||0", "24x7|1d||0", "24x7|1h||0", "24x7|1min||0", "24x5|1h||0")
    counted = [calendar(key).bars_a_year for key in keys]
    assert counted == [256, 259, 365, 8_766, 525_960, 6_226]


def test_off_grid_and_weekend_instants_are_no_closes() -> None:
    market = calendar("24x5|1h||0")
    instants = np.array(
        [moment(at(text)) for text in ("2026-03-27 20:00", "2026-03-27 20:30", "2026-03-28 12:00")]
    )
    assert market.possible(instants).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("day", "published"),
    [
        (date(2005, 3, 1), "2005-03-01 13:30"),
        (date(2016, 6, 30), "2016-06-30 12:30"),
        (date(2016, 7, 1), "2016-07-01 14:00"),
        (date(2018, 1, 15), "2018-01-15 15:00"),
        (date(2026, 10, 30), "2026-10-30 15:00"),
    ],
)
def test_a_fixing_is_known_when_the_ecb_published_it(day: date, published: str) -> None:
    assert calendar("target").available_at(day) == at(published)


@pytest.mark.parametrize(
    "key",
    ["target", "24x7", "24x5", "24x5|1d|08:00 Asia/Tokyo|10", "24x7|1d|00:30 Europe/London|0"],
)
def test_days_and_publications_of_many_bars_are_those_of_each(key: str) -> None:
    market = calendar(key)
    closes = market.closes(date(2015, 12, 1), date(2017, 2, 1))
    others = closes[::7] + np.timedelta64(1_234_567, "us")
    for times in (closes, np.sort(np.concatenate([closes, others])), closes[:0]):
        each = [instant_of(time) for time in times]
        assert [instant_of(t) for t in market.published(times)] == list(
            map(market.publication, each)
        )
        days = market.days(times).astype("datetime64[D]").tolist()
        assert days == list(map(market.bar_day, each))


def test_markets_of_currencies_and_fixings_rest_at_weekends_and_coins_do_not() -> None:
    found = {name: rests_at_weekends(name) for name in ("target", "24x5", "24x7", "NYSE", "EG")}
    assert found == {"target": True, "24x5": True, "24x7": False, "NYSE": True, "EG": False}
