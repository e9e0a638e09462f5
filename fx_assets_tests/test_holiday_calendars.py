"""Calendars of exchanges and countries: holidays, closes, labels and folds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fx_assets.assets.predictions import day_partitions
from fx_assets.calendars import calendar, instant_of
from fx_assets.evaluation.folds import folds
from fx_assets.features import build_features, labelled_frame
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.testing.vendors.files import bars_of, feed_of

US = "US|1d|12:00 America/New_York|0"
KEYS = [US, "NYSE|1d||0", "XLON|1d||0", "JP|1d|15:00 Asia/Tokyo|0", "SA|1d|00:00 Asia/Riyadh|0"]
KEYS += ["DE-BY|1d|13:00 Europe/Berlin|30"]


def spec(**changes: object) -> FeedSpec:
    source = {"kind": "files", "path": "x", "instrument": "EURUSD"}
    return FeedSpec.model_validate({"name": "f", "source": source, **changes})


@pytest.mark.parametrize(
    ("key", "day", "reason"),
    [
        (US, date(2024, 7, 4), "Independence Day"),
        (US, date(2021, 7, 5), "Independence Day (observed)"),
        (US, date(2022, 6, 20), "Juneteenth National Independence Day (observed)"),
        (US, date(2019, 6, 19), None),
        (US, date(1985, 1, 21), None),
        (US, date(1986, 1, 20), "Martin Luther King Jr. Day"),
        (US, date(1975, 7, 4), "Independence Day"),
        (US, date(2024, 7, 6), "weekend"),
        ("NYSE|1d||0", date(2001, 9, 11), "Closed following Attacks on the World Trade Center"),
        ("NYSE|1d||0", date(2020, 7, 3), "Independence Day (observed)"),
        ("NYSE|1d||0", date(2024, 11, 11), None),
        ("JP|1d|15:00 Asia/Tokyo|0", date(2024, 1, 9), None),
        ("SA|1d|16:00 Asia/Riyadh|0", date(2024, 3, 8), "weekend"),
        ("SA|1d|16:00 Asia/Riyadh|0", date(2024, 3, 10), None),
    ],
)
def test_a_holiday_is_a_closed_day_that_says_which(key: str, day: date, reason: str | None) -> None:
    assert calendar(key).closed_reason(day) == reason


@pytest.mark.parametrize("day", [date(2020, 7, 3), date(2021, 12, 31), date(2023, 11, 10)])
def test_a_friday_before_a_saturday_holiday_may_have_a_bar_and_is_not_missed(day: date) -> None:
    market = calendar(US)
    assert market.is_open(day)
    assert market.possible(np.array([market.event_time(day).replace(tzinfo=None)], "M8[us]")).all()
    assert market.open_days(day, day) == []
    assert not len(market.closes(day, day))


def test_a_label_ends_after_the_holiday_and_by_the_clock_of_the_market() -> None:
    market = calendar(US)
    before = datetime(2024, 7, 3, 16, tzinfo=UTC)
    assert market.next_close(before) == datetime(2024, 7, 5, 16, tzinfo=UTC)
    winter = datetime(2024, 1, 12, 17, tzinfo=UTC)
    assert market.next_close(winter) == datetime(2024, 1, 16, 17, tzinfo=UTC)
    assert market.next_close(datetime(2024, 3, 8, 17, tzinfo=UTC)).hour == 16


@pytest.mark.parametrize("key", KEYS)
def test_a_year_has_about_as_many_bars_as_the_calendar_says(key: str) -> None:
    market = calendar(key)
    counts = [len(market.closes(date(y, 1, 1), date(y, 12, 31))) for y in range(2005, 2025)]
    assert abs(np.mean(counts) - market.bars_a_year) < 3


@given(st.sampled_from(KEYS), st.dates(date(1972, 1, 1), date(2026, 1, 1)), st.integers(1, 400))
def test_closes_are_those_of_open_days_and_next_closes_step_through_them(
    key: str, first: date, length: int
) -> None:
    market = calendar(key)
    due = market.closes(first, first + timedelta(days=length))
    days = market.open_days(first, first + timedelta(days=length))
    assert [market.bar_day(instant_of(close)) for close in due] == days
    assert [market.day_of(instant_of(c) - timedelta(microseconds=1)) for c in due] == days
    if len(due) > 3:
        assert (np.diff(due).astype(np.int64) > 0).all()
        np.testing.assert_array_equal(market.next_closes(due[:-3], 3), due[3:])
    published = market.published(due)
    assert [instant_of(value) for value in published] == [market.available_at(d) for d in days]


@given(st.integers(300, 420))
def test_features_and_labels_of_a_prefix_are_those_of_the_whole(cut: int) -> None:
    feed = feed_of(Path("."), "1d", "US", day_close="12:00 America/New_York")
    bars = bars_of(feed, date(2019, 1, 2), 430)
    frame = pd.DataFrame(
        {
            "event_time": bars["event_time"].dt.tz_localize("UTC"),
            "available_at": bars["event_time"].dt.tz_localize("UTC"),
            "close": bars["close"],
        }
    )
    whole = build_features(frame, "fx_close", feed.market)
    part = build_features(frame[:cut], "fx_close", feed.market)
    pd.testing.assert_frame_equal(part, whole[:cut], check_exact=True)


def test_no_training_label_reaches_into_the_test_rows_over_a_holiday() -> None:
    feed = feed_of(Path("."), "1d", "US", day_close="12:00 America/New_York")
    forecast = ForecastSpec.model_validate(
        {
            "name": "f",
            "feed": "feed",
            "target": {"kind": "volatility", "horizon": 3},
            "candidates": ["ewma"],
            "walk_forward": {"first_test": "2020-07-02", "min_train": 100, "refit_every": 20},
        }
    )
    bars = bars_of(feed, date(2018, 1, 2), 900)
    times = bars["event_time"].dt.tz_localize("UTC")
    prices = pd.DataFrame({"event_time": times, "available_at": times, "close": bars["close"]})
    frame = labelled_frame(prices, forecast, feed.market)
    due = feed.market.next_closes(bars["event_time"].to_numpy("M8[us]"), 3)
    ends = frame["target_time"].dt.tz_localize(None).to_numpy("M8[us]")
    np.testing.assert_array_equal(ends, due)
    cut = folds(frame, forecast)
    assert len(cut) > 5
    for fold in cut:
        known = frame["label_available_at"].iloc[fold.train[-1]]
        assert known <= frame["available_at"].iloc[fold.test[0]]


def test_a_weekday_with_a_holiday_in_one_week_keeps_its_predictions() -> None:
    feed = spec(calendar="JP", day_close="15:00 Asia/Tokyo")
    assert feed.market.closed_reason(date(2024, 1, 8)), "a Monday, Coming of Age Day"
    now = datetime(2024, 2, 1, tzinfo=UTC)
    keys = day_partitions(feed).get_partition_keys(current_time=now)
    assert "2024-01-15" in keys
    assert "2024-01-13" not in keys


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"calendar": "nyse"}, "Did you mean 'NYSE'?"),
        ({"calendar": "Germany"}, "no calendar 'Germany'"),
        ({"calendar": "US"}, "does not tell when a day closes; set day_close"),
        ({"calendar": "NYSE", "frequency": "1h"}, "it is for bars of 1d"),
        ({"calendar": "US-ZZ", "day_close": "12:00 UTC"}, "no calendar 'US-ZZ'"),
    ],
)
def test_what_a_calendar_cannot_be_is_explained(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("?", r"\?")):
        spec(**changes)


def test_an_exchange_has_a_custom_for_the_close_and_a_schedule_after_it() -> None:
    assert spec(calendar="NYSE").ingest_cron == "10 16,18,20 * * 1-5"
    assert (
        spec(calendar="NYSE").reading
        == spec(calendar="NYSE", day_close="16:00 America/New_York").reading
    )
    assert spec(calendar="SA", day_close="16:00 Asia/Riyadh").ingest_cron.endswith("* * *")
