"""The platform under drill: one feed, one forecast, and a daemon that lives in simulated time."""

from __future__ import annotations

import gc
import logging
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg

from benchmarks.drill.records import in_memory
from benchmarks.drill.world import CURRENCY, DAILY_PATH, FIRST_DAY, FRANKFURT, HISTORY_PATH
from fx_assets.assets.alerting import failure_sensor
from fx_assets.assets.automation import compaction, compaction_schedule
from fx_assets.assets.progress import progress_logger
from fx_assets.components.forecast import forecast_definitions
from fx_assets.components.price_feed import feed_definitions
from fx_assets.lake import Lake
from fx_assets.resources import LakeResource, resources
from fx_assets.sources import ecb
from fx_assets.specs import FeedSpec, ForecastSpec

FEED, FORECAST = "eurjpy", "direction"
QUIET: dict[str, Any] = {"loggers": {"progress": {}}}
SELDOM = (50_000, 20, 50)
"""When garbage is collected: runs leave many objects and little garbage."""
NOWHERE = "http://127.0.0.1:9"
"""An address at which nobody listens."""


def feed_spec() -> FeedSpec:
    """The simulated currency, asked for once a day, with nothing to stand in for its vendor."""
    return FeedSpec.model_validate(
        {
            "name": FEED,
            "description": "A simulated EUR/JPY.",
            "source": {"kind": "ecb", "quote": CURRENCY, "fallback": False},
            "start": FIRST_DAY.isoformat(),
            "ingest_cron": "10 16 * * 1-5",
        }
    )


def forecast_spec(live_from: date) -> ForecastSpec:
    """A forecast with one cheap candidate; all rules are the platform's defaults."""
    return ForecastSpec.model_validate(
        {
            "name": FORECAST,
            "description": "Probability that the next fixing is above the last one.",
            "feed": FEED,
            "target": {"kind": "direction"},
            "candidates": ["logistic_regression"],
            "walk_forward": {"first_test": "2017-07-03", "min_train": 250},
            "promotion": {"min_rows": 1000},
            "live_from": live_from.isoformat(),
        }
    )


def environment(folder: Path, vendor_url: str) -> dict[str, str]:
    """Settings of the deployment."""
    return {
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_ECB_HISTORY_URL": vendor_url + HISTORY_PATH,
        "FX_ASSETS_ECB_DAILY_URL": vendor_url + DAILY_PATH,
        "FX_ASSETS_HTTP_ATTEMPTS": "1",
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }


def definitions(live_from: date) -> dg.Definitions:
    """Everything that the platform would load for these two declarations."""
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    feed = feed_spec()
    return dg.Definitions.merge(
        feed_definitions(feed, [forecast_spec(live_from)]),
        forecast_definitions(forecast_spec(live_from), feed),
        dg.Definitions(
            jobs=[compaction],
            schedules=[compaction_schedule()],
            sensors=[failure_sensor()],
            resources=resources(),
            loggers={"progress": progress_logger},
            executor=dg.in_process_executor,
        ),
    )


@dataclass(frozen=True)
class Request:
    """A run that a schedule or a sensor asked for."""

    job: str
    tags: Mapping[str, str]
    asked_by: str


@dataclass
class Spent:
    """Seconds of processor time and how often."""

    seconds: dict[str, float] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        both = [*self.seconds, *other.seconds]
        seconds = {w: self.seconds.get(w, 0.0) + other.seconds.get(w, 0.0) for w in both}
        return Spent(seconds, self.times + other.times)

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Book what happens inside."""
        began = time.process_time()
        try:
            yield
        finally:
            took = time.process_time() - began
            self.seconds[what] = self.seconds.get(what, 0.0) + took
            self.times[what] += 1


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Faults are injected on purpose: the ledger tells of them, not the log."""
    loggers = [logging.getLogger(n) for n in ("dagster", "fx_assets", "mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Deployment:
    """Evaluates the platform's own schedules and sensors, and runs the jobs they ask for.

    Stands in for Dagster's daemon: it keeps cursors, runs nothing twice for one run key, and tells
    the sensor of failed runs of each failure. Dagster's records are in memory.
    """

    def __init__(self, folder: Path, live_from: date) -> None:
        self.folder, self.live_from = folder, live_from
        self.instance = in_memory()
        self.definitions = definitions(live_from)
        self.spent = Spent()
        self.failed_runs = 0
        self._lake = resources()["lake"]
        self._resources = ExitStack().enter_context(
            dg.build_resources({"lake": self._lake}, instance=self.instance)
        )
        self._cursors: dict[str, str | None] = {}
        self._run_keys: set[tuple[str, str]] = set()

    @property
    def lake(self) -> Lake:
        """The lake that the runs of this process use."""
        assert isinstance(self._lake, LakeResource)
        return self._lake.open()

    def settle(self) -> None:
        """What was loaded by now stays; collecting garbage in it again and again is slow."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*SELDOM)

    def travel(self, now: datetime) -> None:
        """Set the clock; what the source remembers of the last five minutes is forgotten."""
        os.environ["FX_ASSETS_NOW"] = now.isoformat()
        ecb.forget()

    def scheduled(self, schedule: str, now: datetime) -> Request | None:
        """What a schedule asks for when it ticks now."""
        found = self.definitions.resolve_schedule_def(schedule)
        local = now.astimezone(FRANKFURT)
        with (
            self.spent.on("schedules and sensors"),
            dg.build_schedule_context(scheduled_execution_time=local) as context,
            # Dagster hands schedules only those instances that are kept on disk, and makes another
            # one for their resources.
            patch.object(dg.ScheduleEvaluationContext, "instance", self.instance),
            patch.object(dg.ScheduleEvaluationContext, "resources", self._resources),
        ):
            if found.required_resource_keys:
                answer = found(context)
                requests = [answer] if isinstance(answer, dg.RunRequest) else []
            else:
                requests = list(found.evaluate_tick(context).run_requests or [])
        return self._new(schedule, found.job_name, requests)

    def sensed(self, sensor: str) -> Request | None:
        """What a sensor asks for now."""
        found = self.definitions.resolve_sensor_def(sensor)
        with (
            self.spent.on("schedules and sensors"),
            dg.build_sensor_context(
                self.instance,
                cursor=self._cursors.get(sensor),
                resources={"lake": self._lake},
            ) as context,
        ):
            data = found.evaluate_tick(context)
        self._cursors[sensor] = data.cursor
        only = "" if len(found.jobs) > 1 else found.job.name
        return self._new(sensor, only, data.run_requests or [])

    def run(
        self, request: Request, using: dg.Definitions | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run a job to its end; a failure is in the result, and is told of."""
        with self.spent.on(request.job):
            job = (using or self.definitions).resolve_job_def(request.job)
            result = job.execute_in_process(
                run_config=QUIET,
                instance=self.instance,
                tags=dict(request.tags),
                raise_on_error=False,
            )
        if not result.success:
            self.tell_of_failure(result.run_id)
        return result

    def tell_of_failure(self, run_id: str) -> None:
        """What the daemon does about a failed run: the failure sensor sees it."""
        self.failed_runs += 1
        run = self.instance.get_run_by_id(run_id)
        (*_, record) = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert run is not None
        assert record.dagster_event is not None
        context = dg.build_run_status_sensor_context(
            "failed_runs",
            record.dagster_event,
            self.instance,
            run,
            resources={"lake": self._lake},
        )
        self.definitions.resolve_sensor_def("failed_runs")(context.for_run_failure())

    def _new(self, asked_by: str, job: str, requests: Sequence[Any]) -> Request | None:
        for request in requests:
            if request.run_key:
                key = (asked_by, request.run_key)
                if key in self._run_keys:
                    continue
                self._run_keys.add(key)
            return Request(request.job_name or job, dict(request.tags), asked_by)
        return None
