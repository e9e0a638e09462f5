"""Runs that Celery's workers execute: killed ones are run again, and nothing is there twice.

``FX_TESTS_KILLS=50`` kills as often: each run twice, as often as it is started again.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets.assets.automation import range_tags
from fx_assets_tests.homes import LAST, Home
from fx_assets_tests.production.workers import Deployment, on_celery
from fx_assets_tests.states.stores import stores

KILLS = int(os.environ.get("FX_TESTS_KILLS", "2"))
WITHIN_SECONDS = 1.0
"""After a run's first sign of life."""
RETRIES = 2
"""Of ``run_retries``: a run that is killed as often succeeds all the same."""
WORKING_DAYS = KILLS + 8
JOBS = ("eur_ingest", "up_retrain", "up_predict")

pytestmark = [
    *(pytest.mark.slow, pytest.mark.timeout(7200)),
    pytest.mark.filterwarnings("ignore:Error loading repository location"),
]


def tags_of(job: str, day: pd.Timestamp, *, first: bool) -> dict[str, str]:
    """The partitions that a sensor or a schedule would ask for."""
    if job == "eur_ingest":
        return range_tags("2019" if first else f"{day.year}", f"{day.year}")
    if job == "up_predict":
        until = day.date().isoformat()
        return range_tags("2022-01-01" if first else until, until)
    return {"reason": "asked for"}


def attempts(deployment: Deployment, first: str) -> list[dg.DagsterRun]:
    """A run and its repetitions, newest first."""
    again = deployment.instance.get_runs(dg.RunsFilter(tags={"dagster/root_run_id": first}))
    return [*again, *deployment.instance.get_runs(dg.RunsFilter(run_ids=[first]))]


def killed(deployment: Deployment, first: str, seconds: float, *, whole_worker: bool) -> bool:
    """Whether a run's process, or its worker with all that it has begun, died before its end.

    If so, the run has been asked for again.
    """
    known = attempts(deployment, first)
    run = known[0].run_id
    sign = deployment.until(lambda: deployment.sign_of_life(run), "a sign of life")
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        if whole_worker:
            os.killpg(os.getpgid(sign.process), signal.SIGKILL)
        else:
            os.kill(sign.process, signal.SIGKILL)

    def over() -> bool:
        newest = attempts(deployment, first)
        return len(newest) > len(known) or newest[0].status is dg.DagsterRunStatus.SUCCESS

    deployment.until(over, "the end of a run")
    return len(attempts(deployment, first)) > len(known)


def succeeded(deployment: Deployment, run: str) -> bool:
    newest, *_ = attempts(deployment, run)
    assert newest.tags.get("dagster/will_retry") != "false", deployment.told()
    return newest.status is dg.DagsterRunStatus.SUCCESS


def test_workers_that_are_killed_leave_what_undisturbed_commands_leave(
    tmp_path: Path, empty_registry: Path, say: Callable[[str], None]
) -> None:
    home = Home.new(tmp_path / "home", empty_registry)
    now = LAST + WORKING_DAYS * pd.offsets.BDay() + pd.Timedelta(30, "h")
    home.environment["FX_ASSETS_NOW"] = now.tz_localize("UTC").isoformat()
    home.environment["FX_ASSETS_SENSOR_SECONDS"] = "5"
    quiet = Home.new(tmp_path / "quiet", empty_registry)
    quiet.environment = dict(home.environment)

    chance, hits = random.Random(7), Counter[str]()
    lived: list[list[str]] = []
    with on_celery(home) as deployment:
        deployment.switch_on("dead_runs")
        while hits.total() < KILLS:
            jobs = ["eur_ingest", "up_predict"]
            if chance.random() < 0.3 or not lived:
                jobs.insert(1, "up_retrain")
            for job in jobs:
                run = deployment.submit(job, tags_of(job, home.day, first=not lived))
                for _ in range(RETRIES):
                    if hits.total() == KILLS:
                        break
                    whole, after = hits.total() % 2 == 1, chance.uniform(0, WITHIN_SECONDS)
                    if not killed(deployment, run, after, whole_worker=whole):
                        break
                    hits[f"{'worker' if whole else 'process'} of {job}"] += 1
                deployment.until(lambda run=run: succeeded(deployment, run), f"{job}'s success")
            lived.append(jobs)
            assert len(lived) < WORKING_DAYS, f"too few of the kills hit: {hits}"
            home.advance()
        runs = deployment.instance.get_runs()
    say(f"{hits.total()} kills {dict(hits)} in {len(runs)} runs of {len(lived)} days")
    assert all("dagster-celery/task_id" in run.tags for run in runs)
    ends = Counter(run.status for run in runs)
    assert ends[dg.DagsterRunStatus.SUCCESS] == sum(map(len, lived))
    assert ends[dg.DagsterRunStatus.FAILURE] >= hits.total()
    assert ends.total() == ends[dg.DagsterRunStatus.SUCCESS] + ends[dg.DagsterRunStatus.FAILURE]

    for n, jobs in enumerate(lived):
        quiet.run("run", *(["--retrain"] if n and "up_retrain" in jobs else [])).succeeded()
        quiet.advance()
    assert stores(home) == stores(quiet)
