from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import RegistryError
from fx_assets.registry.records import LoggedModel
from fx_assets.registry.runs import ModelRegistry
from fx_assets.testing.lakes.samples import COLUMNS, ROWS, WEIGHTS, candidate

FORECAST = "eurusd_direction"
BUSY_SECONDS = 60
"""What takes some three on a quiet machine; MLflow alone would try for minutes."""


@pytest.fixture(scope="session")
def logged(registry: ModelRegistry) -> LoggedModel:
    return registry.log_candidate(candidate())


def run_of(registry: ModelRegistry, model: LoggedModel) -> Any:
    import mlflow

    return mlflow.MlflowClient(registry.tracking_uri).get_run(model.run_id)


def test_a_candidate_is_one_finished_run_with_parameters_metrics_and_intervals(
    registry: ModelRegistry, logged: LoggedModel
) -> None:
    run = run_of(registry, logged)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "logistic_regression"
    assert run.data.params == {"C": "0.1", "seed": "0", "recipe_hash": "0123456789abcdef"}
    assert run.data.metrics == {
        "brier": 0.2491,
        "brier.lower": 0.2471,
        "brier.upper": 0.2511,
        "brier.n": 5000,
        "brier.baseline": 0.25,
        "skill": 0.0036,
        "skill.upper": 0.01,
        "skill.n": 5000,
        "skill.baseline": 0.0,
    }
    assert run.data.tags["dagster_run_id"] == "d-1"
    assert run.data.tags["delta.raw_prices/ecb_eurusd"] == "1"
    assert logged.run_path == f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def test_a_run_names_its_data_with_delta_versions_and_row_hash(
    registry: ModelRegistry, logged: LoggedModel
) -> None:
    (entry,) = run_of(registry, logged).inputs.dataset_inputs
    facts = candidate().facts
    assert entry.dataset.name == "eurusd_direction/features"
    assert facts.train_row_hash.startswith(entry.dataset.digest)
    source = json.loads(entry.dataset.source)
    assert (source["path"], source["delta_table_version"]) == (
        "/lake/features/ecb_eurusd.fx_close",
        3,
    )
    profile = json.loads(entry.dataset.profile)
    assert profile["delta_versions"] == facts.table_versions
    assert profile["num_rows"] == 7000
    assert profile["last_event"] == "2026-01-02T13:15:00+00:00"


def test_plots_are_artifacts_below_the_artifact_root(
    registry: ModelRegistry, logged: LoggedModel
) -> None:
    run = run_of(registry, logged)
    assert run.info.artifact_uri.startswith(f"{registry.artifact_root}/{FORECAST}/")
    figures = Path(run.info.artifact_uri.removeprefix("file://"), "figures")
    assert (figures / "reliability.svg").read_text() == "<svg>one</svg>"
    assert (figures / "loss.svg").read_text() == "<svg>two</svg>"


def test_the_logged_model_predicts_by_column_name_and_carries_signature_and_example(
    registry: ModelRegistry, logged: LoggedModel
) -> None:
    import mlflow

    mlflow.set_tracking_uri(registry.tracking_uri)
    model = mlflow.pyfunc.load_model(logged.model_uri)
    assert model.metadata.signature.inputs.input_names() == COLUMNS
    example = model.input_example
    np.testing.assert_array_equal(example.to_numpy(), ROWS)
    shuffled = example[COLUMNS[::-1]]
    answer = model.predict(shuffled)["prediction"].to_numpy()
    np.testing.assert_allclose(answer, ROWS @ np.array(WEIGHTS) + 0.1, rtol=1e-12)
    folder = Path(mlflow.artifacts.download_artifacts(logged.model_uri))
    assert "onnxruntime==" in (folder / "requirements.txt").read_text()


def test_a_model_without_inputs_can_be_logged(registry: ModelRegistry) -> None:
    from onnx import TensorProto, helper

    node = helper.make_node("ReduceSum", ["inputs", "axes"], ["out"], keepdims=0)
    graph = helper.make_graph(
        [node],
        "zero",
        [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, [None, 0])],
        [helper.make_tensor_value_info("out", TensorProto.DOUBLE, [None])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    onnx = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    made = candidate("bare", onnx=onnx, example=np.empty((3, 0)))
    facts = made.facts.model_copy(update={"input_names": ()})
    model = registry.log_candidate(replace(made, facts=facts))
    assert run_of(registry, model).info.status == "FINISHED"


def test_the_trials_of_a_tuning_are_a_table_of_the_run(registry: ModelRegistry) -> None:
    import mlflow

    trials = pd.DataFrame({"number": [0, 1], "score": [0.25, np.nan], "C": [0.01, 1.0]})
    logged = registry.log_candidate(candidate(trials=trials))
    client = mlflow.MlflowClient(registry.tracking_uri)
    file = client.download_artifacts(logged.run_id, "trials.json")
    found = json.loads(Path(file).read_text())
    assert found == {"columns": ["number", "score", "C"], "data": [[0, 0.25, 0.01], [1, None, 1.0]]}


def test_a_candidate_is_nested_below_its_parent_run(registry: ModelRegistry) -> None:
    import mlflow

    client = mlflow.MlflowClient(registry.tracking_uri)
    parent = client.create_run(registry.experiment(FORECAST), run_name="retrain")
    child = registry.log_candidate(candidate(parent_run_id=parent.info.run_id))
    assert run_of(registry, child).data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_an_experiment_says_what_it_is_and_opens_on_its_runs(registry: ModelRegistry) -> None:
    import mlflow

    client = mlflow.MlflowClient(registry.tracking_uri)
    before = client.create_experiment(
        "of_an_earlier_release", artifact_location=f"{registry.artifact_root}/earlier"
    )
    for name in ("described", "of_an_earlier_release"):
        for about in ("What it was.", "What it is."):
            logged = registry.log_candidate(candidate(forecast=name, about=about))
        tags = client.get_experiment(logged.experiment_id).tags
        assert tags["mlflow.note.content"] == "What it is."
        assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert logged.experiment_id == before


def test_processes_of_one_dagster_run_share_one_parent(registry: ModelRegistry) -> None:
    import mlflow

    other = ModelRegistry(registry.tracking_uri, registry.artifact_root)
    name, note = "retrain of 2026-11-02 12:00", "there is no champion yet"
    first = registry.parent("shared", "dagster-1", name, note)
    registry.log_candidate(
        candidate(forecast="shared", parent_run_id=first, tags={"dagster_run_id": "dagster-1"})
    )
    assert other.parent("shared", "dagster-1", name, note) == first
    assert other.parent("shared", "dagster-2", name, note) != first
    client = mlflow.MlflowClient(registry.tracking_uri)
    parent = client.get_run(first)
    assert parent.info.run_name == name
    assert parent.data.tags["mlflow.note.content"] == note
    assert len(client.search_runs([registry.experiment("shared")])) == 3


def test_a_broken_graph_leaves_a_failed_run_and_the_error(registry: ModelRegistry) -> None:
    import mlflow

    with pytest.raises(RegistryError, match=r"logging candidate .* of broken: .*\n.*to_onnx"):
        registry.log_candidate(candidate(forecast="broken", onnx=b"not a graph"))
    client = mlflow.MlflowClient(registry.tracking_uri)
    (run,) = client.search_runs([registry.experiment("broken")])
    assert run.info.status == "FAILED"


def test_threads_log_candidates_at_once(registry: ModelRegistry) -> None:
    made = candidate("threaded")
    runs = [
        replace(made, facts=made.facts.model_copy(update={"candidate": f"c{i}"})) for i in range(6)
    ]
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(registry.log_candidate, runs))
    assert {run_of(registry, m).info.run_name for m in models} == {f"c{i}" for i in range(6)}
    assert len({m.experiment_id for m in models}) == 1


def test_registering_a_logged_model_again_gives_the_same_version(
    registry: ModelRegistry,
) -> None:
    first = registry.log_candidate(candidate(forecast="twice"))
    second = registry.log_candidate(candidate(forecast="twice"))
    assert registry.register("twice", first, {"recipe": "a"}) == 1
    assert registry.register("twice", second) == 2
    assert registry.register("twice", first, {"recipe": "b"}) == 1
    assert [v.version for v in registry.versions("twice")] == [1, 2]
    assert registry.versions("twice")[0].tags["recipe"] == "b"
    assert registry.versions("twice")[1].run_id == second.run_id


def aliases(registry: ModelRegistry, forecast: str) -> dict[str, int]:
    """The versions that aliases point at."""
    return {alias: v.version for v in registry.versions(forecast) for alias in v.aliases}


def test_a_replaced_champion_is_archived_with_when_and_why(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "promoted"
    for _ in range(2):
        registry.register(name, registry.log_candidate(candidate(forecast=name)))
    assert aliases(registry, name) == {}
    registry.set_champion(name, 1, "the first champion is the baseline")
    registry.set_challenger(name, 2)
    assert aliases(registry, name) == {"champion": 1, "challenger": 2}
    monkeypatch.setenv("FX_ASSETS_NOW", "2026-02-07T18:00:00+00:00")
    for _ in range(2):
        registry.set_champion(name, 2, "Brier 0.2481 against 0.2500, p = 0.003")
    old, new = registry.versions(name)
    assert aliases(registry, name) == {"champion": new.version}
    assert not new.archived
    assert new.model_path == "#/models/promoted/versions/2"
    assert old.archived
    assert old.tags["archived_at"] == "2026-02-07T18:00:00+00:00"
    assert old.tags["archived_reason"] == "Brier 0.2481 against 0.2500, p = 0.003"


def test_an_archived_version_that_becomes_champion_again_is_no_longer_archived(
    registry: ModelRegistry,
) -> None:
    name = "demoted"
    for _ in range(2):
        registry.register(name, registry.log_candidate(candidate(forecast=name)))
    for version in (1, 2, 1):
        registry.set_champion(name, version, f"to {version}")
    back, gone = registry.versions(name)
    assert (back.archived, gone.archived) == (False, True)
    assert "archived_reason" not in back.tags
    assert gone.tags["archived_reason"] == "to 1"


def test_a_promotion_interrupted_after_the_alias_is_completed_by_the_next(
    registry: ModelRegistry,
) -> None:
    import mlflow

    name = "interrupted"
    for _ in range(2):
        registry.register(name, registry.log_candidate(candidate(forecast=name)))
    registry.set_champion(name, 1)
    mlflow.MlflowClient(registry.tracking_uri).set_registered_model_alias(name, "champion", "2")
    registry.set_champion(name, 2, "again")
    assert [v.archived for v in registry.versions(name)] == [True, False]


def test_the_challenger_can_be_removed(registry: ModelRegistry) -> None:
    registry.register("lonely", registry.log_candidate(candidate(forecast="lonely")))
    registry.set_challenger("lonely", 1)
    registry.set_challenger("lonely", None)
    registry.set_challenger("lonely", None)
    assert aliases(registry, "lonely") == {}


def test_an_unknown_forecast_has_no_versions_and_an_unknown_version_is_an_error(
    registry: ModelRegistry,
) -> None:
    assert registry.versions("nobody") == []
    with pytest.raises(RegistryError, match="making version 7 the champion of nobody"):
        registry.set_champion("nobody", 7)


def _prepare(uri: str, artifact_root: str, answers: Any) -> None:
    made = ModelRegistry(uri, artifact_root)
    made.prepare()
    answers.put(made.experiment("x"))


@pytest.mark.slow
def test_processes_may_create_the_database_at_once(registry: ModelRegistry, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    forked = multiprocessing.get_context("fork")
    answers = forked.Queue()
    started = [
        forked.Process(target=_prepare, args=(uri, tmp_path.as_uri(), answers)) for _ in range(3)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0, 0, 0]
    assert len({answers.get(timeout=5) for _ in started}) == 1
    files = {file.name for file in Path(tmp_path, "new").iterdir()}
    assert files <= {f"mlflow.db{end}" for end in ("", ".lock", "-wal", "-shm")}


def test_a_database_of_older_tables_is_upgraded(registry: ModelRegistry, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(registry.tracking_uri.removeprefix("sqlite:///")) as source:
        with sqlite3.connect(file) as copy:
            source.backup(copy)
        copy.close()
    source.close()
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    command.downgrade(_get_alembic_config(f"sqlite:///{file}"), "-1")
    ModelRegistry(f"sqlite:///{file}", tmp_path.as_uri()).prepare()
    assert ModelRegistry(f"sqlite:///{file}", tmp_path.as_uri()).versions("nobody") == []


@pytest.mark.parametrize("damage", ["garbage", "folder"])
def test_a_database_that_cannot_be_read_is_an_error_with_a_remedy(
    tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "mlflow.db"
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(b"garbage" * 1000)
    with pytest.raises(RegistryError, match=r"mlflow\.db: connecting: .*\n.*FX_ASSETS_MLFLOW"):
        ModelRegistry(f"sqlite:///{file}", tmp_path.as_uri()).prepare()


@pytest.mark.parametrize("answering", [False, True])
def test_a_server_that_is_away_fails_within_seconds_and_hides_the_password(
    answering: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "of another server")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answering:
            server.listen()
        address = f"http://user:secret%2F@127.0.0.1:{server.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(RegistryError, match="Check that the server is up") as caught:
            ModelRegistry(address).prepare()
    assert time.monotonic() - start < BUSY_SECONDS
    # Dagster keeps what an error came from.
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    told = [os.environ[f"MLFLOW_TRACKING_{name}"] for name in ("USERNAME", "PASSWORD")]
    assert told == ["user", "secret/"]


def test_a_database_without_driver_or_server_is_an_error_with_a_remedy() -> None:
    start = time.monotonic()
    with pytest.raises(RegistryError, match=r"What to do: (Install|Check)") as caught:
        ModelRegistry("postgresql+psycopg2://user:secret@127.0.0.1:9/mlflow").prepare()
    assert time.monotonic() - start < BUSY_SECONDS
    assert "secret" not in str(caught.value)


def test_creation_times_are_utc(registry: ModelRegistry) -> None:
    registry.register("timed", registry.log_candidate(candidate(forecast="timed")))
    age = datetime.now(UTC) - registry.versions("timed")[0].created_at
    assert abs(age.total_seconds()) < 60


def test_importing_the_registry_imports_no_mlflow() -> None:
    code = (
        "import sys; import fx_assets.registry, fx_assets.registry.runs; "
        "print([m for m in ('mlflow', 'dagster', 'onnxruntime') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
