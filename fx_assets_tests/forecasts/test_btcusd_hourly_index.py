"""The hourly variance of Bitcoin from CoinDesk's index, issued and served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.testing.lakes.server_process import serving
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
from fx_assets_tests.platform import Platform, failed_checks

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
EVENING = datetime(2024, 10, 27, 23, tzinfo=UTC)
LATER = timedelta(seconds=70)
PRICES = ["open", "high", "low", "close", "volume"]
FEED = declared_feed("btcusd_hourly_index", "2024-07-27")
SPEC = declared_forecast(
    "btcusd_hourly_volatility",
    "2024-10-27",
    min_train=400,
    refit_every=600,
    params={"xgboost": {"n_estimators": 30}},
)
NAME = SPEC.name
CALLED = {
    "exponential smoothing (0.94)",
    "exponential smoothing (0.94, a quarter the same hour's mean)",
}
LATEST, BY_BARS = (f"/v1/forecasts/{NAME}/{what}" for what in ("latest", "predict/bars"))


@dataclass
class Lived:
    """Two hours, the second of which ends the day."""

    platform: Platform
    bars: pd.DataFrame
    runs: list[Any]


@pytest.fixture(scope="module")
def lived(new_folder: Callable[[], Path]) -> Iterator[Lived]:
    bars = simulated(FEED, EVENING + 2 * HOUR, seed=8, price=60_000.0, annual_volatility=0.5)
    with pytest.MonkeyPatch.context() as patch, VendorServer({"BTC-USD": bars}) as server:
        platform = Platform(new_folder(), patch, [FEED], [SPEC], server.env)
        runs = []
        for now in (EVENING, EVENING + HOUR):
            server.now = now + LATER
            platform.travel(server.now)
            runs.append(must(platform.ingest("2024-07", "2024-10", feed=FEED.name)))
            if now == EVENING:
                must(platform.retrain(NAME))
            live(platform, SPEC, EVENING.date())
        yield Lived(platform, bars, runs)


def test_the_index_is_stored_as_it_was_given_without_the_hour_that_is_not_over(
    lived: Lived,
) -> None:
    prices = lived.platform.lake.prices(FEED.name)
    until = lived.bars[lived.bars["event_time"] <= EVENING + HOUR]
    pd.testing.assert_frame_equal(
        prices[["event_time", *PRICES]], until[["event_time", *PRICES]].reset_index(drop=True)
    )
    assert set(prices["source"]) == {"cryptocompare"}
    assert [failed_checks(run) for run in lived.runs] == [{}, {}]


def test_each_hour_decides_for_the_next_one_and_is_scored_when_that_is_over(
    lived: Lived,
) -> None:
    first, second = (row_of(lived.platform, SPEC, EVENING + h * HOUR) for h in (0, 1))
    assert (first["decision_time"], first["target_time"]) == (EVENING, EVENING + HOUR)
    assert (second["day"], second["target_time"]) == ("2024-10-27", EVENING + 2 * HOUR)
    assert first["lower"] < first["prediction"] < first["upper"]
    assert_scored(lived.platform, SPEC, EVENING)


def test_the_champion_has_shown_skill_on_a_variance_that_persists(lived: Lived) -> None:
    decision = assert_honest(lived.platform, SPEC)
    assert decision.trials == len(SPEC.candidates)
    assert decision.champion != SPEC.baseline.name
    assert decision.claim is not None
    assert (decision.claim.baseline.skill or 0) > 0
    assert decision.claim.reference.benchmark in CALLED


def test_hours_that_are_asked_for_again_come_out_the_same(lived: Lived) -> None:
    assert_reproduced(lived.platform, SPEC, EVENING.date())


def test_the_server_says_what_was_issued_also_of_the_same_bars_posted(lived: Lived) -> None:
    platform = lived.platform
    issued = row_of(platform, SPEC, EVENING + HOUR)
    bars = platform.lake.prices(FEED.name)
    posted = [
        {"event_time": at.isoformat(), **dict(zip(PRICES, cells, strict=True))}
        for at, *cells in bars[["event_time", *PRICES]].itertuples(index=False)
    ]
    with serving(platform.folder / "data" / "lake", platform.folder / "server") as server:
        latest = server.client.get(LATEST)
        assert latest.status_code == 200, latest.text
        answer = latest.json()
        assert answer["value"] == issued["prediction"]
        assert pd.Timestamp(answer["target_time"]) == EVENING + 2 * HOUR
        verdict = answer["skill"]["verdict"]
        assert answer["skill"]["demonstrated"] is (verdict["word"] == "demonstrated")
        assert verdict["reference"]["name"] in CALLED
        again = server.client.post(BY_BARS, json={"bars": posted})
        assert again.status_code == 200, again.text
        supplied = again.json()
        assert supplied["mode"] == "supplied"
        assert supplied["value"] == issued["prediction"]
        assert supplied["baseline"]["value"] == issued["baseline"]
        assert supplied["target_time"] == answer["target_time"]
        undated = [{"day": "2024-10-27", "close": bar["close"]} for bar in posted]
        refused = server.client.post(BY_BARS, json={"bars": undated})
        assert refused.status_code == 409
        assert "event_time" in refused.text
