"""Hours of a currency: over weekends, and when clocks change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from fx_assets.features import labelled_frame
from fx_assets.monitoring.freshness import feed_freshness
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets_tests.forecasts.systems import live, must, simulated
from fx_assets_tests.platform import Platform, failures

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
FEED = FeedSpec.model_validate(
    {
        "name": "eurusd_hourly",
        "source": {"kind": "simulated", "seed": 4, "instrument": "EURUSD", "price": 1.1},
        "calendar": "24x5",
        "frequency": "1h",
        "start": "2024-01-01",
    }
)
SPEC = ForecastSpec.model_validate(
    {
        "name": "hours",
        "feed": FEED.name,
        "target": {"kind": "direction"},
        "features": "ohlc",
        "candidates": ["persistence"],
        "walk_forward": {"first_test": "2000-01-01", "min_train": 200, "refit_every": 600},
        "live_from": "2024-03-08",
    }
)
WINTER_CLOSE = datetime(2024, 3, 8, 22, tzinfo=UTC)
"""17:00 in New York on the last Friday of winter time."""
SUMMER_OPEN = datetime(2024, 3, 10, 21, tzinfo=UTC)
"""17:00 in New York on the first Sunday of summer time."""


@pytest.fixture(scope="module")
def platform(new_folder: Callable[[], Path]) -> Iterator[Platform]:
    """On the last Friday of winter time until the first Monday of summer time."""
    with pytest.MonkeyPatch.context() as patch:
        platform = Platform(new_folder(), patch, [FEED], [SPEC])
        platform.travel(WINTER_CLOSE - 3 * HOUR + timedelta(minutes=1))
        must(platform.ingest("2024-01", "2024-03", feed=FEED.name), platform.retrain("hours"))
        for now in (WINTER_CLOSE - 2 * HOUR, WINTER_CLOSE, SUMMER_OPEN + 2 * HOUR):
            platform.travel(now + timedelta(minutes=1))
            must(platform.ingest("2024-03", "2024-03", feed=FEED.name))
            live(platform, SPEC, WINTER_CLOSE.date(), now.date())
        yield platform


def test_the_last_hour_of_a_week_decides_for_the_first_of_the_next(platform: Platform) -> None:
    rows = platform.lake.read("predictions", "hours").sort_values("event_time")
    targets = dict(zip(rows["event_time"], rows["target_time"], strict=True))
    assert targets == {
        WINTER_CLOSE - 3 * HOUR: WINTER_CLOSE - 2 * HOUR,
        WINTER_CLOSE - 2 * HOUR: WINTER_CLOSE - HOUR,
        WINTER_CLOSE - HOUR: WINTER_CLOSE,
        WINTER_CLOSE: SUMMER_OPEN + HOUR,
        SUMMER_OPEN + HOUR: SUMMER_OPEN + 2 * HOUR,
        SUMMER_OPEN + 2 * HOUR: SUMMER_OPEN + 3 * HOUR,
    }
    assert set(rows["mode"]) == {"live", "late"}
    outcomes = platform.lake.read("outcomes", "hours").set_index("event_time")["target"]
    close = platform.lake.prices(FEED.name).set_index("event_time")["close"]
    assert outcomes[WINTER_CLOSE] == float(close[SUMMER_OPEN + HOUR] > close[WINTER_CLOSE])
    assert len(outcomes) == len(rows) - 1


def test_a_weekend_is_no_outage_and_nothing_is_asked_for(platform: Platform) -> None:
    platform.travel(WINTER_CLOSE + 20 * HOUR)
    skipped = platform.tick(f"{FEED.name}_ingest", "2024-03-09T18:01+00:00")
    assert isinstance(skipped, dg.SkipReason)
    assert "has no new bar: weekend" in str(skipped.skip_message)
    prices = platform.lake.prices(FEED.name)
    none = pd.DataFrame()
    for now, missing in (
        (SUMMER_OPEN + HOUR, []),
        (SUMMER_OPEN + 3 * HOUR + timedelta(minutes=1), [SUMMER_OPEN + HOUR]),
    ):
        known = prices[prices["event_time"] <= WINTER_CLOSE]
        found = feed_freshness(FEED, prices=known, quality=none, sources=none, now=now)
        assert list(found.missing) == missing


def test_autumn_moves_the_first_close_of_the_week_by_an_hour() -> None:
    monday = datetime(2024, 11, 4, 12, tzinfo=UTC)
    spec = FEED.model_copy(update={"start": date(2024, 9, 20)})
    frame = labelled_frame(simulated(spec, monday, seed=4), SPEC, spec.market)
    last_of_summer = datetime(2024, 11, 1, 21, tzinfo=UTC)
    row = frame.set_index("event_time").loc[last_of_summer]
    assert row["target_time"] == datetime(2024, 11, 3, 23, tzinfo=UTC)
    assert np.isfinite(row["target"])
    between = frame["event_time"].between(last_of_summer + HOUR, row["target_time"] - HOUR)
    assert not between.any()


def test_months_may_be_loaded_one_by_one(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar that closes at midnight of the first belongs to the month that it begins."""
    spec = FEED.model_copy(update={"calendar": "24x7", "start": date(2024, 1, 20)})
    platform = Platform(new_folder(), monkeypatch, [spec], [])
    now = datetime(2024, 3, 2, tzinfo=UTC)
    platform.travel(now)
    for month in ("2024-01", "2024-02", "2024-03"):
        result = platform.ingest(month, month, feed=spec.name)
        assert result.success, failures(result)
    times = platform.lake.prices(spec.name)["event_time"]
    due = pd.date_range(datetime(2024, 1, 20, 1, tzinfo=UTC), now, freq="h", unit="us")
    assert list(times) == list(due)
