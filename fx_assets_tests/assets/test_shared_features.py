"""Features are stored once a feed and set; a lake that holds them once a forecast goes on."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.bundles.copies import copies_of
from fx_assets.explaining.explain import background_path
from fx_assets.stages.upkeep import versions_in_use
from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.before import features_once_a_forecast
from fx_assets_tests.platform import Platform, failures, forecast_spec, metadata

TOMORROW = "2018-03-29"
KEPT = ("backtest", "decisions", "predictions", "scores", "outcomes")
SHARED, OLD = "eurusd.fx_close", "direction"


@pytest.fixture
def before(platform: Platform) -> Platform:
    """A platform whose lake was written when each forecast had features of its own."""
    features_once_a_forecast(platform.lake, OLD, platform.frame())
    return platform


@pytest.mark.slow
def test_a_lake_with_features_once_a_forecast_goes_on_without_a_lost_row(
    before: Platform, rates: pd.DataFrame
) -> None:
    lake = before.lake
    assert lake.names("features") == [OLD]
    rows = {table: lake.read_or_empty(table, OLD) for table in KEPT}
    old = lake.read("features", OLD)
    before.arrive(rates, TOMORROW)
    assert before.ingest("2018").success
    result = before.run_requested(before.sensor())
    assert result.success, failures(result)
    assert list(before.predictions().index) == [TODAY, TOMORROW]
    assert (before.predictions()["mode"] == "live").all()
    result = before.retrain()
    assert result.success, failures(result)
    assert metadata(result, "direction/models/logistic_regression")["rows_added"] == 1
    for table, earlier in rows.items():
        later = lake.read(table, OLD)
        assert len(later) >= len(earlier)
        assert not _lost(earlier, later), table
    assert lake.read("features", SHARED)["event_time"].max() > old["event_time"].max()
    pd.testing.assert_frame_equal(lake.read("features", OLD), old)
    with duckdb.connect(str(before.folder / "fx.duckdb"), read_only=True) as database:
        found = database.sql("SELECT DISTINCT feed, feature_set FROM features").fetchall()
    assert found == [("eurusd", "fx_close")]


@pytest.mark.slow
def test_what_an_old_bundle_was_trained_on_stays_pinned_and_explains_it_again(
    before: Platform,
) -> None:
    lake, version = before.lake, load(before.lake, OLD).manifest.version
    pinned = load(lake, OLD).manifest.table_versions[f"features/{OLD}"]
    assert pinned in versions_in_use(lake)[f"features/{OLD}"]
    path = background_path(OLD, version)
    told = json.loads(lake.read_blob(path))
    _forget(before.folder, "*background.json")
    assert "background.json" not in copies_of(lake, OLD, version)
    result = before.predict(TODAY)
    assert result.success, failures(result)
    assert json.loads(lake.read_blob(path)) == told


@pytest.mark.slow
def test_a_second_forecast_on_the_feed_stores_no_features_of_its_own(platform: Platform) -> None:
    platform.forecasts.append(
        forecast_spec(name="moves", target={"kind": "return"}, candidates=["historical_mean"])
    )
    platform.reload()
    versions = platform.versions()
    result = platform.retrain("moves")
    assert result.success, failures(result)
    assert platform.lake.names("features") == [SHARED]
    assert platform.versions()[f"features/{SHARED}"] == versions[f"features/{SHARED}"]
    one, other = platform.frame(), platform.frame("moves")
    differ = [name for name in one if not one[name].equals(other[name])]
    assert differ == ["series", "target", "baseline_mean", "last_target"]
    assert load(platform.lake, "moves").manifest.table_versions[f"features/{SHARED}"] == 0


def _lost(earlier: pd.DataFrame, later: pd.DataFrame) -> set[int]:
    """Rows by their hash that are gone."""

    def hashes(rows: pd.DataFrame) -> set[int]:
        return set(pd.util.hash_pandas_object(rows[list(earlier)], index=False))

    return hashes(earlier) - hashes(later)


def _forget(folder: Path, pattern: str) -> None:
    for file in folder.rglob(pattern):
        file.unlink()
