"""What goes wrong, when, and what was seen of it.

A fault is planted before its day's first run. What the vendor does wrong goes into its answers over
HTTP; what the machine does wrong is done to the process that runs the job.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal

import dagster as dg
import numpy as np

from benchmarks.drill.deployment import FEED, FORECAST, NOWHERE, Deployment, Request, definitions
from benchmarks.drill.world import Distortion, Vendor, at
from fx_assets.tables import PREDICTIONS, RAW_PRICES

Kind = Literal[
    "outage",
    "late by hours",
    "late by a day",
    "revised bar",
    "price x100",
    "negative price",
    "inverted price",
    "run killed while writing",
    "run killed between two tables",
    "disk full",
    "registry away",
]
KINDS: tuple[Kind, ...] = (
    "outage",
    "late by hours",
    "revised bar",
    "price x100",
    "run killed while writing",
    "disk full",
    "registry away",
    "late by a day",
    "negative price",
    "run killed between two tables",
    "inverted price",
)
OUTAGE_DAYS = 3
SPANS: dict[Kind, int] = {"outage": OUTAGE_DAYS + 1, "registry away": 11}
"""Business days from a fault to its recovery, where these are not two."""
EVENING, NIGHT = time(18, 0), time(23, 30)
REVISION = 1.001
SATURDAY = 5


@dataclass
class Fault:
    """Something that goes wrong on a day, and what came of it."""

    kind: Kind
    day: date
    injected_at: datetime
    over_at: datetime
    """When its cause is gone; the platform has to find that out."""
    seen: dict[str, datetime] = field(default_factory=dict)
    """What noticed it, and when first."""
    recovered_at: datetime | None = None
    lost: int = 0
    """Bars and predictions that were never made good."""

    def notice(self, by: str, now: datetime) -> None:
        self.seen.setdefault(by, now)


def plan(days: Sequence[date], seed: int, kinds: Sequence[Kind] = KINDS) -> dict[date, Kind]:
    """One day for each fault; each is over, and can be recovered from, before the next begins.

    A registry is away on a Saturday, when candidates are judged.

    Raises
    ------
    ValueError
        There are fewer days than the faults need.
    """
    slack = len(days) - days_needed(kinds)
    if slack < 0:
        raise ValueError(f"These faults need {days_needed(kinds)} business days, not {len(days)}.")
    shares = np.full(len(kinds) + 1, 1 / (len(kinds) + 1))
    pauses = np.random.default_rng(seed).multinomial(slack, shares)
    planned: dict[date, Kind] = {}
    position = 0
    for kind, pause in zip(kinds, pauses.tolist(), strict=False):
        position += pause
        day = days[position]
        if kind == "registry away":
            day += timedelta(days=SATURDAY - day.weekday())
        planned[day] = kind
        position += SPANS.get(kind, 2)
    return planned


def days_needed(kinds: Sequence[Kind]) -> int:
    """Business days from the first fault to the recovery from the last."""
    return sum(SPANS.get(kind, 2) for kind in kinds)


def plant(kind: Kind, day: date, following: Sequence[date], vendor: Vendor) -> Fault:
    """Let it happen; ``following`` are the open days after ``day``."""
    morning = at(day, time(0, 0))
    tonight, tomorrow = at(day, EVENING), at(following[0], time(12, 0))
    changes: Mapping[Kind, tuple[Callable[[float], float | None], datetime]] = {
        "late by hours": (lambda _: None, tonight),
        "late by a day": (lambda _: None, tomorrow),
        "revised bar": (lambda rate: round(rate * REVISION, 2), tomorrow),
        "price x100": (lambda rate: round(rate * 100, 2), tomorrow),
        "negative price": (lambda rate: -rate, tonight),
        "inverted price": (lambda rate: round(1 / rate, 8), tomorrow),
    }
    if kind == "outage":
        end = at(following[OUTAGE_DAYS - 1], time(12, 0))
        vendor.outages.append((morning, end))
        return Fault(kind, day, morning, end)
    if kind in changes:
        change, end = changes[kind]
        vendor.distortions.append(Distortion(day, morning, end, change))
        return Fault(kind, day, morning, end)
    return Fault(kind, day, morning, tonight)


@contextmanager
def disk_full() -> Iterator[None]:
    """No file of this process can grow: the kernel refuses every write to a regular file.

    What Delta's native threads say of it on standard error is dropped.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sys.stderr.flush()
    errors = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
        os.dup2(errors, 2)
        os.close(errors)


@contextmanager
def registry_away(live_from: date) -> Iterator[dg.Definitions]:
    """The platform as it is while nobody listens at MLflow's address."""
    variable = "FX_ASSETS_MLFLOW"
    before = os.environ.get(variable)
    os.environ[variable] = NOWHERE
    try:
        yield definitions(live_from)
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def kill_run(deployment: Deployment, request: Request, table: str, *, committed: bool) -> str:
    """Run a job in a process of its own, and kill that at a table's write with SIGKILL.

    Parameters
    ----------
    table
        ``raw_prices/eurjpy`` or the like.
    committed
        Whether the write is let through first: the kill then falls between two tables. Otherwise
        half of a file has been written.

    Returns
    -------
    str
        The run's id. Dagster's record of it says that it failed, as its run monitoring would.
    """
    run = dg.DagsterRun(
        job_name=request.job,
        run_id=str(uuid.uuid4()),
        status=dg.DagsterRunStatus.STARTED,
        tags=dict(request.tags),
    )
    deployment.instance.add_run(run)
    victim = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.drill.victim",
            str(deployment.live_from),
            request.job,
            json.dumps(dict(request.tags)),
            table,
            "after" if committed else "within",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert victim.stdout is not None
    said = victim.stdout.readline()
    victim.send_signal(signal.SIGKILL)
    if victim.wait() != -signal.SIGKILL or "writing" not in said:
        rest = said + victim.stdout.read()
        raise RuntimeError(f"The run of {request.job} ended before it could be killed.\n{rest}")
    deployment.instance.report_run_failed(run, message="The process of the run was killed.")
    deployment.tell_of_failure(run.run_id)
    return run.run_id


def targets() -> dict[Kind, tuple[str, str, bool]]:
    """The job, the table and the moment at which each killed run is killed."""
    return {
        "run killed while writing": (
            f"{FORECAST}_predict",
            f"{PREDICTIONS.name}/{FORECAST}",
            False,
        ),
        "run killed between two tables": (f"{FEED}_ingest", f"{RAW_PRICES.name}/{FEED}", True),
    }
