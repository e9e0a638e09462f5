"""A vendor's feed through real Dagster runs: what is stored, and that no key is."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from fx_assets.testing.vendors import answers
from fx_assets.testing.vendors.apis import KEYS, VendorServer
from fx_assets_tests.platform import Platform, failures
from fx_assets_tests.sources.vendor_cases import NOW, bars_of, feed, served

KEY = KEYS["twelve_data"]


def platform_of(server: VendorServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    spec = feed("twelve_data", name="eurusd", start="2024-06-03")
    platform = Platform(folder, monkeypatch, [spec], [], server.env)
    platform.travel(NOW)
    return platform


def test_runs_fetch_once_then_only_what_is_new_and_keep_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = feed("twelve_data", start="2024-06-03")
    frame = bars_of(spec, date(2024, 5, 1))
    with VendorServer({"EUR/USD": frame}, NOW) as server:
        platform = platform_of(server, tmp_path, monkeypatch)
        first = platform.ingest("2024", "2025")
        assert first.success, failures(first)
        stored = platform.lake.read("raw_prices", "eurusd")
        assert len(stored) == len(served(frame, datetime(2024, 6, 3, 4, tzinfo=NOW.tzinfo)))
        assert platform.lake.read("quarantine", "eurusd")["check"].tolist() == ["vendor_quirk"]

        server.now = NOW + timedelta(days=1)
        platform.travel(server.now)
        second = platform.ingest("2024", "2025")
        assert second.success, failures(second)
        assert len(platform.lake.read("raw_prices", "eurusd")) == len(stored) + 1
        newest = server.requests("twelve_data")[-1].query["start_date"]
        assert newest > "2025-01-05", "the newest bars only"

        echo = {"code": 401, "message": f"The key {KEY} is wrong", "status": "error"}
        server.fault("twelve_data", answers.as_json(echo))
        third = platform.ingest("2024", "2025")
        assert not third.success
        assert "FX_ASSETS_TWELVE_DATA_KEY is set" in failures(third)
        runs = (first.run_id, second.run_id, third.run_id)
        told = [str(entry) for run in runs for entry in platform.instance.all_logs(run)]
        assert any("(key) is wrong" in text for text in told)
        assert not [text for text in told if KEY in text]
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert not [path for path in kept if KEY.encode() in path.read_bytes()]
