"""A tuned candidate through the real lake and MLflow: recorded once, and never searched twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.evaluation.folds import folds
from fx_assets.lake import Lake
from fx_assets.registry.runs import ModelRegistry
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.stages.candidate import Trial, load_draft, try_candidate
from fx_assets_tests.evaluation.helpers import forecast, labelled_frame
from fx_assets_tests.platform import feed_spec

pytestmark = pytest.mark.long

FRAME = labelled_frame(1000, signal=0.5)
SPEC = forecast(
    candidates=[{"family": "lightgbm", "tune": {"trials": 3, "retune_every": 4}}],
    walk_forward={"min_train": 250, "refit_every": 100},
)
TRIED = 3


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Any:
    home = tmp_path_factory.mktemp("tuned")
    shutil.copy(empty_registry, home / "mlflow.db")
    lake = Lake.from_settings(Settings(home=home))
    for table, name in (
        ("raw_prices", "eurusd"),
        ("prices", "eurusd"),
        ("features", "eurusd.fx_close"),
    ):
        lake.replace(table, name, FRAME)
    registry = ModelRegistry(f"sqlite:///{home}/mlflow.db", (home / "artifacts").as_uri())
    return lake, registry


def attempt(platform: Any) -> Trial:
    lake, registry = platform
    own = SeriesTables(lake, SPEC, feed_spec())
    return try_candidate(
        SPEC.candidates[0],
        own.study(FRAME),
        own,
        registry=registry,
        run_id="a-run",
        parent_run_id=None,
        progress=lambda *_: None,
    )


def test_trials_are_a_table_of_the_lake_and_the_winner_is_the_runs_parameters(
    platform: Any,
) -> None:
    import mlflow

    lake, registry = platform
    trial = attempt(platform)
    table = lake.read("trials", SPEC.name)
    tunings = range(0, len(folds(FRAME, SPEC)), 4)
    assert table.groupby("fold").size().to_dict() == dict.fromkeys(tunings, TRIED)
    assert (table["recipe"] == SPEC.recipe_hash(SPEC.candidates[0])).all()
    newest = table[table["fold"] == table["fold"].max()]
    best = json.loads(newest.loc[newest["score"].idxmin(), "params"])
    assert trial.tuning is not None
    assert (trial.tuning.completed, trial.tuning.stopped_by) == (TRIED, "trials")
    client = mlflow.MlflowClient(registry.tracking_uri)
    shown = client.get_run(trial.logged.run_id).data.params
    assert {name: shown[name] for name in best} == {name: str(v) for name, v in best.items()}
    file = client.download_artifacts(trial.logged.run_id, "trials.json")
    logged = json.loads(Path(file).read_text())
    assert set(best) < set(logged["columns"])
    assert len(logged["data"]) == TRIED
    assert (shown["tuning_trials"], shown["tuning_stopped_by"]) == (str(TRIED), "trials")


def test_a_second_attempt_searches_nothing_and_drafts_the_same_model(platform: Any) -> None:
    lake, _ = platform
    before = lake.read("trials", SPEC.name)
    draft, onnx = load_draft(SeriesTables(lake, SPEC, feed_spec()), "lightgbm")
    again = attempt(platform)
    assert (again.fits, again.new_rows) == (0, 0)
    pd.testing.assert_frame_equal(lake.read("trials", SPEC.name), before)
    drafted, graph = load_draft(SeriesTables(lake, SPEC, feed_spec()), "lightgbm")
    assert graph == onnx
    assert drafted.facts.recipe == draft.facts.recipe
