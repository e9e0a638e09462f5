"""What Dagster's queue does with runs under the settings that we ship."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from fx_assets.definitions import defs

ROOT = Path(__file__).parents[2]
RULES = {"concurrency", "run_coordinator", "run_monitoring", "run_retries", "retention"}
"""What does not say where something is kept. ``retention`` is for looks, not for runs."""


@pytest.fixture(params=["dagster.yaml", "deploy/dagster.yaml"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    shipped = yaml.safe_load((ROOT / request.param).read_text())
    kept = {name: value for name, value in shipped.items() if name in RULES}
    assert kept.keys() == RULES
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(kept))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


loaded = cache(defs)


def queued(instance: dg.DagsterInstance, job: str, *assets: list[str]) -> dg.DagsterRun:
    """A run of a job, or of single assets as the UI asks for it."""
    found = loaded().resolve_job_def(job)
    keys = {dg.AssetKey(path) for path in assets} or None
    if keys:
        found = found.get_subset(asset_selection=keys)
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
    run = instance.create_run_for_job(
        found,
        tags=found.tags,
        asset_selection=frozenset(keys) if keys else None,
        remote_job_origin=origin.get_job_origin(job),
    )
    instance.report_dagster_event(dg.DagsterEvent.job_enqueue(run), run.run_id)
    return run


def next_runs(daemon: QueuedRunCoordinatorDaemon, instance: dg.DagsterInstance) -> list[str]:
    found = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
    return [run.run_id for run in found]


@pytest.mark.slow
def test_the_queue_lets_one_run_of_a_job_through_whoever_asked_for_it(
    instance: dg.DagsterInstance,
) -> None:
    first = queued(instance, "eurusd_direction_predict")
    queued(instance, "eurusd_direction_predict")
    other = queued(instance, "eurusd_direction_retrain")
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
        assert next_runs(daemon, instance) == [first.run_id, other.run_id]
        # Dagster knows a pool from when it has first seen one of its runs.
        queued(instance, "__ASSET_JOB", ["eurusd_direction", "outcomes"])
        assert next_runs(daemon, instance) == [first.run_id, other.run_id]


def test_a_code_server_that_does_not_answer_is_asked_again_by_the_queue(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise DagsterUserCodeUnreachableError("no answer in 60 s")

    monkeypatch.setattr(instance.run_launcher, "launch_run", away)
    run = queued(instance, "ecb_eurusd_ingest")
    settings = instance.get_concurrency_config()
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
        for _ in range(20):
            assert not daemon._dequeue_run(instance, None, run, settings, None)
            found = instance.get_run_by_id(run.run_id)
            assert found is not None
            assert found.status is dg.DagsterRunStatus.QUEUED
