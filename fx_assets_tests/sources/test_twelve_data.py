from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.errors import SourceError
from fx_assets.quality import inspect
from fx_assets.sources import Batch, Wanted, fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors import answers
from fx_assets.testing.vendors import apis as vendors
from fx_assets.testing.vendors.apis import VendorServer
from fx_assets_tests.sources.vendor_cases import NOW, assert_same, bars_of, feed, served

OHLC = ["open", "high", "low", "close"]
FRIDAY = date(2025, 1, 10)


def answer(
    folder: Path, *answers: Any, spec: FeedSpec | None = None, **changes: Any
) -> Callable[[], Batch]:
    """Fetches with the server's next answers scripted."""
    spec = spec or feed("twelve_data")

    def fetch() -> Batch:
        with VendorServer({"EUR/USD": bars_of(spec, date(2024, 12, 1))}, NOW) as server:
            server.fault("twelve_data", *answers)
            return fetch_bars(spec, server.settings(**changes), NOW, folder)

    return fetch


def series(*values: dict[str, Any]) -> Any:
    return answers.as_json({"meta": {"symbol": "EUR/USD"}, "values": values, "status": "ok"})


def value(day: str, **cells: Any) -> dict[str, Any]:
    prices = {"open": "1.08", "high": "1.1", "low": "1.07", "close": "1.09000"}
    return {"datetime": day} | prices | cells


def test_daily_bars_close_when_the_market_s_day_ends(tmp_path: Path) -> None:
    spec = feed("twelve_data", start="2024-02-01")
    frame = bars_of(spec, date(2024, 1, 1))
    with VendorServer({"EUR/USD": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
    assert_same(batch.bars, served(frame, datetime(2024, 2, 1, 5, tzinfo=UTC)), OHLC)
    clocks = batch.bars["event_time"].dt.tz_convert("America/New_York").dt.strftime("%H:%M")
    assert set(clocks) == {"17:00"}
    assert set(batch.bars["source"]) == {"twelve_data"}
    assert set(batch.bars["payload"]) == {batch.provenance.sha256}
    assert batch.bars["event_time"].max() == pd.Timestamp("2025-01-14 22:00Z"), "today is open"
    assert batch.provenance.last_date == date(2025, 1, 14)
    assert batch.provenance.url == f"{server.url}/twelve_data/time_series"


def test_hourly_bars_are_paged_without_gap_or_repetition(tmp_path: Path) -> None:
    spec = feed("twelve_data", frequency="1h", start="2023-06-01")
    frame = bars_of(spec, date(2023, 5, 1))
    with VendorServer({"EUR/USD": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert len(server.requests("twelve_data")) == 3
        assert_same(batch.bars, served(frame, datetime(2023, 6, 1, tzinfo=UTC)), OHLC)
        assert len(batch.bars) > 10_000
        assert batch.rejected.empty
        new = Wanted(((datetime(2025, 1, 15, 9, tzinfo=UTC), NOW),))
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path, new)
        assert_same(batch.bars, served(frame, datetime(2025, 1, 15, 9, tzinfo=UTC)), OHLC)
        query = server.asked[-1].query
    assert query["start_date"] == "2025-01-15 09:00:00"
    assert query["timezone"] == "UTC"


def test_a_history_that_begins_later_ends_at_its_first_bar(tmp_path: Path) -> None:
    spec = feed("twelve_data", frequency="1h", start="2000-01-01")
    frame = bars_of(spec, date(2024, 4, 1), date(2025, 1, 17)).tail(5_000 + 48)
    with VendorServer({"EUR/USD": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
    assert_same(batch.bars, served(frame, datetime(2000, 1, 1, tzinfo=UTC)), OHLC)


def test_a_saturday_bar_goes_to_quarantine_and_stops_nothing(tmp_path: Path) -> None:
    spec = feed("twelve_data")
    batch = answer(tmp_path)()
    (row,) = batch.rejected.to_dict("records")
    assert row["event_date"] == str(FRIDAY + timedelta(days=1))
    assert row["check"] == "vendor_quirk"
    assert "Saturday" in row["reason"]
    assert "1." in row["value"]
    report = inspect(batch.bars[:0], batch.bars, batch.rejected, spec, spec.market, NOW)
    assert report.passed
    assert len(report.accepted) == len(batch.bars)
    assert list(report.quarantined["check"]) == ["vendor_quirk"]


def test_a_market_that_never_closes_keeps_its_saturdays(tmp_path: Path) -> None:
    spec = feed("twelve_data", calendar="24x7")
    batch = answer(tmp_path, spec=spec)()
    assert batch.rejected.empty
    assert len(batch.bars) == 44


def test_a_daily_bar_that_states_its_open_closes_a_day_later_or_is_refused(tmp_path: Path) -> None:
    stated = series(
        value("2025-01-10"),
        value("2025-01-08 22:00:00"),
        value("2025-01-07T17:00:00-05:00"),
        value("2025-01-06T00:00:00+00:00"),
    )
    batch = answer(tmp_path, stated)()
    assert [f"{t:%m-%d %H:%M}" for t in batch.bars["event_time"]] == [
        "01-08 22:00",
        "01-09 22:00",
        "01-10 22:00",
    ]
    (reason,) = batch.rejected["reason"]
    assert "opens at 2025-01-06 00:00 UTC, and daily bars of the feed do so at 22:00 UTC" in reason


def test_rows_that_cannot_be_read_are_recorded_with_their_texts(tmp_path: Path) -> None:
    batch = answer(
        tmp_path,
        series(
            value("2025-01-10"),
            value("2025-01-09", close="1,09"),
            value("09/01/2025"),
            value("2025-01-08", high="1_1"),
            "nonsense",
            value("2025-01-07", close=None, volume=""),
            value("2025-01-06", open="inf"),
        ),
    )()
    assert list(batch.bars["event_time"].dt.day) == [7, 10]
    assert batch.bars["close"].isna().tolist() == [True, False]
    kept = batch.rejected[["event_date", "column", "value"]].to_dict("split")["data"]
    assert kept == [
        ["2025-01-09", "close", "1,09"],
        ["09/01/2025", "datetime", str(value("09/01/2025"))],
        ["2025-01-08", "high", "1_1"],
        ["None", "datetime", "nonsense"],
        ["2025-01-06", "open", "inf"],
    ]
    assert set(batch.rejected["check"]) == {"schema_and_types"}


@pytest.mark.parametrize("status", [200, 429])
def test_used_up_credits_are_an_error_that_says_until_when(tmp_path: Path, status: int) -> None:
    out = answers.as_json(vendors.OUT_OF_CREDITS, status)
    with pytest.raises(
        SourceError, match="run out of API credits for the current minute"
    ) as minute:
        answer(tmp_path, out, patience_seconds=0.001)()
    assert "wait until 20" in minute.value.message
    day = {"message": "You have run out of API credits for the day.", "code": 429}
    with pytest.raises(SourceError, match=r"wait until .* 00:00:0"):
        answer(tmp_path, answers.as_json(day | {"status": "error"}, status))()


@pytest.mark.parametrize(
    ("code", "said", "remedy"),
    [
        (401, "FX_ASSETS_TWELVE_DATA_KEY is set", "https://twelvedata.com"),
        (403, "available starting with", "plan"),
        (404, "missing or invalid", "EUR/USD"),
        (400, "missing or invalid", "EUR/USD"),
    ],
)
@pytest.mark.parametrize("status", [200, None])
def test_errors_inside_http_200_are_errors(
    tmp_path: Path, code: int, said: str, remedy: str, status: int | None
) -> None:
    message = {403: "This symbol is available starting with Grow plan.", 401: "**apikey** is wrong"}
    body = {"code": code, "message": message.get(code, "**symbol** is missing or invalid")}
    fault = answers.as_json(body | {"status": "error"}, status or code)
    with pytest.raises(SourceError) as caught:
        answer(tmp_path, fault)()
    assert said in caught.value.message
    assert remedy in caught.value.remedy


def test_an_error_500_inside_http_200_is_tried_again(tmp_path: Path) -> None:
    body = {"code": 500, "message": "Internal", "status": "error"}
    batch = answer(tmp_path, answers.as_json(body), series(value("2025-01-10")))()
    assert len(batch.bars) == 1


def test_the_form_of_a_batch_is_understood_with_its_errors_by_symbol(tmp_path: Path) -> None:
    inner = {"meta": {}, "values": [value("2025-01-10")], "status": "ok"}
    batch = answer(tmp_path, answers.as_json({"EUR/USD": inner}))()
    assert batch.bars["close"].tolist() == [1.09]
    wrong = {"code": 404, "message": "**symbol** not found: EUR/USD", "status": "error"}
    body = {"EUR/USD": wrong, "GBP/USD": inner}
    with pytest.raises(SourceError, match="not found: EUR/USD"):
        answer(tmp_path, answers.as_json(body))()


def test_without_a_key_the_error_says_which_variable_and_where_to_get_one(tmp_path: Path) -> None:
    for nothing in (None, "", "  "):
        with pytest.raises(SourceError, match="FX_ASSETS_TWELVE_DATA_KEY is not set") as caught:
            answer(tmp_path, twelve_data_key=nothing)()
        assert "https://twelvedata.com/account/api-keys" in caught.value.remedy
