"""Runs say that they live; those that fell silent are ended, so that nothing waits for the dead.

Dagster's default launcher cannot tell a run that was killed from one that takes long. Every run of
ours therefore leaves a sign of life in Dagster's own storage, with the process that it comes from.
Signs are read by the clock of the machine, never by that of the forecasts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from fx_assets.lake.turns import process_exists, this_host
from fx_assets.settings import Settings

BEAT = timedelta(seconds=20)
"""Between two signs of life."""
LOOK_SECONDS = 30
"""Between two looks for dead runs, where sensors may not look more often."""
SILENCE = timedelta(minutes=3)
"""After which a run of ours is dead."""
NO_PROCESS = 0
"""In the sign of a step that has ended; the next step has another process."""
WRITES = "fx_assets/writes"
"""Tag of every job of ours: what it writes. Runs of equal value are never at work together."""
SHARD = "fx_assets/shard"
"""Tag of runs over a part of a universe: its first instrument."""
NO_RETRY = {"dagster/max_retries": "0"}
"""For runs on a terminal: the person sees that they ended, and no daemon can repeat them."""

_beating: set[str] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class SignOfLife:
    """When a run was last known to live, and in which process."""

    at: datetime
    host: str
    process: int

    @classmethod
    def parse(cls, text: str) -> SignOfLife:
        at, host, process = text.split("|")
        return cls(datetime.fromisoformat(at), host, int(process))

    def __str__(self) -> str:
        return f"{self.at.isoformat()}|{self.host}|{self.process}"


@contextmanager
def heartbeat(instance: dg.DagsterInstance, run_id: str, *, steps: bool = False) -> Iterator[None]:
    """Leave signs of a run's life until the block ends; once in a process, however often asked.

    Parameters
    ----------
    steps
        Whether other processes execute the run's steps: this one gives signs between them.
    """
    with _lock:
        nested = run_id in _beating
        _beating.add(run_id)
    if nested:
        yield
        return
    a_step = not steps and _sign(instance, run_id) is not None
    ended = threading.Event()
    _beat(instance, run_id)
    thread = threading.Thread(target=_beats, args=(instance, run_id, ended, steps), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if a_step:
            _beat(instance, run_id, process=NO_PROCESS)
        with _lock:
            _beating.discard(run_id)


def dead_runs(instance: dg.DagsterInstance) -> Iterator[tuple[dg.DagsterRun, str]]:
    """The runs at work whose process is gone or silent, each with the reason."""
    working = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    records = instance.get_run_records(dg.RunsFilter(statuses=working))
    storage = instance.daemon_cursor_storage
    signs = storage.get_cursor_values({alive_key(r.dagster_run.run_id) for r in records})
    now = datetime.now(UTC)
    for record in records:
        sign = signs.get(alive_key(record.dagster_run.run_id))
        reason = _death(SignOfLife.parse(sign), now) if sign else _never_lived(record, now)
        if reason is not None:
            yield record.dagster_run, reason


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs whose process is gone or silent; returns what was said of each."""
    ended = []
    for run, reason in dead_runs(instance):
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message=reason)
        else:
            instance.report_run_failed(run, message=reason)
        ended.append(f"{run.job_name} {run.run_id}: {reason}")
    return ended


def dead_runs_sensor(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Ends runs that were killed, so that what waits for them goes on and somebody asks again."""

    @dg.sensor(
        name="dead_runs",
        minimum_interval_seconds=min(LOOK_SECONDS, Settings().sensor_seconds),
        default_status=status,
        description=(
            "Ends runs whose process was killed or has been silent for "
            f"{SILENCE.total_seconds():.0f} s, so that the queue moves and they can be asked for "
            "again."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended = end_dead_runs(context.instance)
        return dg.SkipReason(" ".join(ended) or "Every run at work gives signs of life.")

    return sensor


def _beats(
    instance: dg.DagsterInstance, run_id: str, ended: threading.Event, between_steps: bool
) -> None:
    while not ended.wait(BEAT.total_seconds()):
        # Storage that is away for a moment must not end the run; a later sign may get through.
        with suppress(Exception):
            if not between_steps or _no_step_at_work(instance, run_id):
                _beat(instance, run_id)


def _no_step_at_work(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Of steps that are, the signs have to stay, also of one that was killed.

    A step that ends takes back the last sign, be it another's: that one has begun and not ended.
    """
    steps = instance.get_run_step_stats(run_id)
    if any(step.status and step.status.name == "IN_PROGRESS" for step in steps):
        return False
    sign, mine = _sign(instance, run_id), (this_host(), os.getpid())
    return sign is None or sign.process == NO_PROCESS or (sign.host, sign.process) == mine


def _beat(instance: dg.DagsterInstance, run_id: str, process: int | None = None) -> None:
    life = SignOfLife(datetime.now(UTC), this_host(), os.getpid() if process is None else process)
    instance.daemon_cursor_storage.set_cursor_values({alive_key(run_id): str(life)})


def _sign(instance: dg.DagsterInstance, run_id: str) -> SignOfLife | None:
    key = alive_key(run_id)
    text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    return SignOfLife.parse(text) if text else None


def alive_key(run_id: str) -> str:
    """Where the sign of life of a run is kept."""
    return f"fx_assets/alive/{run_id}"


def _death(sign: SignOfLife, now: datetime) -> str | None:
    known = sign.host == this_host() and sign.process != NO_PROCESS
    if known and not process_exists(sign.process):
        return f"its process {sign.process} on {sign.host} is gone: it was killed."
    if now - sign.at > SILENCE:
        return f"no sign of life since {sign.at:%Y-%m-%d %H:%M:%S} UTC: it was killed or cut off."
    return None


def _never_lived(record: dg.RunRecord, now: datetime) -> str | None:
    """Of a run of ours that ended before its first sign; of others nothing is known."""
    began = record.start_time or record.create_timestamp.timestamp()
    if WRITES not in record.dagster_run.tags:
        return None
    if now - datetime.fromtimestamp(began, UTC) <= SILENCE:
        return None
    return "it never gave a sign of life: it was killed as it began."
