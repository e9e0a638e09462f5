"""The hourly return of Bitcoin: candles of Coinbase, of Kraken where Coinbase does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from fx_assets.assets.automation import RANGE_END, RANGE_START
from fx_assets.resources import resources
from fx_assets.specs.series import series_of
from fx_assets.testing.vendors.answers import as_json
from fx_assets.testing.vendors.exchanges import running
from fx_assets_tests.forecasts.systems import (
    KRAKEN,
    Traded,
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

HOUR = timedelta(hours=1)
NOON = datetime(2024, 2, 28, 12, tzinfo=UTC)
LATER = timedelta(seconds=70)
"""After a bar's close, when the schedule has run."""
HOLE = datetime(2024, 2, 10, 7, tzinfo=UTC)
"""A close for which nobody has a candle."""
PRICES = ["open", "high", "low", "close", "volume"]
BLOCKED = as_json({"message": "Unavailable for legal reasons"}, 451)
FEED = declared_feed("btcusd_hourly", "2023-11-25")
SMALL = {
    "random_forest": {"n_estimators": 20, "min_samples_leaf": 50},
    "lightgbm": {"n_estimators": 30},
    "xgboost": {"n_estimators": 30},
}
SPEC = declared_forecast(
    "btcusd_hourly_return", "2024-02-28", min_train=400, refit_every=600, params=SMALL
)
NAME = SPEC.name
SERIES = series_of(SPEC, FEED).id


@dataclass
class Lived:
    """A day at noon, and the hours after it as they come."""

    platform: Platform
    exchange: Traded
    bars: pd.DataFrame
    noon: Any
    one: Any
    predicted: Any

    def at(self, instant: datetime) -> None:
        self.platform.travel(instant)
        self.exchange.now = int(instant.timestamp())

    def look(self, sensor: str, cursor: str | None = None) -> Any:
        found = self.platform.definitions.resolve_sensor_def(sensor)
        lake = {"lake": resources()["lake"]}
        with dg.build_sensor_context(
            self.platform.instance, cursor=cursor, resources=lake
        ) as context:
            return found.evaluate_tick(context)


@pytest.fixture(scope="module")
def lived(new_folder: Callable[[], Path]) -> Iterator[Lived]:
    """Noon from Coinbase, one o'clock from Kraken; the candle of two o'clock is nobody's."""
    bars = simulated(FEED, NOON + 36 * HOUR, seed=3, price=40_000.0, annual_volatility=0.5)
    bars = bars[~bars["event_time"].isin([HOLE, NOON + 2 * HOUR])].reset_index(drop=True)
    bars[PRICES] = bars[PRICES].round(1)
    exchange = Traded.of(bars, NOON)
    with pytest.MonkeyPatch.context() as patch, running(exchange):
        import ccxt

        patch.setattr(ccxt.Exchange, "throttle", lambda *_: None)
        environment = {"FX_ASSETS_CCXT_URL": exchange.url}
        platform = Platform(new_folder(), patch, [FEED], [SPEC], environment)
        lived = Lived(platform, exchange, bars, None, None, None)
        lived.at(NOON + LATER)
        lived.noon = must(platform.ingest("2023-11", "2024-02", feed=FEED.name))
        must(platform.retrain(NAME))
        live(platform, SPEC, NOON.date())
        lived.at(NOON + HOUR + LATER)
        exchange.faults = [BLOCKED]
        exchange.asked.clear()
        lived.one = must(platform.ingest("2024-02", "2024-02", feed=FEED.name))
        lived.predicted = live(platform, SPEC, NOON.date())
        yield lived


def test_bars_are_the_finished_candles_and_none_is_invented(lived: Lived) -> None:
    prices = lived.platform.lake.prices(FEED.name)
    until = lived.bars[lived.bars["event_time"] <= prices["event_time"].max()]
    assert list(prices["event_time"]) == list(until["event_time"])
    assert np.array_equal(prices[PRICES].to_numpy()[:-1], until[PRICES].to_numpy()[:-1])
    assert HOLE not in set(prices["event_time"])
    assert set(failed_checks(lived.noon)) == set()


def test_nothing_is_predicted_of_a_candle_that_does_not_exist_and_no_label_spans_it(
    lived: Lived,
) -> None:
    frame = lived.platform.frame(NAME).set_index("event_time")
    assert HOLE not in frame.index
    before = frame.loc[HOLE - HOUR]
    assert np.isnan(before["target"])
    assert pd.isna(before["label_available_at"])
    assert before["target_time"] == HOLE
    tested = lived.platform.lake.read("backtest", NAME)
    assert HOLE - HOUR not in set(tested["event_time"])
    assert frame.loc[HOLE + HOUR]["target_time"] == HOLE + 2 * HOUR


def test_where_coinbase_is_blocked_kraken_brings_the_new_bar_and_changes_no_old_one(
    lived: Lived,
) -> None:
    said = failed_checks(lived.one)
    assert set(said) == {"live_source"}
    assert "Fell back to ccxt-kraken" in said["live_source"]
    assert "coinbase is blocked from this location (HTTP 451)" in said["live_source"]
    raw = lived.platform.lake.read("raw_prices", FEED.name).sort_values("ingested_at")
    assert raw["event_time"].is_unique
    by = raw.set_index("event_time")["source"]
    assert by[NOON + HOUR] == "ccxt-kraken"
    assert set(by[by.index <= NOON]) == {"ccxt-coinbase"}
    close = lived.bars.set_index("event_time")["close"][NOON + HOUR]
    assert raw["close"].iloc[-1] == pytest.approx(close * KRAKEN, abs=0.06)
    assert metadata(lived.one, f"{FEED.name}/raw_prices")["bars_known_from_others"] >= 3


def test_each_hour_decides_for_the_next_one_and_is_scored_when_that_is_over(
    lived: Lived,
) -> None:
    first, second = row_of(lived.platform, SPEC, NOON), row_of(lived.platform, SPEC, NOON + HOUR)
    assert (first["decision_time"], first["target_time"]) == (NOON, NOON + HOUR)
    assert (second["decision_time"], second["target_time"]) == (NOON + HOUR, NOON + 2 * HOUR)
    assert first["as_of_close"] == lived.bars.set_index("event_time")["close"][NOON]
    assert_scored(lived.platform, SPEC, NOON)
    said = metadata(lived.predicted, f"{NAME}/predictions")["latest"]
    implied = second["as_of_close"] * np.exp(second["prediction"])
    assert "as of 2024-02-28 13:00, for 2024-02-28 14:00 UTC: log return" in said
    assert f"({implied:.4f})" in said


def test_every_declared_candidate_was_judged_and_nothing_was_seen_before_its_time(
    lived: Lived,
) -> None:
    decision = assert_honest(lived.platform, SPEC)
    assert decision.trials == len(SPEC.candidates)


def test_hours_that_are_asked_for_again_come_out_the_same(lived: Lived) -> None:
    assert_reproduced(lived.platform, SPEC, NOON.date())


def test_the_hourly_forecast_is_watched_once_a_day(lived: Lived) -> None:
    asked = lived.look(f"{NAME}_is_watched")
    (request,) = asked.run_requests
    assert request.run_key == f"2024-02-28, 2 decisions, series {SERIES}"
    result = must(lived.platform.run(f"{NAME}_monitor"))
    said = metadata(result, f"{NAME}/drift_report")["sentence"]
    assert "Drift thresholds need" in said, "two years of hours, and there are three months"
    again = lived.look(f"{NAME}_is_watched", asked.cursor)
    assert "Looked at already" in again.skip_message


def test_schedule_and_sensors_follow_the_hours(lived: Lived) -> None:
    platform, feed = lived.platform, FEED.name

    def asked(request: Any) -> tuple[str, str]:
        assert isinstance(request, dg.RunRequest), request
        return request.tags[RANGE_START], request.tags[RANGE_END]

    settled(platform)

    # The candle of two o'clock never comes, which is no outage while there are others.
    lived.at(NOON + 2 * HOUR + LATER)
    tick = (NOON + 2 * HOUR + timedelta(minutes=1)).isoformat()
    request = platform.tick(f"{feed}_ingest", tick)
    assert asked(request) == ("2024-02", "2024-02")
    must(platform.run_requested(request_of(request, feed)))
    settled(platform)
    waits = lived.look(f"{feed}_is_fresh")
    assert "waits for the bar of 2024-02-28 14:00" in waits.skip_message

    lived.at(NOON + 4 * HOUR + LATER)
    late = lived.look(f"{feed}_is_fresh", waits.cursor)
    (request,) = late.run_requests
    assert asked(request) == ("2024-02", "2024-02")
    assert "lacks 1 bar (2024-02-28 14:00)" in request.tags["reason"]
    must(platform.run(f"{feed}_ingest", request.tags))
    over = lived.look(f"{feed}_is_fresh", late.cursor)
    assert not over.run_requests
    assert "has every bar that is due" in over.skip_message

    request = platform.sensor(NAME)
    assert asked(request) == ("2024-02-28", "2024-02-28")
    must(platform.run_requested(request))
    issued = platform.lake.read("predictions", NAME)["event_time"]
    assert sorted(issued) == [NOON + h * HOUR for h in (0, 1, 3, 4)]
    scored = platform.lake.read("outcomes", NAME)["event_time"]
    assert set(scored) == {NOON, NOON + 3 * HOUR}, "what became of one o'clock nobody knows"
    # Coinbase is there again, and its candle of one o'clock counts from now on.
    assert list(scored).count(NOON) == 2
    by = platform.lake.prices(feed).set_index("event_time")["source"]
    assert by[NOON + HOUR] == "ccxt-coinbase"
    settled(platform)
    fresh = lived.look(f"{NAME}_is_fresh")
    assert not fresh.run_requests


def test_at_the_turn_of_the_month_both_months_are_asked_for(lived: Lived) -> None:
    midnight = datetime(2024, 3, 1, tzinfo=UTC)
    lived.at(midnight + LATER)
    request = lived.platform.tick(f"{FEED.name}_ingest", "2024-03-01T00:01+00:00")
    assert isinstance(request, dg.RunRequest)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2024-02", "2024-03")
    must(lived.platform.run(f"{FEED.name}_ingest", request.tags))
    prices = lived.platform.lake.prices(FEED.name)["event_time"]
    assert prices.max() == midnight
    request = lived.platform.sensor(NAME)
    assert isinstance(request, dg.RunRequest)
    days = (request.tags[RANGE_START], request.tags[RANGE_END])
    assert days == ("2024-02-28", "2024-02-29"), "midnight ends a day"
    # A new day is a reason to look again.
    must(lived.platform.run_requested(request))
    (watch,) = lived.look(f"{NAME}_is_watched", "2024-02-28, 2 decisions").run_requests
    assert watch.run_key == f"2024-02-29, 2 decisions, series {SERIES}"


def settled(platform: Platform) -> None:
    """Every known bar has its prediction, once what became of the others is written down."""
    request = platform.sensor(NAME)
    if isinstance(request, dg.RunRequest):
        assert request.tags["reason"] == "outcomes are known that are not in their table"
        must(platform.run_requested(request))
        request = platform.sensor(NAME)
    assert "Every known bar" in str(request)


def request_of(request: Any, feed: str) -> dg.RunRequest:
    return dg.RunRequest(job_name=f"{feed}_ingest", tags=request.tags)
