"""What the platform tells Prometheus of itself: its runs, its data, and what they weigh."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pandas as pd
import sqlalchemy
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from fx_assets import clock
from fx_assets.assets.automation import compaction
from fx_assets.assets.records import ENDED
from fx_assets.components.declared import declared
from fx_assets.errors import FxAssetsError
from fx_assets.heartbeats import dead_runs
from fx_assets.instance import open_instance
from fx_assets.lake import Lake
from fx_assets.monitoring.freshness import feed_freshness
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec
from fx_assets.specs.files import Declared
from fx_assets.tables import ALERTS, PLATFORM, PRICES, RAW_PRICES

_log = logging.getLogger(__name__)
PAUSE_SECONDS = 15
"""Between two measurements."""
SIZES_SECONDS = 600
"""Between two looks at how large everything is."""
FAILURES_COUNT = timedelta(days=1)
FAILURES_STAND = timedelta(days=8)
"""How long ago a job may have failed whose next run is looked for; jobs run weekly or oftener."""
MOST_FAILURES = 1000
STATES = {
    "queued": dg.DagsterRunStatus.QUEUED,
    "starting": dg.DagsterRunStatus.STARTING,
    "started": dg.DagsterRunStatus.STARTED,
    "canceling": dg.DagsterRunStatus.CANCELING,
}
GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "runs": ("Runs that wait or are at work.", ("state",)),
    "oldest_run_seconds": ("Time that the oldest of these runs has been there.", ("state",)),
    "failed_runs": ("Runs that failed within a day.", ()),
    "job_failing": ("1 while the newest run of a job that failed is a failure.", ("dagster_job",)),
    "silent_runs": ("Runs at work without a sign of life.", ()),
    "daemon_heartbeat_timestamp_seconds": ("When a daemon last gave a sign.", ("daemon",)),
    "upkeep_timestamp_seconds": ("When the job compaction last succeeded.", ()),
    "missing_bars": (
        "Bars newer than the newest stored one that are overdue by the market's calendar.",
        ("feed", "paused"),
    ),
    "data_age_seconds": ("Time since the newest stored bar was published.", ("feed", "paused")),
    "ingest_lag_seconds": (
        "Time from the newest bar's publication until it was stored.",
        ("feed", "paused"),
    ),
    "undelivered_alerts": ("Alerts of the last day that did not reach a receiver.", ()),
    "lake_bytes": ("Size of the lake.", ("folder",)),
    "records_bytes": ("Size of Dagster's records.", ()),
    "part_failed": ("1 while a part of these figures cannot be measured.", ("part",)),
    "measured_timestamp_seconds": ("When the last measurement ended.", ()),
}


@dataclass
class Sheet:
    """Figures by gauge and labels."""

    figures: dict[str, dict[tuple[str, ...], float]] = field(default_factory=dict)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Note one figure."""
        self.figures.setdefault(name, {})[labels] = value

    def families(self) -> Iterator[GaugeMetricFamily]:
        """As Prometheus' client takes them."""
        for name, values in self.figures.items():
            text, labels = GAUGES[name]
            family = GaugeMetricFamily(f"fx_platform_{name}", text, labels=labels)
            for given, value in values.items():
                family.add_metric(given, value)
            yield family


class PlatformMetrics(Collector):
    """The newest measurement; a part that cannot be measured is said to fail and left out.

    Parameters
    ----------
    instance
        Dagster's, on SQLite or PostgreSQL.
    lake
        The tables.
    specs
        What is declared.
    """

    def __init__(self, instance: dg.DagsterInstance, lake: Lake, specs: Declared) -> None:
        self._instance, self._lake, self._specs = instance, lake, specs
        self._sizes = Sheet()
        self._sized_at = float("-inf")
        self._sheet = Sheet()
        self._known: dict[str, tuple[tuple[int | None, ...], datetime | None, float | None]] = {}

    def measure(self) -> None:
        """Look at everything once."""
        sheet = Sheet()
        parts: dict[str, Callable[[Sheet], None]] = {
            "runs": self._runs,
            "data": self._data,
            "alerts": self._alerts,
            "sizes": self._weigh,
        }
        for part, look in parts.items():
            found = Sheet()
            try:
                look(found)
            except Exception as error:
                _log.warning("%s cannot be measured: %s", part, type(error).__name__)
                sheet.set("part_failed", 1, part)
                continue
            sheet.set("part_failed", 0, part)
            sheet.figures |= found.figures
        sheet.set("measured_timestamp_seconds", time.time())
        self._sheet = sheet

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What was measured last."""
        return self._sheet.families()

    def _runs(self, sheet: Sheet) -> None:
        instance, now = self._instance, datetime.now(UTC)
        for state, status in STATES.items():
            these = dg.RunsFilter(statuses=[status])
            sheet.set("runs", instance.get_runs_count(these), state)
            oldest = instance.get_run_records(these, limit=1, ascending=True)
            ages = [now.timestamp() - _began(record) for record in oldest]
            sheet.set("oldest_run_seconds", max([0.0, *ages]), state)
        failed = instance.get_run_records(
            dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - FAILURES_STAND
            ),
            limit=MOST_FAILURES,
        )
        lately = (now - FAILURES_COUNT).timestamp()
        sheet.set("failed_runs", sum(_ended(r) >= lately for r in failed))
        for job in {record.dagster_run.job_name for record in failed}:
            ended = dg.RunsFilter(job_name=job, statuses=ENDED)
            (newest,) = instance.get_run_records(ended, limit=1)
            failing = newest.dagster_run.status is dg.DagsterRunStatus.FAILURE
            sheet.set("job_failing", float(failing), job)
        sheet.set("silent_runs", sum(1 for _ in dead_runs(instance)))
        for daemon, sign in instance.get_daemon_heartbeats().items():
            sheet.set("daemon_heartbeat_timestamp_seconds", sign.timestamp, daemon)
        done = dg.RunsFilter(job_name=compaction.name, statuses=[dg.DagsterRunStatus.SUCCESS])
        for record in instance.get_run_records(done, limit=1):
            sheet.set("upkeep_timestamp_seconds", _ended(record))

    def _data(self, sheet: Sheet) -> None:
        now = clock.now()
        panels = {
            name: (spec.example.model_copy(update={"name": name}), spec.automatic)
            for name, spec in self._specs.universes.items()
        }
        feeds = {name: (feed, feed.automatic) for name, feed in self._specs.feeds.items()}
        nothing = pd.DataFrame()
        for name, (feed, automatic) in {**feeds, **panels}.items():
            labels = (name, str(not automatic).lower())
            newest, lag = self._newest(feed)
            have = pd.DataFrame({"event_time": [newest]}) if newest is not None else nothing
            verdict = feed_freshness(feed, prices=have, quality=nothing, sources=nothing, now=now)
            sheet.set("missing_bars", verdict.behind, *labels)
            if newest is not None:
                age = now - feed.market.publication(newest)
                sheet.set("data_age_seconds", age.total_seconds(), *labels)
            if lag is not None:
                sheet.set("ingest_lag_seconds", lag, *labels)

    def _newest(self, feed: FeedSpec) -> tuple[datetime | None, float | None]:
        """The newest stored close, and how late it was stored; read again after a commit."""
        lake, name = self._lake, feed.name
        versions = tuple(lake.version(table.name, name) for table in (PRICES, RAW_PRICES))
        if versions[0] is None:
            return None, None
        if self._known.get(name, (None,))[0] != versions:
            newest = lake.read(PRICES.name, name, columns=["event_time"])["event_time"].max()
            lag = None
            if versions[1] is not None and not pd.isna(newest):
                raw = lake.read(RAW_PRICES.name, name, columns=["event_time", "ingested_at"])
                lag = _lag(raw, feed.market.publication(newest))
            found = None if pd.isna(newest) else newest.to_pydatetime()
            self._known[name] = (versions, found, lag)
        return self._known[name][1:]

    def _alerts(self, sheet: Sheet) -> None:
        rows, lost = self._lake.read_or_empty(ALERTS.name, PLATFORM), 0
        if len(rows):
            rows = rows[rows["at"] > pd.Timestamp(clock.now()) - FAILURES_COUNT]
            for _, states in rows.groupby(["key", "channel", "sequence"])["state"]:
                lost += "failed" in set(states) and "delivered" not in set(states)
        sheet.set("undelivered_alerts", lost)

    def _weigh(self, sheet: Sheet) -> None:
        if time.monotonic() - self._sized_at >= SIZES_SECONDS:
            found = Sheet()
            for folder, size in self._lake.sizes().items():
                found.set("lake_bytes", size, folder)
            found.set("records_bytes", _records_bytes(self._instance))
            self._sizes, self._sized_at = found, time.monotonic()
        sheet.figures |= self._sizes.figures


def _began(record: dg.RunRecord) -> float:
    return record.start_time or record.create_timestamp.timestamp()


def _ended(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()


def _lag(raw: pd.DataFrame, published: datetime) -> float | None:
    """How late the newest bar was stored; ``None`` where the first load brought it."""
    if raw.empty:
        return None
    first = raw[raw["event_time"] == raw["event_time"].max()]["ingested_at"].min()
    if first == raw["ingested_at"].min():
        return None
    return max(0.0, float((first - pd.Timestamp(published)).total_seconds()))


def _records_bytes(instance: dg.DagsterInstance) -> float:
    """Of the database, or with SQLite of its folder, logs included."""
    storage = cast("Any", instance.run_storage)
    with storage.connect() as connection:
        if connection.dialect.name == "postgresql":
            size = sqlalchemy.text("select pg_database_size(current_database())")
            return float(connection.execute(size).scalar_one())
        file = connection.engine.url.database
    if not file or not Path(file).is_file():
        return 0.0
    folder = Path(file).parents[1]
    return float(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()))


def tell_prometheus(host: str, port: int, *, once: bool = False) -> int:
    """Answer Prometheus until interrupted; or print what it would be told, once.

    Raises
    ------
    FxAssetsError
        The port cannot be listened on, or Dagster's records cannot be read.
    """
    settings = Settings()
    instance = open_instance(settings.home.resolve())
    platform = PlatformMetrics(instance, Lake.from_settings(settings), declared())
    registry = CollectorRegistry()
    platform.measure()
    registry.register(platform)
    if once:
        print(generate_latest(registry).decode(), end="")
        return 0
    try:
        start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        raise FxAssetsError(
            f"Nothing can listen on {host}:{port}: {error}.",
            remedy="Give another address with --host and --port.",
        ) from error
    print(f"Metrics of the platform: http://{host}:{port}/metrics", flush=True)
    while True:
        time.sleep(PAUSE_SECONDS)
        platform.measure()
