from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources import Batch, Wanted, fetch_bars
from fx_assets.sources.coingecko import _instant, _on_grid
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors import answers
from fx_assets.testing.vendors import apis as vendors
from fx_assets.testing.vendors.apis import VendorServer
from fx_assets_tests.examples import examples
from fx_assets_tests.sources.vendor_cases import NOW, assert_same, bars_of, feed, served

COLUMNS = ["close", "volume", "market_cap"]
HOUR = timedelta(hours=1)


def milliseconds(text: str) -> int:
    return round(pd.Timestamp(text, tz="UTC").timestamp() * 1000)


def answered(
    points: list[tuple[Any, Any]], folder: Path, spec: FeedSpec, now: datetime = NOW
) -> Batch:
    """What becomes of these prices; volume is ten times the price."""
    volumes = [[t, 10 * p] for t, p in points if isinstance(p, float)]
    body = {"prices": points, "market_caps": [], "total_volumes": volumes}
    with VendorServer({}, now) as server:
        server.fault("coingecko", answers.as_json(body))
        after = datetime(2025, 1, 10, tzinfo=UTC)
        return fetch_bars(spec, server.settings(), now, folder, Wanted(((after, now),)))


def test_daily_points_at_midnight_are_the_close_of_the_day_before(tmp_path: Path) -> None:
    spec = feed("coingecko", start="2024-03-01")
    frame = bars_of(spec, date(2024, 2, 1))
    with VendorServer({"bitcoin": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert_same(batch.bars, served(frame, datetime(2024, 3, 1, tzinfo=UTC)), COLUMNS)
        assert batch.provenance.last_date == date(2025, 1, 14), "its last point is now"
        assert batch.rejected.empty
        few = Wanted(((datetime(2025, 1, 12, tzinfo=UTC), NOW),))
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path, few)
        assert_same(batch.bars, served(frame, datetime(2025, 1, 12, tzinfo=UTC)), COLUMNS)
        assert len(server.requests("coingecko")) == 2


def test_irregular_hourly_points_fill_the_hours_that_they_are_in(tmp_path: Path) -> None:
    spec = feed("coingecko", frequency="1h", start="2024-06-01")
    frame = bars_of(spec, date(2024, 5, 20))
    pause = (frame["event_time"] > "2024-07-01 05:00Z") & (frame["event_time"] <= "2024-07-01 09Z")
    frame = frame[~pause].reset_index(drop=True)
    with VendorServer({"bitcoin": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert_same(batch.bars, served(frame, datetime(2024, 6, 1, tzinfo=UTC)), COLUMNS)
        spans = [int(r.query["to"]) - int(r.query["from"]) for r in server.requests("coingecko")]
    assert batch.bars["event_time"].diff().max() == pd.Timedelta(5, "h"), "an hour without a point"
    assert len(spans) == 3
    assert all(2 * 86_400 < span <= 90 * 86_400 for span in spans)


def test_the_bar_has_the_last_point_before_or_at_its_close(tmp_path: Path) -> None:
    points: list[tuple[Any, Any]] = [
        (milliseconds("2025-01-10 00:00:00.001"), 1.0),
        (milliseconds("2025-01-10 00:11:15"), 2.0),
        (milliseconds("2025-01-10 01:00:00"), 3.0),
        (milliseconds("2025-01-10 01:00:00.001"), 4.0),
        (milliseconds("2025-01-10 03:52:00"), 5.0),
        (milliseconds("2025-01-15 12:34:00"), 6.0),
    ]
    batch = answered(points, tmp_path, feed("coingecko", frequency="1h"))
    closes = dict(zip(batch.bars["event_time"].dt.hour, batch.bars["close"], strict=True))
    assert closes == {1: 3.0, 2: 4.0, 4: 5.0}
    assert batch.bars["volume"].tolist() == [30.0, 40.0, 50.0]


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_lies_in_the_bar_that_closes_next(instant: int) -> None:
    at = _instant(instant)
    close = _on_grid(at, HOUR)
    assert close - HOUR < at <= close
    assert (close.minute, close.second, close.microsecond) == (0, 0, 0)


def test_an_old_answer_finishes_no_bar(tmp_path: Path) -> None:
    now = datetime(2025, 1, 15, 12, 1, tzinfo=UTC)
    points: list[tuple[Any, Any]] = [
        (milliseconds("2025-01-15 11:00:40"), 1.0),
        (milliseconds("2025-01-15 11:40:00"), 2.0),
    ]
    spec = feed("coingecko", frequency="1h")
    batch = answered(points, tmp_path, spec, now)
    assert batch.bars.empty
    assert "closes at 12:00: it is left for the next fetch" in batch.provenance.notes
    assert len(answered(points, tmp_path, spec, now + timedelta(minutes=40)).bars) == 1


def test_a_daily_point_between_midnights_is_no_close(tmp_path: Path) -> None:
    points: list[tuple[Any, Any]] = [
        (milliseconds("2025-01-14 00:00"), 1.0),
        (milliseconds("2025-01-14 23:50"), 2.0),
        (milliseconds("2025-01-15 12:00"), 3.0),
    ]
    batch = answered(points, tmp_path, feed("coingecko"))
    assert batch.bars["close"].tolist() == [1.0]
    (row,) = batch.rejected.to_dict("records")
    assert (row["event_date"], row["check"]) == ("2025-01-14", "vendor_quirk")


def test_points_that_cannot_be_read_are_recorded(tmp_path: Path) -> None:
    points: list[tuple[Any, Any]] = [
        (milliseconds("2025-01-14 00:00"), "a lot"),
        ("yesterday", 2.0),
        (milliseconds("2025-01-12 00:00"), True),
        (milliseconds("2025-01-13 00:00"), 1.0),
    ]
    batch = answered(points, tmp_path, feed("coingecko"))
    assert batch.bars["close"].tolist() == [1.0]
    unreadable = ["True", "['yesterday', 2.0]", "['yesterday', 20.0]", "a lot"]
    assert sorted(batch.rejected["value"]) == unreadable
    hourly = answered(
        [(milliseconds("2025-01-13 00:10"), None)], tmp_path, feed("coingecko", frequency="1h")
    )
    assert hourly.bars.empty
    assert hourly.rejected["reason"].tolist() == ["no price"]


def test_the_free_history_ends_after_365_days(tmp_path: Path) -> None:
    spec = feed("coingecko", start="2020-01-01")
    frame = bars_of(spec, date(2019, 12, 1))
    with VendorServer({"bitcoin": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert batch.bars["event_time"].min() == pd.Timestamp("2024-01-17", tz="UTC")
        assert "reaches back 365 days, to 2024-01-16; 2020-01-01" in batch.provenance.notes
        old = Wanted(((datetime(2021, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)),))
        with pytest.raises(SourceError, match="365 days") as caught:
            fetch_bars(spec, server.settings(), NOW, tmp_path, old)
        assert "FX_ASSETS_COINGECKO_KEY" in caught.value.remedy
        assert len(server.requests("coingecko")) == 1
        server.fault("coingecko", answers.as_json(vendors.BEYOND_A_YEAR, 401))
        with pytest.raises(SourceError, match=r"Error 10012.*365 days") as caught:
            fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert "FX_ASSETS_COINGECKO_KEY" in caught.value.remedy


def test_a_paid_key_goes_to_the_paid_host_in_its_own_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = feed("coingecko", start="2020-01-01")
    bars = {"bitcoin": bars_of(spec, date(2019, 12, 1))}
    with VendorServer(bars, NOW, keys={}, coingecko_paid=True) as server:
        monkeypatch.setattr("fx_assets.sources.coingecko.PRO_HOST", server.url)
        batch = fetch_bars(spec, server.settings(coingecko_key="paid"), NOW, tmp_path)
        (request,) = server.requests("coingecko")
    assert request.headers["x-cg-pro-api-key"] == "paid"
    assert batch.bars["event_time"].min() == pd.Timestamp("2020-01-02", tz="UTC")


def test_the_free_tier_works_without_a_key(tmp_path: Path) -> None:
    spec = feed("coingecko")
    with VendorServer({"bitcoin": bars_of(spec, date(2024, 11, 1))}, NOW, keys={}) as server:
        assert len(fetch_bars(spec, server.settings(), NOW, tmp_path).bars) == 44
        assert not [name for name in server.asked[0].headers if "api-key" in name]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (answers.as_json({"error": "coin not found"}, 404), "coin not found"),
        (answers.as_json(vendors.COINGECKO_LIMIT, 429), "exceeded the Rate Limit"),
        (answers.as_json({"error": "invalid vs_currency"}, 422), "invalid vs_currency"),
    ],
)
def test_errors_say_what_the_vendor_says(tmp_path: Path, fault: Any, said: str) -> None:
    with VendorServer({}, NOW) as server:
        server.fault("coingecko", *[fault] * 3)
        with pytest.raises(SourceError, match=said):
            fetch_bars(feed("coingecko"), server.settings(), NOW, tmp_path)


@pytest.mark.parametrize("kind", ["coingecko", "cryptocompare"])
def test_days_that_end_at_midnight_utc_in_winter_only_are_refused(
    tmp_path: Path, kind: str
) -> None:
    spec = feed(kind, day_close="00:00 Europe/London")
    with pytest.raises(SourceError, match=r"midnight UTC, and the days of .* at 23:00") as caught:
        fetch_bars(spec, Settings(), NOW, tmp_path)
    assert "day_close: 00:00 UTC" in caught.value.remedy


@pytest.mark.parametrize("kind", ["coingecko", "cryptocompare"])
def test_days_that_do_not_end_at_midnight_utc_are_refused(tmp_path: Path, kind: str) -> None:
    spec = feed(kind, day_close="17:00 America/New_York")
    with pytest.raises(SourceError, match=r"midnight UTC, and the days of .* at 22:00"):
        fetch_bars(spec, Settings(), NOW, tmp_path)
