"""Candidates that are tried in processes or on machines of their own: the same to the bit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from fx_assets.executors import STEPS_QUEUE
from fx_assets.heartbeats import dead_runs
from fx_assets.runner import Runner, terminal
from fx_assets_tests.homes import Home
from fx_assets_tests.production.workers import on_celery
from fx_assets_tests.states.stores import stores
from fx_assets_tests.states.test_celery import JOBS, succeeded, tags_of

pytestmark = [
    *(pytest.mark.slow, pytest.mark.timeout(1800)),
    pytest.mark.filterwarnings("ignore:Error loading repository location"),
]
RETRAIN = [
    *(sys.executable, "-m", "dagster", "job", "execute"),
    *("-m", "fx_assets.definitions", "-j", "up_retrain"),
]


def two_candidates(folder: Path, registry: Path, executor: str) -> Home:
    """A home whose forecast has two, in which nothing has been run."""
    home = Home.new(folder, registry)
    declared = folder / "defs/forecasts/up/defs.yaml"
    two = declared.read_text().replace("[persistence]", "[persistence, logistic_regression]")
    declared.write_text(two)
    home.environment["FX_ASSETS_EXECUTOR"] = executor
    return home


@pytest.fixture
def quiet(tmp_path: Path, empty_registry: Path) -> Home:
    """Of one process, up to date."""
    home = two_candidates(tmp_path / "quiet", empty_registry, "in_process")
    home.run("run").succeeded()
    return home


def test_a_retrain_in_many_processes_lives_all_the_time_and_leaves_what_one_leaves(
    quiet: Home, tmp_path: Path, empty_registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = two_candidates(tmp_path / "home", empty_registry, "multiprocess")
    monkeypatch.chdir(home.folder)  # where its dagster.yaml puts the records
    with monkeypatch.context() as patch:
        for name, value in home.variables.items():
            patch.setenv(name, value)
        assert Runner(terminal()).run("eur_ingest", tags_of("eur_ingest", home.day, first=True))
    log = home.folder / "retrain.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            RETRAIN, env={**os.environ, **home.variables}, stdout=output, stderr=output
        )
    processes, said = set[int](), list[str]()
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        while process.poll() is None:
            said += [reason for _, reason in dead_runs(instance)]
            time.sleep(0.2)
        assert process.returncode == 0, log.read_text()[-3000:]
        (run,) = instance.get_runs(dg.RunsFilter(job_name="up_retrain"))
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTED):
            processes.add(int(entry.dagster_event.event_specific_data.metadata["pid"].value))
    assert not said
    assert len(processes) > 2
    answer = home.run("run").succeeded()
    assert "up_retrain" not in answer.out
    assert stores(home) == stores(quiet)


def test_a_run_on_celery_whose_steps_have_workers_of_their_own_needs_no_second_worker_of_runs(
    quiet: Home, tmp_path: Path, empty_registry: Path
) -> None:
    home = two_candidates(tmp_path / "home", empty_registry, "celery")
    with on_celery(home, workers=1, takers_of_steps=1) as deployment:
        deployment.switch_on("dead_runs")
        for job in JOBS:
            run = deployment.submit(job, tags_of(job, home.day, first=True))
            deployment.until(lambda run=run: succeeded(deployment, run), f"{job}'s success")
        assert len(deployment.instance.get_runs()) == len(JOBS)
        entries = deployment.instance.all_logs(
            deployment.instance.get_runs(dg.RunsFilter(job_name="up_retrain"))[0].run_id
        )
    queues = {entry.message for entry in entries if "to queue" in entry.message}
    assert queues
    assert all(f'"{STEPS_QUEUE}"' in message for message in queues)
    assert stores(home) == stores(quiet)
