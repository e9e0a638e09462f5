"""Judging again: only what is new is fitted, every look is recorded, a crash costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.evaluation.folds import Fold, folds
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import ForecastSpec
from fx_assets.stages.due import retrain_reason
from fx_assets.testing import worlds
from fx_assets_tests.platform import (
    Platform,
    evening,
    failures,
    feed_spec,
    forecast_spec,
    metadata,
    rates_of,
    started_steps,
)

LATER = "2018-05-02"
CANDIDATES = ("base_rate", "persistence", "logistic_regression")


def fits(result: Any) -> dict[str, int]:
    return {name: metadata(result, f"direction/models/{name}")["fits"] for name in CANDIDATES}


@pytest.mark.slow
def test_a_later_look_fits_the_newest_fold_only_and_adds_rows(
    platform: Platform, rates: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = platform.lake.read("backtest", "direction")
    platform.arrive(rates, LATER)
    platform.ingest("2018")
    cut: list[int] = []

    def counted(frame: pd.DataFrame, spec: ForecastSpec) -> list[Fold]:
        cut.append(len(frame))
        return folds(frame, spec)

    monkeypatch.setattr("fx_assets.evaluation.study_frame.folds", counted)
    result = platform.retrain()

    assert result.success, failures(result)
    assert len(cut) == 1, "assets of one run share their study"
    assert max(fits(result).values()) <= 1
    rows = platform.lake.read("backtest", "direction")
    key = ["recipe", "fold_key", "row_key"]
    kept = rows.merge(old[key], on=key)
    pd.testing.assert_frame_equal(
        kept.sort_values(key, ignore_index=True), old.sort_values(key, ignore_index=True)
    )
    new_labels = len(rates["2018-03-29":LATER])  # type: ignore[misc]
    assert len(rows) - len(old) == len(CANDIDATES) * new_labels
    ledger = platform.lake.read("decisions", "direction").sort_values("sequence")
    assert list(ledger["sequence"]) == list(range(len(ledger)))
    assert ledger["verdict"].iloc[-1] in {"keep", "refresh"}
    assert ledger["sentence"].iloc[-1] in metadata(result, "direction/champion")["decision"]

    again = platform.retrain()
    assert again.success, failures(again)
    assert set(fits(again).values()) == {0}
    assert len(platform.lake.read("backtest", "direction")) == len(rows)


@pytest.mark.slow
def test_a_run_that_dies_before_the_decision_is_recorded_leaves_the_champion_in_force(
    platform: Platform, rates: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.arrive(rates, LATER)
    platform.ingest("2018")
    ledger = platform.lake.read("decisions", "direction")
    in_force = load(platform.lake, "direction").manifest
    insert_new = Lake.insert_new

    def dies(lake: Lake, table: str, *arguments: Any, **options: Any) -> Any:
        if table == "decisions":
            raise KeyboardInterrupt
        return insert_new(lake, table, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "insert_new", dies)
        assert not platform.retrain().success

    pd.testing.assert_frame_equal(platform.lake.read("decisions", "direction"), ledger)
    assert load(platform.lake, "direction").manifest == in_force
    result = platform.predict(LATER)
    assert result.success, failures(result)
    assert platform.predictions()["champion_version"][LATER] == f"v{in_force.version}"

    platform.travel("2018-05-02T19:00:00+00:00")
    result = platform.retrain()
    assert result.success, failures(result)
    newest = platform.lake.read("decisions", "direction").sort_values("sequence").iloc[-1]
    assert newest["sequence"] == len(ledger)
    assert newest["verdict"] == "refresh"
    assert newest["version"] == in_force.version + 1, "a bundle of a run that died was counted"
    assert load(platform.lake, "direction").manifest.version == newest["version"]


def test_a_planted_signal_is_promoted_by_the_whole_graph(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = rates_of(worlds.planted_direction(1900, 3, strength=0.4, start="2010-01-04"))
    today = str(rates.index[-1].date())
    platform = Platform(
        new_folder(),
        monkeypatch,
        feeds=[feed_spec(start="2010-01-01")],
        forecasts=[
            forecast_spec(
                candidates=["logistic_regression"],
                walk_forward={"first_test": "2011-06-01", "min_train": 250, "refit_every": 504},
                promotion={"min_rows": 1000},
                suspicion=worlds.ANYTHING_IS_PLAUSIBLE,
                live_from=today,
            )
        ],
    )
    platform.arrive(rates, today)
    for run in (lambda: platform.ingest("2010"), platform.retrain, lambda: platform.predict(today)):
        result = run()
        assert result.success, failures(result)
    ledger = platform.lake.read("decisions", "direction").sort_values("sequence")
    assert list(ledger["verdict"]) == ["bootstrap", "replace"]
    row = platform.predictions().loc[today]
    assert (row["champion"], row["champion_version"]) == ("logistic_regression", "v2")
    assert row["skill_demonstrated"]
    assert row["skill_lower"] > 0
    assert row["prediction"] != row["baseline"]
    assert evening(today) > row["champion_label_end"]
    told = platform.lake.read("alerts", "platform")
    assert set(told["kind"]) == {"promotion"}
    assert told["sentence"].iloc[0] == ledger["sentence"].iloc[-1]

    from mlflow import MlflowClient

    from fx_assets.settings import Settings

    client = MlflowClient(Settings().mlflow_uri)
    assert (
        client.get_model_version_by_alias("direction", "champion").tags["candidate"]
        == "logistic_regression"
    )

    spec, feed = platform.forecasts[0], platform.feeds[0]
    assert retrain_reason(SeriesTables(platform.lake, spec, feed)) is None
    without = SeriesTables(platform.lake, spec.model_copy(update={"candidates": []}), feed)
    assert retrain_reason(without) == "its champion, logistic_regression, is no longer declared"


@pytest.mark.slow
def test_a_candidate_that_fails_leaves_the_decision_to_the_next_run(
    platform: Platform, rates: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from fx_assets.models.persistence import Persistence
    from fx_assets.settings import Settings

    def broken(self: object, X: object, y: object) -> None:
        raise ZeroDivisionError("a fit that fails")

    ledger = platform.lake.read("decisions", "direction")
    platform.arrive(rates, LATER)
    platform.ingest("2018")
    with monkeypatch.context() as patch:
        patch.setattr(Persistence, "fit", broken)
        result = platform.retrain()
    assert not result.success
    assert "a fit that fails" in failures(result)
    assert "direction__models__logistic_regression" in started_steps(result)
    assert "direction__champion" not in started_steps(result)
    pd.testing.assert_frame_equal(platform.lake.read("decisions", "direction"), ledger)
    client = MlflowClient(Settings().mlflow_uri)
    experiment = client.get_experiment_by_name("direction")
    parents = [
        run
        for run in client.search_runs([experiment.experiment_id])
        if run.data.tags.get("dagster_run_id") == result.run_id
        and "mlflow.parentRunId" not in run.data.tags
    ]
    assert [run.info.status for run in parents] == ["FAILED"]
    assert platform.retrain().success
