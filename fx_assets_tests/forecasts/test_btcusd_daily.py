"""The daily direction of Bitcoin: CoinGecko's CSV for the past, its API for what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.testing.vendors import answers
from fx_assets.testing.vendors import apis as vendors
from fx_assets.testing.vendors.apis import VendorServer
from fx_assets_tests.forecasts.systems import (
    assert_honest,
    assert_reproduced,
    assert_scored,
    declared_feed,
    declared_forecast,
    live,
    must,
    row_of,
    simulated,
)
from fx_assets_tests.platform import Platform, failed_checks, metadata

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
FRIDAY = datetime(2024, 6, 15, tzinfo=UTC)
"""Midnight, at which Friday ends."""
KNOWN = timedelta(minutes=40)
"""After midnight, when CoinGecko shows the day."""
COLUMNS = ["close", "market_cap", "volume"]
FEED = declared_feed("btcusd_daily", "2020-03-01")
SPEC = declared_forecast("btcusd_daily_direction", "2024-06-01", min_train=250, refit_every=600)
NAME = SPEC.name


def world() -> pd.DataFrame:
    bars = simulated(FEED, FRIDAY + 3 * DAY, seed=2, price=8_000.0, annual_volatility=0.6)
    return bars[["event_time", *COLUMNS]].round(dict.fromkeys(COLUMNS, 2))


def csv(bars: pd.DataFrame) -> str:
    """CoinGecko's download."""
    rows = [
        f"{row.event_time:%Y-%m-%d %H:%M:%S} UTC,{row.close!r},{row.market_cap!r},{row.volume!r}"
        for row in bars.itertuples()
    ]
    return "\n".join(["snapped_at,price,market_cap,total_volume", *rows, ""])


@dataclass
class Lived:
    """Friday, when CoinGecko limits requests, and Saturday, when it answers."""

    platform: Platform
    bars: pd.DataFrame
    runs: list[Any]
    trained: Any


@pytest.fixture(scope="module")
def lived(new_folder: Callable[[], Path]) -> Iterator[Lived]:
    bars = world()
    folder = new_folder()
    imported = folder / "data" / "import" / "btcusd" / "btc-usd-max.csv"
    imported.parent.mkdir(parents=True)
    imported.write_text(csv(bars[bars["event_time"] <= FRIDAY]))
    with pytest.MonkeyPatch.context() as patch, VendorServer({"bitcoin": bars}) as server:
        platform = Platform(folder, patch, [FEED], [SPEC], server.env)
        lived = Lived(platform, bars, [], None)
        server.fault("coingecko", answers.as_json(vendors.COINGECKO_LIMIT, 429))
        for now in (FRIDAY + KNOWN, FRIDAY + DAY + KNOWN):
            server.now = now
            platform.travel(now)
            first = "2020" if not lived.runs else "2024"
            lived.runs.append(must(platform.ingest(first, "2024", feed=FEED.name)))
            if lived.trained is None:
                lived.trained = must(platform.retrain(NAME))
            live(platform, SPEC, (now - DAY).date())
        yield lived


def test_the_download_stands_in_and_every_row_says_so(lived: Lived) -> None:
    first, second = (failed_checks(run) for run in lived.runs)
    assert set(first) == {"live_source"}
    assert "CoinGecko limits requests" in first["live_source"]
    assert second == {}
    prices = lived.platform.lake.prices(FEED.name)
    until = lived.bars[lived.bars["event_time"] <= FRIDAY + DAY].reset_index(drop=True)
    pd.testing.assert_frame_equal(prices[["event_time", *COLUMNS]], until)
    assert list(prices["source"]) == ["files"] * (len(prices) - 1) + ["coingecko"]


def test_each_day_decides_for_the_next_one_at_weekends_too(lived: Lived) -> None:
    first, second = (row_of(lived.platform, SPEC, FRIDAY + i * DAY) for i in (0, 1))
    assert (first["day"], second["day"]) == ("2024-06-14", "2024-06-15")
    delay = timedelta(minutes=35)
    assert (first["decision_time"], first["target_time"]) == (FRIDAY + delay, FRIDAY + DAY)
    assert (second["decision_time"], second["target_time"]) == (
        FRIDAY + DAY + delay,
        FRIDAY + 2 * DAY,
    )
    assert 0 < first["lower"] <= first["prediction"] <= first["upper"] < 1
    assert_scored(lived.platform, SPEC, FRIDAY)


def test_every_declared_candidate_was_judged_and_nothing_was_seen_before_its_time(
    lived: Lived,
) -> None:
    decision = assert_honest(lived.platform, SPEC)
    assert decision.trials == len(SPEC.candidates)
    for candidate in SPEC.all_candidates:
        assert "| pr_auc |" in metadata(lived.trained, f"{NAME}/models/{candidate.name}")["scores"]


def test_a_day_that_is_asked_for_again_comes_out_the_same(lived: Lived) -> None:
    assert_reproduced(lived.platform, SPEC, FRIDAY.date())


def test_a_year_of_free_history_is_enough_to_begin_with(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few rows nothing is promised: the coverage of intervals is not known."""
    spec = declared_forecast("btcusd_daily_direction", "2024-06-01", min_train=100, refit_every=200)
    with VendorServer({"bitcoin": world()}, FRIDAY + KNOWN) as server:
        platform = Platform(new_folder(), monkeypatch, [FEED], [spec], server.env)
        platform.travel(FRIDAY + KNOWN)
        result = must(platform.ingest("2020", "2024", feed=FEED.name))
        assert len(platform.lake.prices(FEED.name)) == 365
        must(platform.retrain(NAME))
        live(platform, spec, (FRIDAY - DAY).date())
        assert "reaches back 365 days" in metadata(result, f"{FEED.name}/raw_prices")["notes"]
        champion = load(platform.lake, NAME).manifest
        assert champion.candidate == "base_rate"
        assert champion.skill.interval_coverage is None
        assert row_of(platform, spec, FRIDAY)["champion"] == "base_rate"


def test_a_download_gives_what_lies_before_the_free_history(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bars, folder = world(), new_folder()
    imported = folder / "data" / "import" / "btcusd" / "btc-usd-max.csv"
    imported.parent.mkdir(parents=True)
    imported.write_text(csv(bars[bars["event_time"] <= FRIDAY - 100 * DAY]))
    with VendorServer({"bitcoin": bars}, FRIDAY + KNOWN) as server:
        platform = Platform(folder, monkeypatch, [FEED], [], server.env)
        platform.travel(FRIDAY + KNOWN)
        result = must(platform.ingest("2020", "2024", feed=FEED.name))
        prices = platform.lake.prices(FEED.name)
        known = bars[bars["event_time"] <= FRIDAY].reset_index(drop=True)
        pd.testing.assert_frame_equal(prices[["event_time", *COLUMNS]], known)
        older = len(known) - 365
        assert list(prices["source"]) == ["files"] * older + ["coingecko"] * 365
        said = metadata(result, f"{FEED.name}/raw_prices")["notes"]
        assert f"{older} older bars are from files" in said
        assert failed_checks(result) == {}
