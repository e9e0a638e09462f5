"""A provider that replaces its history under one and the same reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.assets.automation import range_tags
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec
from fx_assets.specs.series import series_of
from fx_assets.stages.asking import ACCEPT_TAG, ALL, RELOAD_TAG
from fx_assets.stages.due import retrain_reason
from fx_assets.tables import CHAIN_COLUMNS
from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.platform import (
    Platform,
    evening,
    failed_checks,
    failures,
    feed_spec,
    forecast_spec,
)

pytestmark = pytest.mark.slow

THURSDAY = "2018-03-29"
ABOUT = ["series", "ingested_at", "issued_at", "decided_at", "champion_decided_at"]


def feed(**changes: object) -> FeedSpec:
    source = {"kind": "files", "path": "in/*.csv", "instrument": "EURUSD"}
    return feed_spec(source=source, **changes)


def home(folder: Path, patch: pytest.MonkeyPatch, spec: FeedSpec) -> Platform:
    folder.mkdir(exist_ok=True)
    forecast = forecast_spec(candidates=["persistence"], live_from=None)
    return Platform(folder, patch, feeds=[spec], forecasts=[forecast])


def write(platform: Platform, table: pd.DataFrame, until: str) -> None:
    (platform.folder / "in").mkdir(exist_ok=True)
    kept = table[:until].reset_index()  # type: ignore[misc]
    kept.columns = ["date", "close"]
    kept.to_csv(platform.folder / "in" / "eurusd.csv", index=False)


def replaced(rates: pd.DataFrame) -> pd.DataFrame:
    noise = 1 + 1e-4 * np.random.default_rng(2).standard_normal(rates.shape)
    return (rates * noise).round(5)


def must(result: Any) -> None:
    assert result.success, failures(result)


def accept(platform: Platform) -> Any:
    tags = {ACCEPT_TAG: "yes", RELOAD_TAG: ALL, **range_tags("2014", "2018")}
    return platform.run("eurusd_ingest", tags)


def said(platform: Platform, series: str) -> dict[str, pd.DataFrame]:
    """Backtests, decisions and predictions of a series, without when they were made."""
    tables = {name: platform.lake.read(name, "direction") for name in ("backtest", "predictions")}
    return {
        name: table[table["series"] == series]
        .drop(columns=[c for c in [*ABOUT, "table_versions"] if c in table])
        .drop(columns=[c for c in table if c in {"fold_key", "row_key", "run_id"}])
        .sort_values(["event_time", *(["recipe"] if name == "backtest" else [])])
        .reset_index(drop=True)
        for name, table in tables.items()
    }


def test_a_replaced_history_is_refused_with_a_remedy_and_is_then_judged_as_at_a_first_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: pd.DataFrame
) -> None:
    platform = home(tmp_path / "old", monkeypatch, feed())
    platform.travel(evening(TODAY))
    write(platform, rates, TODAY)
    must(platform.ingest())
    must(platform.retrain())
    must(platform.predict(TODAY))
    before = platform.predictions()

    platform.travel(evening(THURSDAY))
    write(platform, replaced(rates), THURSDAY)
    refused = platform.ingest()
    assert not refused.success
    assert "set edition: 2 in the feed eurusd" in failed_checks(refused)["revisions"]

    must(accept(platform))
    judged = platform.retrain()
    assert not judged.success, "each training label was revised after its fold was forecast"
    assert "labels were revised long after they were first known" in failures(judged)
    assert "Raise edition: in the feed eurusd by one" in failures(judged)
    must(platform.predict(THURSDAY))
    assert THURSDAY in platform.predictions().index, "the champion predicts meanwhile"

    platform.feeds[:] = [feed(edition=2)]
    platform.reload()
    must(platform.ingest())
    assert retrain_reason(SeriesTables(platform.lake, platform.forecasts[0], platform.feeds[0]))
    must(platform.retrain())
    must(platform.predict(THURSDAY))
    series = series_of(platform.forecasts[0], platform.feeds[0]).id
    found = said(platform, series)

    fresh = home(tmp_path / "new", monkeypatch, feed(edition=2))
    fresh.travel(evening(THURSDAY))
    write(fresh, replaced(rates), THURSDAY)
    must(fresh.ingest())
    must(fresh.retrain())
    must(fresh.predict(THURSDAY))
    for name, table in said(fresh, series).items():
        own = {"champion_version", "code_version", *CHAIN_COLUMNS}
        columns = [c for c in table if c not in own]
        assert len(table)
        pd.testing.assert_frame_equal(found[name][columns], table[columns])

    monkeypatch.setenv("FX_ASSETS_HOME", str(platform.folder))
    old = platform.predictions()
    pd.testing.assert_frame_equal(old[old["series"] != series].loc[[TODAY]], before)
    known = platform.lake.prices("eurusd", as_of=evening(TODAY))
    np.testing.assert_array_equal(known["close"], rates[:TODAY]["USD"])  # type: ignore[misc]
