"""A run that was killed is ended, and what waits for it goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from fx_assets.assets.runs import MOST_ATTEMPTS, RUN_KEY, asked_again, in_progress
from fx_assets.heartbeats import (
    NO_PROCESS,
    SILENCE,
    WRITES,
    SignOfLife,
    alive_key,
    dead_runs,
    end_dead_runs,
    heartbeat,
)
from fx_assets.lake.turns import this_host
from fx_assets_tests.homes import Home

NOBODY = 2**22 + 1
"""A process that cannot be: beyond Linux's largest number."""
WORKING = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def started(instance: dg.DagsterInstance, **tags: str) -> str:
    """A run that Dagster believes to be at work."""
    job = dg.GraphDefinition("job").to_job()
    run = instance.create_run_for_job(job, tags=tags)
    begun = dg.DagsterEvent("PIPELINE_START", "job", message="begun")
    instance.report_dagster_event(begun, run.run_id)
    return run.run_id


def sign(instance: dg.DagsterInstance, run: str, life: SignOfLife) -> None:
    instance.daemon_cursor_storage.set_cursor_values({f"fx_assets/alive/{run}": str(life)})


def at_work(instance: dg.DagsterInstance, *jobs: str) -> bool:
    """Whether a run of one of the jobs has begun, and given its first sign of life."""
    begun = {alive_key(r.run_id) for r in instance.get_runs(filters=WORKING) if r.job_name in jobs}
    return bool(begun and instance.daemon_cursor_storage.get_cursor_values(begun))


def status(instance: dg.DagsterInstance, run: str) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run)
    assert found is not None
    return found.status


@pytest.mark.slow
def test_a_command_that_was_killed_holds_nothing_up(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.folder)  # where its dagster.yaml puts the records
    process = home.start("run", "--retrain")
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        while not at_work(instance, "up_retrain", "eur_ingest"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert in_progress(instance, "up_retrain", "eur_ingest")
        answer = home.run("run").succeeded()
        assert "An earlier run is over: " in answer.out
        assert "is gone: it was killed" in answer.out
        assert not instance.get_runs(filters=WORKING)


def test_a_silent_run_of_another_host_is_ended_and_one_that_gives_signs_is_not(
    instance: dg.DagsterInstance,
) -> None:
    now = datetime.now(UTC)
    silent, alive, young = (started(instance) for _ in range(3))
    sign(instance, silent, SignOfLife(now - 1.1 * SILENCE, "elsewhere", 1))
    sign(instance, alive, SignOfLife(now - 0.5 * SILENCE, "elsewhere", 1))
    (said,) = end_dead_runs(instance)
    assert silent in said
    assert "no sign of life since" in said
    assert status(instance, silent) is dg.DagsterRunStatus.FAILURE
    assert status(instance, alive) is dg.DagsterRunStatus.STARTED
    assert status(instance, young) is dg.DagsterRunStatus.STARTED


def test_a_run_that_is_being_cancelled_ends_as_cancelled(instance: dg.DagsterInstance) -> None:
    run = started(instance)
    found = instance.get_run_by_id(run)
    assert found is not None
    instance.report_run_canceling(found)
    sign(instance, run, SignOfLife(datetime.now(UTC) - 2 * SILENCE, "elsewhere", 1))
    assert len(end_dead_runs(instance)) == 1
    assert status(instance, run) is dg.DagsterRunStatus.CANCELED


def test_runs_of_others_are_left_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fx_assets.heartbeats.SILENCE", -SILENCE)
    theirs, ours = started(instance), started(instance, **{WRITES: "job"})
    (said,) = end_dead_runs(instance)
    assert ours in said
    assert status(instance, theirs) is dg.DagsterRunStatus.STARTED


def test_a_run_that_was_killed_is_asked_for_again_although_its_reason_is_the_same(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key() -> str:
        request = asked_again(instance, "job", "bars of May")
        assert isinstance(request, dg.RunRequest)
        return str(request.run_key)

    keys = []
    for _ in range(MOST_ATTEMPTS):
        keys.append(key())
        run = started(instance, **{RUN_KEY: keys[-1]})
        assert key() == keys[-1], "Dagster drops it while the run is at work"
        sign(instance, run, SignOfLife(datetime.now(UTC), this_host(), NOBODY))
        assert len(end_dead_runs(instance)) == 1
        with monkeypatch.context() as patch:
            patch.setattr("fx_assets.assets.runs.PAUSE", timedelta(hours=1))
            assert isinstance(asked_again(instance, "job", "bars of May"), dg.SkipReason)
        monkeypatch.setattr("fx_assets.assets.runs.PAUSE", timedelta(0))
    assert len(set(keys)) == MOST_ATTEMPTS
    assert isinstance(asked_again(instance, "job", "bars of May"), dg.SkipReason)


def test_a_heartbeat_goes_on_while_storage_is_away_for_a_moment(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fx_assets.heartbeats.BEAT", SILENCE / 18_000)
    run = started(instance)
    storage = instance.daemon_cursor_storage
    real, calls = storage.set_cursor_values, []

    def flaky(pairs: dict[str, str]) -> None:
        calls.append(pairs)
        if len(calls) == 2:
            raise OSError("away")
        real(pairs)

    monkeypatch.setattr(storage, "set_cursor_values", flaky)
    with heartbeat(instance, run), heartbeat(instance, run):
        while len(calls) < 4:
            time.sleep(0.01)
        assert end_dead_runs(instance) == []
    told = len(calls)
    time.sleep(0.05)
    assert len(calls) == told


def test_a_run_lives_between_its_steps_and_dies_with_one_that_is_killed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(instance)
    with heartbeat(instance, run, steps=True), monkeypatch.context() as elsewhere:
        elsewhere.setattr("fx_assets.heartbeats._beating", set())
        elsewhere.setattr("os.getpid", lambda: NOBODY)
        with heartbeat(instance, run):
            (said,) = (reason for _, reason in dead_runs(instance))
            assert "is gone: it was killed" in said
        assert not list(dead_runs(instance))


def test_signs_between_steps_do_not_hide_that_a_step_is_dead(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fx_assets.heartbeats.BEAT", SILENCE / 18_000)
    run = started(instance)
    dead = SignOfLife(datetime.now(UTC) - 1.1 * SILENCE, "elsewhere", 1)
    key = f"fx_assets/alive/{run}"
    with heartbeat(instance, run, steps=True):
        sign(instance, run, replace(dead, process=NO_PROCESS))
        while instance.daemon_cursor_storage.get_cursor_values({key})[key].startswith(
            dead.at.isoformat()
        ):
            time.sleep(0.01)
        assert not list(dead_runs(instance))
        assert "no sign of life since" in found_dead(instance, run, dead)


def found_dead(instance: dg.DagsterInstance, run: str, last: SignOfLife) -> str:
    """Why a run is dead by the last sign of a step, which a beat on its way may write over once."""
    end = time.monotonic() + 60
    while True:
        sign(instance, run, last)
        time.sleep(0.1)
        found = [reason for _, reason in dead_runs(instance)]
        if found:
            return found[0]
        assert time.monotonic() < end, "the run goes on giving signs"


def test_a_step_that_ends_does_not_hide_that_one_beside_it_is_dead(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fx_assets.heartbeats.BEAT", SILENCE / 18_000)
    run = started(instance)

    def tell(event: str, step: str) -> None:
        told = dg.DagsterEvent(event, "job", step_key=step, message=event)
        instance.report_dagster_event(told, run)

    with heartbeat(instance, run, steps=True):
        for step in ("ends", "killed"):
            tell("STEP_START", step)
        tell("STEP_SKIPPED", "ends")
        ended = SignOfLife(datetime.now(UTC) - 1.1 * SILENCE, "elsewhere", NO_PROCESS)
        assert "no sign of life since" in found_dead(instance, run, ended)
        tell("STEP_SKIPPED", "killed")
        end = time.monotonic() + 30
        while list(dead_runs(instance)):
            assert time.monotonic() < end, "the run gives no signs between its steps"
            time.sleep(0.01)
