"""What Dagster knows of runs: which are in progress, and why the others failed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from fx_assets import clock
from fx_assets.faults import fault_in
from fx_assets.heartbeats import WRITES
from fx_assets.settings import Settings

if TYPE_CHECKING:
    from fx_assets.monitoring.freshness import FailedRun

IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
INTERRUPTS = {"KeyboardInterrupt", "DagsterExecutionInterruptedError"}
LONGEST_RUN = timedelta(hours=12)
"""A run that began longer ago holds nothing up; ``dagster.yaml`` ends it."""
MOST_ATTEMPTS = 5
"""Runs that a sensor asks for one reason, while they fail."""
PAUSE = timedelta(minutes=5)
"""Before the second of them; it doubles with each."""
RUN_KEY = "dagster/run_key"
AssetJob: TypeAlias = Any
"""What ``define_asset_job`` returns; Dagster does not export the type."""


@dataclass(frozen=True)
class Size:
    """What the machine of a run has, where a launcher gives each run one of its own."""

    cpus: float
    gigabytes: int

    @property
    def tags(self) -> dict[str, str]:
        """As the launchers read it from a run."""
        room = {"cpu": f"{round(1000 * self.cpus)}m", "memory": f"{self.gigabytes}Gi"}
        pod = {"container_config": {"resources": {"requests": room, "limits": room}}}
        return {
            "ecs/cpu": str(round(1024 * self.cpus)),
            "ecs/memory": str(1024 * self.gigabytes),
            "dagster-k8s/config": json.dumps(pod),
        }


SMALL = Size(cpus=0.5, gigabytes=2)
"""For new bars and what follows from them."""
MEDIUM = Size(cpus=1, gigabytes=4)
"""For a shard of a universe, which is walked forward in one process."""
LARGE = Size(cpus=2, gigabytes=8)
"""For fitting and judging."""


def asset_job(
    name: str,
    selection: dg.AssetSelection,
    description: str,
    size: Size = SMALL,
    executor: dg.ExecutorDefinition | None = None,
) -> AssetJob:
    """A job of ours, of which one run is at work at a time."""
    return dg.define_asset_job(
        name,
        selection=selection,
        description=description,
        tags={WRITES: name} | size.tags,
        executor_def=executor,
    )


def schedule_status(*, on: bool = True) -> dg.DefaultScheduleStatus:
    """Whether a schedule starts switched on; ``on`` is what its feed declares."""
    running = on and Settings().automation
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED


def sensor_status(*, on: bool = True) -> dg.DefaultSensorStatus:
    """Whether a sensor starts switched on; ``on`` is what its feed declares."""
    running = on and Settings().automation
    return dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED


@dataclass(frozen=True)
class Failure:
    """Why a step failed, or the run around its steps, without Dagster's wrapping."""

    step: str
    """Empty where no step was to blame, such as a resource that could not be made."""
    message: str
    by_check: bool = False
    """Whether a blocking asset check failed, rather than the code."""
    interrupted: bool = False
    """Whether a person or the operating system ended it."""

    @property
    def sentence(self) -> str:
        return f"{self.step.replace('__', '/')}: {self.message}" if self.step else self.message


def in_progress(instance: dg.DagsterInstance, *jobs: str) -> bool:
    """Whether a run of one of the jobs waits or runs, whoever started it."""
    since = clock.now() - LONGEST_RUN
    return any(
        instance.get_run_records(
            dg.RunsFilter(job_name=job, statuses=IN_PROGRESS, created_after=since), limit=1
        )
        for job in jobs
    )


def asked_again(
    instance: dg.DagsterInstance, job: str, run_key: str, tags: Mapping[str, str] | None = None
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run, and with a pause again where it failed: Dagster drops equal run keys.

    Returns
    -------
    RunRequest or SkipReason
        The reason says when it is asked for again, or that it is not.
    """
    for attempt in range(1, MOST_ATTEMPTS + 1):
        key = run_key if attempt == 1 else f"{run_key} attempt {attempt}"
        mine = dg.RunsFilter(job_name=job, tags={RUN_KEY: key})
        records = instance.get_run_records(mine, limit=1)
        if not records or records[0].dagster_run.status is not dg.DagsterRunStatus.FAILURE:
            return dg.RunRequest(job_name=job, run_key=key, tags=tags)
        ended = datetime.fromtimestamp(records[0].end_time or 0, UTC)
        next_at = ended + PAUSE * 2 ** (attempt - 1)
        if datetime.now(UTC) < next_at:
            return dg.SkipReason(f"{job} failed; it is asked for again at {next_at:%H:%M} UTC.")
    return dg.SkipReason(f"{job} failed {MOST_ATTEMPTS} times; its last run says why.")


def failures_of(instance: dg.DagsterInstance, run_id: str) -> list[Failure]:
    """Why a run failed, first to last; that of the run itself only where no step failed."""
    entries = instance.all_logs(run_id, of_type=FAILURES)
    return failures_in(entry.dagster_event for entry in entries if entry.dagster_event)


def failures_in(events: Iterable[dg.DagsterEvent]) -> list[Failure]:
    """Why the run of these events failed, first to last."""
    steps, whole = [], []
    for event in events:
        if event.is_step_failure:
            data = event.step_failure_data
            steps.append(_failure(str(event.step_key), data.error if data else None))
        elif event.event_type is dg.DagsterEventType.RUN_FAILURE:
            # A run that was found dead has no data, only the message of who found it.
            known = event.event_specific_data
            error = getattr(known, "error", None)
            whole.append(_failure("", error, event.message or ""))
    interrupted = [failure for failure in whole if failure.interrupted]
    return steps + interrupted if steps else whole


def _failure(step: str, error: Any, otherwise: str = "") -> Failure:
    chain = list(_causes(error))
    interrupted = any(cause.cls_name in INTERRUPTS for cause in chain)
    foreign = (cause for cause in chain if not cause.message.startswith("dagster."))
    told = next(foreign, chain[-1] if chain else None)
    by_check = bool(told and told.cls_name == "DagsterAssetCheckFailedError")
    said = told.message.strip() if told else otherwise or "no reason was recorded"
    said = re.sub(r"^fx_assets\.[\w.]+: ", "", said)
    fault = fault_in(said)
    if fault and "What to do:" not in said:
        said += f"\n  {fault.sentence}\n  What to do: {fault.remedy}"
    return Failure(step, said, by_check, interrupted)


def _causes(error: Any) -> Iterator[Any]:
    while error is not None:
        yield error
        error = error.cause


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
