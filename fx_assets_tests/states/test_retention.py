"""The nightly job deletes what is old; what the lake names stays, and a home goes on as before."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from fx_assets.definitions import defs
from fx_assets_tests.homes import Home

YEAR = 366 * 86_400


def aged(home: Home) -> None:
    """As if a year had passed for MLflow, and for files."""
    with closing(sqlite3.connect(home.folder / "data" / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET start_time = start_time - ?", [YEAR * 1000])
        database.execute(
            "UPDATE model_versions SET creation_time = creation_time - ?", [YEAR * 1000]
        )
    for file in (home.folder / "data" / "lake").rglob("*"):
        os.utime(file, (time.time() - YEAR,) * 2)


def runs(home: Home) -> set[str]:
    with closing(sqlite3.connect(home.folder / "data" / "mlflow.db")) as database:
        return {run for (run,) in database.execute("SELECT run_uuid FROM runs")}


@pytest.mark.slow
def test_after_a_year_superseded_runs_are_gone_and_a_home_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        home.advance(30)
        home.run("run", "--retrain").succeeded()
    before = runs(home)
    aged(home)
    for name, value in home.variables.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        done = defs().resolve_job_def("compaction").execute_in_process(instance=instance)
        said = " ".join(entry.user_message for entry in instance.all_logs(done.run_id))
    gone = before - runs(home)
    assert f"{len(gone)} runs of MLflow" in said
    assert len(gone) >= 2
    lake = home.folder / "data" / "lake"
    manifests = [json.loads(p.read_bytes()) for p in lake.glob("bundles/up/*/manifest.json")]
    drafts = [json.loads(path.read_bytes()) for path in lake.glob("candidates/up/*/draft.json")]
    named = {m["mlflow_run_id"] for m in manifests} | {d["logged"]["run_id"] for d in drafts}
    assert named <= runs(home)
    graphs = {path.stem for path in lake.glob("candidates/up/*/*.onnx")}
    assert {draft["onnx_sha256"][:16] for draft in drafts} <= graphs
    home.advance()
    again = home.run("run", "--retrain").succeeded().said
    assert "mended" not in again
    assert Path(lake, "bundles/up/champion.json").exists()
