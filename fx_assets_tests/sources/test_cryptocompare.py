from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from fx_assets.errors import SourceError
from fx_assets.sources import Batch, Wanted, fetch_bars
from fx_assets.testing.vendors import answers
from fx_assets.testing.vendors import apis as vendors
from fx_assets.testing.vendors.apis import VendorServer
from fx_assets_tests.sources.vendor_cases import NOW, assert_same, bars_of, feed, served

OHLCV = ["open", "high", "low", "close", "volume"]


def entry(opened: str, **cells: Any) -> dict[str, Any]:
    at = int(datetime.fromisoformat(opened).replace(tzinfo=UTC).timestamp())
    prices = {"OPEN": 1.0, "HIGH": 2.0, "LOW": 0.5, "CLOSE": 1.5, "VOLUME": 9.0}
    return {"UNIT": "HOUR", "TIMESTAMP": at} | prices | cells


def fetch(folder: Path, *answers: Any, **changes: Any) -> Batch:
    spec = feed("cryptocompare", frequency="1h", start="2025-01-14")
    with VendorServer({"BTC-USD": bars_of(spec, date(2025, 1, 13))}, NOW) as server:
        server.fault("cryptocompare", *answers)
        return fetch_bars(spec, server.settings(**changes), NOW, folder)


def test_hourly_bars_are_paged_backwards_without_gap_or_repetition(tmp_path: Path) -> None:
    spec = feed("cryptocompare", frequency="1h", start="2024-06-01")
    frame = bars_of(spec, date(2024, 5, 1))
    pause = (frame["event_time"] > "2024-07-01 05:00Z") & (frame["event_time"] <= "2024-07-01 09Z")
    frame = frame[~pause].reset_index(drop=True)
    with VendorServer({"BTC-USD": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        requests = server.requests("cryptocompare")
    assert_same(batch.bars, served(frame, datetime(2024, 6, 1, tzinfo=UTC)), OHLCV)
    assert batch.bars["event_time"].max().hour == 12, "the hour of now is unfinished"
    assert len(requests) == 3
    assert {request.query["fill"] for request in requests} == {"false"}
    assert max(int(request.query["limit"]) for request in requests) == 2_000
    assert batch.provenance.notes == ""


@pytest.mark.parametrize(("frequency", "path"), [("1min", "minutes"), ("1d", "days")])
def test_minutes_and_days_have_their_own_addresses(
    tmp_path: Path, frequency: str, path: str
) -> None:
    spec = feed("cryptocompare", frequency=frequency, start="2025-01-13")
    frame = bars_of(spec, date(2025, 1, 12))
    with VendorServer({"BTC-USD": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert {r.path for r in server.asked} == {f"/index/cc/v1/historical/{path}"}
    assert_same(batch.bars, served(frame, datetime(2025, 1, 13, tzinfo=UTC)), OHLCV)


def test_the_end_of_the_history_is_a_404_and_is_noted(tmp_path: Path) -> None:
    spec = feed("cryptocompare", start="2010-01-01")
    frame = bars_of(spec, date(2024, 12, 30))
    with VendorServer({"BTC-USD": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert_same(batch.bars, served(frame, datetime(2010, 1, 1, tzinfo=UTC)), OHLCV)
        assert "no bars of BTC-USD up to 2024-12-29" in batch.provenance.notes
        long_ago = Wanted(((datetime(2011, 1, 1, tzinfo=UTC), datetime(2011, 2, 1, tzinfo=UTC)),))
        assert fetch_bars(spec, server.settings(), NOW, tmp_path, long_ago).bars.empty


def test_an_unknown_pair_is_an_error(tmp_path: Path) -> None:
    spec = feed("cryptocompare", source={"kind": "cryptocompare", "pair": "NO-SUCH"})
    with VendorServer({}, NOW) as server:
        with pytest.raises(SourceError, match="No instrument NO-SUCH") as caught:
            fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert "NO-SUCH" in caught.value.remedy
        silent = {"Data": {}, "Err": {"type": 1, "message": "Not found"}}
        server.fault("cryptocompare", answers.as_json(silent, 404))
        with pytest.raises(SourceError, match="refuses: Not found"):
            fetch_bars(spec, server.settings(), NOW, tmp_path)


def test_a_rate_limit_in_the_legacy_form_is_recognised(tmp_path: Path) -> None:
    limit = answers.as_json(vendors.LEGACY_LIMIT)
    assert len(fetch(tmp_path, limit).bars) == 36
    with pytest.raises(SourceError, match="limits requests: You are over your rate limit"):
        fetch(tmp_path, limit, limit, limit)
    other = {"Response": "Error", "Message": "fsym is a required param."}
    with pytest.raises(SourceError, match="fsym is a required param"):
        fetch(tmp_path, answers.as_json(other))
    with pytest.raises(SourceError, match="refuses: no"):
        fetch(tmp_path, answers.as_json({"Data": {}, "Err": {"message": "no"}}))
    with pytest.raises(SourceError, match="CRYPTOCOMPARE_URL") as caught:
        fetch(tmp_path, answers.as_json({"detail": "no such page"}, 404))
    assert "no such page" in caught.value.message


def test_entries_that_cannot_be_read_are_recorded(tmp_path: Path) -> None:
    data = [
        entry("2025-01-13T23:00"),
        entry("2025-01-14T00:00", CLOSE="much"),
        entry("2025-01-14T01:00", TIMESTAMP="then"),
        "nonsense",
        entry("2025-01-14T02:00", VOLUME=None),
        entry("2025-01-14T02:00", VOLUME=None),
        entry("2025-01-14T03:00"),
        entry("2025-01-14T03:00", CLOSE=1.75),
    ]
    batch = fetch(tmp_path, answers.as_json({"Data": data, "Err": {}}))
    assert batch.bars["event_time"].dt.hour.tolist() == [3, 4, 4], "the gate sees what differs"
    assert batch.bars["volume"].isna().tolist() == [True, False, False]
    assert batch.rejected["column"].tolist() == ["close", "TIMESTAMP", "TIMESTAMP"]
    assert batch.rejected["value"].tolist()[0] == "much"
