"""Tasks that are killed at a random moment of their run: it is retried, and nothing is doubled.

``FX_TESTS_KILLED_TASKS=50`` kills as many.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from fx_assets.assets.automation import range_tags
from fx_assets.lake import Lake
from fx_assets.runner import Runner, terminal
from fx_assets_tests.deploy.aws.cloud import Cloud, cloud
from fx_assets_tests.deploy.aws.templates import STACKS
from fx_assets_tests.homes import LAST, Home
from fx_assets_tests.states.stores import TABLES, rows

NUMBER = int(os.environ.get("FX_TESTS_KILLED_TASKS", "3"))
FIRST_GUESS_SECONDS = 1.0
RETRIES = 2
STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


def work(home: Home) -> Iterator[tuple[str, dict[str, str]]]:
    """Jobs of a deployment and their tags, from the first bars on: what is asked for, in order."""
    yield "eur_ingest", range_tags("2019", "2022")
    yield "up_retrain", {}
    yield "up_predict", range_tags("2022-01-03", f"{LAST:%Y-%m-%d}")
    while True:
        day = f"{home.advance():%Y-%m-%d}"
        yield "eur_ingest", range_tags("2022", "2022")
        yield "up_predict", range_tags(day, day)


def tables(home: Home) -> dict[str, list[dict[str, Any]]]:
    lake = Lake(home.environment["FX_ASSETS_LAKE"], home.folder / "fx.duckdb")
    return {key: rows(lake.read(*key.split("/"))) for key in TABLES}


def killed(deployed: Cloud, run_id: str, after: float) -> bool:
    """Kill the task of a run some seconds after it began; whether it was still at work."""

    def begun() -> Any:
        deployed.fargate()
        run = deployed.instance.get_run_by_id(run_id)
        return run.status is STARTED and deployed.task_of(run)

    task = deployed.until(begun, f"the beginning of {run_id}")
    time.sleep(after)
    deployed.kill(task.id)
    worker = deployed.workers.of[task.id]
    while worker.code is None:
        time.sleep(0.02)
    return worker.code == -signal.SIGKILL and deployed.status(run_id) is STARTED


def lived(home: Home, kills: int, chance: random.Random) -> tuple[int, dict[str, Any]]:
    """Work through jobs until so many of their tasks were killed; how many that took, and tables.

    Each run is killed as often as it is retried. A moment is drawn from as long as the job's last
    run took.
    """
    hits, lasts = 0, {}
    with cloud(home) as deployed:
        for done, (job, tags) in enumerate(work(home), 1):
            first = run_id = deployed.launch(job, **tags)
            long = lasts.get(job, FIRST_GUESS_SECONDS)
            of_this = 0
            while hits + of_this < kills and of_this < RETRIES:
                if not killed(deployed, run_id, chance.uniform(0, long)):
                    break
                of_this += 1
                again = deployed.until(
                    lambda first=first, n=of_this: deployed.attempts(first)[n:], f"{job} again"
                )
                run_id = again[0].run_id
            deployed.until(lambda first=first: deployed.succeeds(first), f"{job} in the end")
            attempts = deployed.attempts(first)
            newest = deployed.instance.get_run_stats(attempts[-1].run_id)
            lasts[job] = newest.end_time - newest.start_time
            assert [each.status for each in attempts[:-1]] == [FAILURE] * of_this
            hits += of_this
            if hits == kills and job == "up_predict":
                return done, tables(home)
    raise AssertionError("work never ends")


def undisturbed(home: Home, jobs: int) -> dict[str, Any]:
    """Tables after so many of the same jobs, one after the other on a terminal."""
    home.environment["FX_ASSETS_LAKE"] = str(home.folder / "data" / "lake")
    for _, (job, tags) in zip(range(jobs), work(home), strict=False):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in home.variables.items():
                patch.setenv(name, value)
            runner = Runner(terminal())
            assert runner.run(job, tags), runner.failures
    return tables(home)


def test_a_run_whose_task_is_killed_is_retried_and_nothing_is_doubled(
    tmp_path: Path,
    empty_registry: Path,
    caplog: pytest.LogCaptureFixture,
    say: Callable[[str], None],
) -> None:
    chance = random.Random(13)
    caplog.set_level("INFO", "fx_assets_tests.deploy.aws.cloud")
    hit = Home.new(tmp_path / "killed", empty_registry)
    done, found = lived(hit, NUMBER, chance)
    told = [message for message in caplog.messages if "Detected run worker status" in message]
    assert len(told) == NUMBER
    assert 'DEAD_RUN = "Detected run worker status"' in (STACKS / "stacks/alarms.py").read_text()

    quiet = Home.new(tmp_path / "undisturbed", empty_registry)
    expected = undisturbed(quiet, done)
    say(f"{NUMBER} tasks of {done} runs were killed")
    assert found == expected
