"""A small platform of its own in a temporary folder, driven through real Dagster runs."""

from __future__ import annotations

import io
import shutil
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from fx_assets import clock
from fx_assets.assets.automation import compaction, compaction_schedule, range_tags
from fx_assets.assets.progress import progress_logger
from fx_assets.calendars import calendar
from fx_assets.components.forecast import forecast_definitions
from fx_assets.components.price_feed import feed_definitions
from fx_assets.lake import Lake
from fx_assets.resources import resources
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.sources import ecb
from fx_assets.specs import FeedSpec, ForecastSpec

TARGET = calendar("target")
QUIET: dict[str, Any] = {"loggers": {"progress": {}}}
Edit = Callable[[list[str]], list[str]]
"""Changes the lines of the ECB's history: the header, then the days, newest first."""


def ecb_zip(rates: pd.DataFrame, edit: Edit = list) -> bytes:
    """The ECB's history file: newest first, a trailing comma, ``N/A`` for NaN.

    ``rates`` has a column a currency and is indexed by day.
    """
    lines = ["Date," + ",".join(rates.columns) + ","]
    newest_first = rates.sort_index(ascending=False)
    for day, cells in zip(newest_first.index, newest_first.to_numpy(), strict=True):
        texts = ["N/A" if pd.isna(value) else repr(float(value)) for value in cells]
        lines.append(f"{pd.Timestamp(day).date()},{','.join(texts)},")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        member = zipfile.ZipInfo("eurofxref-hist.csv")  # with a fixed date: same rates, same bytes
        archive.writestr(member, "\n".join(edit(lines)) + "\n")
    return content.getvalue()


def rates_of(bars: pd.DataFrame, currency: str = "USD") -> pd.DataFrame:
    """Bars of EUR/``currency`` as a table of rates, rounded nearly as the ECB does."""
    days = TARGET.day_index(pd.DatetimeIndex(bars["event_time"]))
    return pd.DataFrame({currency: bars["close"].to_numpy().round(6)}, index=days)


def evening(day: date | str) -> datetime:
    """When that day's fixing has long been published: 18:00 UTC."""
    return datetime.combine(pd.Timestamp(day).date(), time(18), tzinfo=UTC)


def feed_spec(**changes: object) -> FeedSpec:
    values = {
        "name": "eurusd",
        "description": "A simulated EUR/USD.",
        "source": {"kind": "ecb", "quote": "USD"},
        "start": "2014-01-01",
    }
    return FeedSpec.model_validate({**values, **changes})


def forecast_spec(**changes: object) -> ForecastSpec:
    values: dict[str, object] = {
        "name": "direction",
        "description": "Probability that the next fixing is above the last one.",
        "feed": "eurusd",
        "target": {"kind": "direction"},
        "candidates": ["persistence", "logistic_regression"],
        "walk_forward": {"first_test": "2016-01-01", "min_train": 250},
        "live_from": "2018-01-01",
    }
    return ForecastSpec.model_validate({**values, **changes})


@dataclass
class Platform:
    """Feeds and forecasts on a lake of their own, with a clock that the test sets.

    The ECB's address leads nowhere; what it "publishes" is the snapshot file.
    """

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    feeds: list[FeedSpec] = field(default_factory=lambda: [feed_spec()])
    forecasts: list[ForecastSpec] = field(default_factory=lambda: [forecast_spec()])
    environment: dict[str, str] = field(default_factory=dict)
    persistent: bool = False
    """Whether Dagster's own records go to files, as they do for people; memory is faster."""

    def __post_init__(self) -> None:
        self.snapshot = self.folder / "published.zip"
        environment = {
            "FX_ASSETS_HOME": str(self.folder),
            "FX_ASSETS_ECB_HISTORY_URL": "http://127.0.0.1:9/eurofxref-hist.zip",
            "FX_ASSETS_ECB_DAILY_URL": "http://127.0.0.1:9/eurofxref-daily.xml",
            "FX_ASSETS_ECB_SNAPSHOT": str(self.snapshot),
            "FX_ASSETS_HTTP_ATTEMPTS": "1",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        for name, value in {**environment, **self.environment}.items():
            self.monkeypatch.setenv(name, value)
        self.instance = self._instance()
        ecb.forget()
        self.reload()

    def _instance(self) -> dg.DagsterInstance:
        if not self.persistent:
            return dg.DagsterInstance.ephemeral()
        home = self.folder / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        logs = "dagster._core.storage.noop_compute_log_manager"
        settings: dict[str, Any] = {
            "telemetry": {"enabled": False},
            "compute_logs": {"module": logs, "class": "NoOpComputeLogManager"},
        }
        return dg.DagsterInstance.local_temp(str(home), overrides=settings)

    @property
    def lake(self) -> Lake:
        """The lake, opened afresh."""
        return Lake.from_settings(Settings())

    def copy_to(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
        """The same platform with the same past, somewhere else."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Platform(folder, monkeypatch, list(self.feeds), list(self.forecasts))

    def reload(self) -> None:
        """Build the definitions again, after specs or the environment have changed."""
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        feeds = {feed.name: feed for feed in self.feeds}
        self.definitions = dg.Definitions.merge(
            *(feed_definitions(feed, self.forecasts) for feed in self.feeds),
            *(forecast_definitions(spec, feeds[spec.feed]) for spec in self.forecasts),
            dg.Definitions(
                jobs=[compaction],
                schedules=[compaction_schedule()],
                resources=resources(),
                loggers={"progress": progress_logger},
                executor=dg.in_process_executor,
            ),
        )

    def publish(self, rates: pd.DataFrame, edit: Edit = list) -> None:
        """Let the ECB publish these rates."""
        self.snapshot.write_bytes(ecb_zip(rates, edit))
        ecb.forget()

    def travel(self, instant: datetime | str) -> None:
        """Set the clock."""
        self.monkeypatch.setenv("FX_ASSETS_NOW", pd.Timestamp(instant).isoformat())

    def arrive(self, rates: pd.DataFrame, day: date | str, edit: Edit = list) -> None:
        """It is the evening of ``day``, and the ECB has published everything up to it."""
        self.travel(evening(day))
        self.publish(rates[: pd.Timestamp(day)], edit)

    def run(self, job: str, tags: Mapping[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """Run one job to its end; failures are in the result."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            run_config=QUIET, instance=self.instance, tags=dict(tags or {}), raise_on_error=False
        )

    def materialize(
        self, *keys: str, first: str | None = None, last: str | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run the assets with these keys (``eurusd/prices``) alone, as the UI's button does."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        tags = range_tags(first, last or first) if first else {}
        return job.execute_in_process(
            run_config=QUIET,
            instance=self.instance,
            tags=tags,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
        )

    def ingest(
        self, first: str = "2014", last: str | None = None, feed: str = "eurusd"
    ) -> dg.ExecuteInProcessResult:
        return self.run(f"{feed}_ingest", range_tags(first, last or str(clock.now().year)))

    def retrain(self, forecast: str = "direction") -> dg.ExecuteInProcessResult:
        return self.run(f"{forecast}_retrain")

    def predict(
        self, first: date | str, last: date | str | None = None, forecast: str = "direction"
    ) -> dg.ExecuteInProcessResult:
        return self.run(f"{forecast}_predict", range_tags(str(first), str(last or first)))

    def sensor(self, forecast: str = "direction") -> dg.RunRequest | dg.SkipReason:
        """What the forecast's sensor asks for now."""
        found = self.definitions.resolve_sensor_def(f"{forecast}_follows_prices")
        with dg.build_sensor_context(self.instance, resources=self._resources()) as context:
            data = found.evaluate_tick(context)
        return _only(data.run_requests or [], data.skip_message)

    def tick(self, schedule: str, at: str) -> dg.RunRequest | dg.SkipReason:
        """What a schedule asks for when it ticks at a local time with its offset."""
        found = self.definitions.resolve_schedule_def(schedule)
        with (
            self.monkeypatch.context() as patch,
            dg.build_schedule_context(
                scheduled_execution_time=pd.Timestamp(at).to_pydatetime(),
                resources=self._resources(),
            ) as context,
        ):
            # Dagster hands schedules only those instances that are kept on disk.
            patch.setattr(dg.ScheduleEvaluationContext, "instance", self.instance)
            data = found.evaluate_tick(context)
        return _only(data.run_requests or [], data.skip_message)

    def run_requested(self, request: object) -> dg.ExecuteInProcessResult:
        """Run what a sensor asked for."""
        assert isinstance(request, dg.RunRequest)
        assert request.job_name
        return self.run(request.job_name, request.tags)

    def versions(self, *, without: Sequence[str] = ()) -> dict[str, int | None]:
        """The version of every table."""
        lake = self.lake
        return {
            f"{table}/{name}": lake.version(table, name)
            for table in lake.tables()
            for name in lake.names(table)
            if table not in without
        }

    def predictions(self, forecast: str = "direction") -> pd.DataFrame:
        """Issued predictions by day."""
        return self.lake.read("predictions", forecast).sort_values("day").set_index("day")

    def frame(self, forecast: str = "direction") -> pd.DataFrame:
        """A forecast's stored features with its labels."""
        spec = next(each for each in self.forecasts if each.name == forecast)
        feed = next(each for each in self.feeds if each.name == spec.feed)
        return SeriesTables(self.lake, spec, feed).frame()

    def _resources(self) -> dict[str, object]:
        return {"lake": resources()["lake"]}


def _only(requests: Sequence[Any], skipped: str | None) -> dg.RunRequest | dg.SkipReason:
    if not requests:
        return dg.SkipReason(skipped)
    (request,) = requests
    assert isinstance(request, dg.RunRequest)
    return request


def started_steps(result: dg.ExecuteInProcessResult) -> set[str]:
    """The steps that were begun."""
    return {str(event.step_key) for event in result.all_events if event.is_step_start}


def failures(result: dg.ExecuteInProcessResult) -> str:
    """Every reason for which steps failed."""
    reasons: list[str] = []
    for event in result.all_events:
        error = event.step_failure_data.error if event.is_step_failure else None
        while error is not None:
            reasons.append(error.message)
            error = error.cause
    return "\n".join(reasons)


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Failed checks and what they say."""
    return {
        found.check_name: str(found.description)
        for found in result.get_asset_check_evaluations()
        if not found.passed
    }


def metadata(result: dg.ExecuteInProcessResult, key: str) -> dict[str, Any]:
    """What a run says of the asset ``eurusd/prices`` or ``direction/models/ridge``."""
    wanted = dg.AssetKey(key.split("/"))
    made = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
    ]
    newest = [found for found in made if found.asset_key == wanted][-1]
    return {name: value.value for name, value in newest.metadata.items()}
