"""What Dagster knows of runs: which are in progress, and why the others failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from fx_assets import clock
from fx_assets.settings import Settings

if TYPE_CHECKING:
    from fx_assets.monitoring.freshness import FailedRun

IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
LONGEST_RUN = timedelta(hours=12)
"""A run that began longer ago was killed without a trace; it holds nothing up."""


def schedule_status(*, on: bool = True) -> dg.DefaultScheduleStatus:
    """Whether a schedule starts switched on; ``on`` is what its feed declares."""
    running = on and Settings().automation
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED


def sensor_status(*, on: bool = True) -> dg.DefaultSensorStatus:
    """Whether a sensor starts switched on; ``on`` is what its feed declares."""
    running = on and Settings().automation
    return dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED


@dataclass(frozen=True)
class StepFailure:
    """Why a step failed, without Dagster's wrapping."""

    step: str
    message: str
    by_check: bool
    """Whether a blocking asset check failed, rather than the code."""

    @property
    def sentence(self) -> str:
        return f"{self.step.replace('__', '/')}: {self.message}"


def in_progress(instance: dg.DagsterInstance, *jobs: str) -> bool:
    """Whether a run of one of the jobs waits or runs, whoever started it."""
    since = clock.now() - LONGEST_RUN
    return any(
        instance.get_run_records(
            dg.RunsFilter(job_name=job, statuses=IN_PROGRESS, created_after=since), limit=1
        )
        for job in jobs
    )


def failures_of(instance: dg.DagsterInstance, run_id: str) -> list[StepFailure]:
    """The failed steps of a run, first to last."""
    found = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        data = entry.dagster_event.step_failure_data if entry.dagster_event else None
        error = data.error if data else None
        while error and error.cause and error.message.startswith("dagster."):
            error = error.cause
        message = error.message.strip() if error else "no reason was recorded"
        by_check = bool(error and error.cls_name == "DagsterAssetCheckFailedError")
        found.append(StepFailure(str(entry.step_key), message, by_check))
    return found


def newest_failure(instance: dg.DagsterInstance, job: str) -> FailedRun | None:
    """The newest run of a job, if it failed, and not because a check refused its result."""
    from fx_assets.monitoring.freshness import FailedRun

    records = instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
    if not records or records[0].dagster_run.status is not dg.DagsterRunStatus.FAILURE:
        return None
    run = records[0]
    failures = failures_of(instance, run.dagster_run.run_id)
    if failures and all(failure.by_check for failure in failures):
        return None
    error = failures[0].sentence if failures else "the run ended without a failed step"
    began = datetime.fromtimestamp(run.start_time, UTC) if run.start_time else clock.now()
    return FailedRun(at=min(began, clock.now()), error=error)
