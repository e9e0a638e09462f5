"""A small platform of its own in a temporary folder, driven through real Dagster runs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets.assets.automation import range_tags
from fx_assets.calendars import calendar
from fx_assets.components.forecast import forecast_definitions
from fx_assets.components.price_feed import feed_definitions
from fx_assets.lake import Lake
from fx_assets.resources import resources
from fx_assets.settings import Settings
from fx_assets.sources import ecb
from fx_assets.specs import FeedSpec, ForecastSpec

TARGET = calendar("target")


def ecb_zip(rates: pd.DataFrame) -> bytes:
    """The ECB's history file: newest first, a trailing comma, ``N/A`` for NaN.

    ``rates`` has a column a currency and is indexed by day.
    """
    lines = ["Date," + ",".join(rates.columns) + ","]
    for day, row in rates.sort_index(ascending=False).iterrows():
        cells = ["N/A" if pd.isna(value) else repr(float(value)) for value in row]
        lines.append(f"{pd.Timestamp(str(day)).date()},{','.join(cells)},")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("eurofxref-hist.csv", "\n".join(lines) + "\n")
    return content.getvalue()


def rates_of(bars: pd.DataFrame, currency: str = "USD") -> pd.DataFrame:
    """Bars of EUR/``currency`` as a table of rates, rounded as the ECB does."""
    days = TARGET.day_index(pd.DatetimeIndex(bars["event_time"]))
    return pd.DataFrame({currency: bars["close"].to_numpy().round(6)}, index=days)


def feed_spec(**changes: object) -> FeedSpec:
    values = {
        "name": "eurusd",
        "source": {"kind": "ecb", "quote": "USD"},
        "start": "2014-01-01",
    }
    return FeedSpec.model_validate({**values, **changes})


def forecast_spec(**changes: object) -> ForecastSpec:
    values: dict[str, object] = {
        "name": "direction",
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

    def __post_init__(self) -> None:
        self.snapshot = self.folder / "published.zip"
        environment = {
            "FX_ASSETS_HOME": str(self.folder),
            "FX_ASSETS_ECB_HISTORY_URL": "http://127.0.0.1:9/eurofxref-hist.zip",
            "FX_ASSETS_ECB_DAILY_URL": "http://127.0.0.1:9/eurofxref-daily.xml",
            "FX_ASSETS_ECB_SNAPSHOT": str(self.snapshot),
            "FX_ASSETS_HTTP_ATTEMPTS": "1",
        }
        for name, value in environment.items():
            self.monkeypatch.setenv(name, value)
        (self.folder / "dagster").mkdir(parents=True)
        self.instance = dg.DagsterInstance.local_temp(str(self.folder / "dagster"))
        self.lake = Lake.from_settings(Settings())
        self.reload()

    def reload(self) -> None:
        """Build the definitions again, after the specs have changed."""
        feeds = {feed.name: feed for feed in self.feeds}
        self.definitions = dg.Definitions.merge(
            *(feed_definitions(feed) for feed in self.feeds),
            *(forecast_definitions(spec, feeds[spec.feed]) for spec in self.forecasts),
            dg.Definitions(resources=resources(), executor=dg.in_process_executor),
        )

    def publish(self, rates: pd.DataFrame) -> None:
        """Let the ECB publish these rates."""
        self.snapshot.write_bytes(ecb_zip(rates))
        ecb.forget()

    def travel(self, instant: datetime | str) -> None:
        """Set the clock."""
        self.monkeypatch.setenv("FX_ASSETS_NOW", pd.Timestamp(instant).isoformat())

    def run(self, job: str, tags: Mapping[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """Run one job to its end; failures are in the result."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=dict(tags or {}), raise_on_error=False
        )

    def ingest(self, first: str = "2014", last: str | None = None) -> dg.ExecuteInProcessResult:
        from fx_assets import clock

        return self.run("eurusd_ingest", range_tags(first, last or str(clock.now().year)))

    def retrain(self, forecast: str = "direction") -> dg.ExecuteInProcessResult:
        return self.run(f"{forecast}_retrain")

    def predict(
        self, first: str, last: str | None = None, forecast: str = "direction"
    ) -> dg.ExecuteInProcessResult:
        return self.run(f"{forecast}_predict", range_tags(first, last or first))


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


def steps(result: dg.ExecuteInProcessResult) -> Iterable[str]:
    """The steps that ran to their end."""
    return [event.step_key or "" for event in result.all_events if event.is_step_success]


