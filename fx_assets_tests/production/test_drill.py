"""Production, hit at random moments: nothing is lost, runs end, and the queue moves on.

``FX_TESTS_FAULTS=40`` hits it as often. On a quiet machine a fault takes some 35 s: 7 until it
comes, 10 while storage is away, the rest until the schedule's next minute has begun another run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)

from fx_assets.lake import Lake
from fx_assets_tests.homes import Home
from fx_assets_tests.production.home import BUCKET, in_production
from fx_assets_tests.production.relay import Relay, relayed
from fx_assets_tests.production.servers import postgres, s3
from fx_assets_tests.production.supervised import Supervised, supervised

NUMBER = int(os.environ.get("FX_TESTS_FAULTS", "5"))
KINDS = (
    "worker", "S3 refuses", "daemon", "PostgreSQL refuses", "code", "S3 hangs", "PostgreSQL hangs",
)  # fmt: skip
AWAY_SECONDS = 20
BETWEEN_SECONDS = (2, 12)
LONG_FORM = 40
QUEUE_SECONDS = 120
"""How long the queue may stand still, in the long form, which a quiet machine is for."""
MOST_LATE = 1
PATIENCE_SECONDS = 900
"""How long it may take until all is well again, on a machine that is busy."""
FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: eur
  source: {{kind: simulated, seed: 5}}
  calendar: 24x7
  frequency: 1min
  ingest_cron: "* * * * *"
  start: {start}
"""
FORECAST = """\
type: fx_assets.components.Forecast
attributes:
  name: up
  feed: eur
  target: {{kind: direction, horizon: 10}}
  features: ohlc
  candidates: [persistence]
  walk_forward: {{first_test: {test}, min_train: 1000, refit_every: 5000}}
  live_from: {live}
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@dataclass
class Production:
    """A deployment at work, and where it can be hit."""

    home: Home
    processes: Supervised
    database: Relay
    storage: Relay
    lake: Lake
    instance: dg.DagsterInstance
    hits: Counter[str] = field(default_factory=Counter)

    def hit(self, kind: str) -> None:
        """Let something happen, and be over."""
        what, _, how = kind.partition(" ")
        relay = {"S3": self.storage, "PostgreSQL": self.database}.get(what)
        if relay is not None:
            relay.breaks("hangs" if how == "hangs" else "refuses")
            time.sleep(AWAY_SECONDS)
            relay.mends()
        elif what == "worker":
            for worker in self.until(self.processes.workers, "a run to kill"):
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        else:
            self.processes.kill(what)
        self.hits[kind] += 1

    def until(self, found: Callable[[], object], what: str) -> object:
        end = time.monotonic() + PATIENCE_SECONDS
        while not (value := found()):
            assert time.monotonic() < end, f"{what} did not come about.\n{self.told()}"
            time.sleep(0.5)
        return value

    def predicted(self) -> pd.Timestamp | None:
        rows = self.lake.read_or_empty("predictions", "up")
        return rows["event_time"].max() if len(rows) else None

    def told(self) -> str:
        logs = (self.home.folder / f"{name}.log" for name in self.processes.commands)
        return "\n".join(log.read_text()[-4000:] for log in logs)

    def begun(self) -> list[float]:
        """When runs began, oldest first."""
        records = self.instance.get_run_records(ascending=True)
        return [record.start_time for record in records if record.start_time]


@contextmanager
def at_work(folder: Path) -> Iterator[Production]:
    today = pd.Timestamp.now("UTC").floor("D")
    days = {"start": today - pd.Timedelta(33, "D"), "test": today - pd.Timedelta(1, "D")}
    text = {name: f"{day:%Y-%m-%d}" for name, day in {**days, "live": today}.items()}
    with ExitStack() as stack:
        server = stack.enter_context(postgres("canary"))
        for name in ("dagster", "mlflow"):
            server.create(name)
        port = int(stack.enter_context(s3(BUCKET)).rpartition(":")[2])
        storage, database = (stack.enter_context(relayed(p)) for p in (port, server.port))
        home = Home.new(folder)
        for path, declared in {"feeds/eur": FEED, "forecasts/up": FORECAST}.items():
            (folder / "defs" / path / "defs.yaml").write_text(declared.format(**text))
        in_production(home, replace(server, port=database.port), f"http://127.0.0.1:{storage.port}")
        home.environment |= {"FX_ASSETS_AUTOMATION": "true", "FX_ASSETS_SENSOR_SECONDS": "5"}
        home.environment["FX_ASSETS_NOW"] = ""
        options = {name: v for name, v in home.environment.items() if name.startswith("AWS_")}
        direct = options | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        (folder / "aside").mkdir()
        (folder / "aside" / "dagster.yaml").write_text(
            f"storage: {{postgres: {{postgres_url: '{server.url('dagster')}'}}}}\n"
        )
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(folder / "aside")))
        processes = stack.enter_context(supervised(home))
        lake = Lake(f"s3://{BUCKET}/lake", storage_options=direct)
        yield Production(home, processes, database, storage, lake, instance)


def test_what_happens_to_production_loses_nothing_and_everything_goes_on(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    chance = random.Random(11)
    kinds = [KINDS[n % len(KINDS)] for n in range(NUMBER)]
    waits: list[float] = []
    slow: list[str] = []
    with at_work(tmp_path / "home") as production:
        production.until(production.predicted, "the first prediction")
        first = pd.Timestamp.now("UTC")
        for kind in kinds:
            time.sleep(chance.uniform(*BETWEEN_SECONDS))
            production.hit(kind)
            over = time.time()
            production.until(lambda over=over: production.begun()[-1] > over, "another run")
            waits.append(production.begun()[-1] - over)
            since = (pd.Timestamp.now("UTC") - first).total_seconds()
            told = (
                f"{kind}: another run after {waits[-1]:.0f} s (at {since:.0f} s, "
                f"{os.getloadavg()[0]:.0f} processes wanted {os.cpu_count()} cores)"
            )
            slow += [told] if waits[-1] > QUEUE_SECONDS else []
            say(told)
        newest = pd.Timestamp.now("UTC").floor("min") - pd.Timedelta(3, "min")
        production.until(lambda: (production.predicted() or newest) >= newest, "all predictions")
        (again,) = production.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["up", "predictions"]), "reproduced"),
            limit=1,
            status={Status.SUCCEEDED, Status.FAILED},
        )
        rows = production.lake.read("predictions", "up")
        prices = production.lake.read("prices", "eur")
        stuck = [
            record.dagster_run.job_name
            for record in production.instance.get_run_records(
                dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
            )
            if record.start_time and time.time() - record.start_time > PATIENCE_SECONDS
        ]
    modes = rows["mode"].value_counts().to_dict()
    say(f"{len(kinds)} faults {dict(production.hits)}, {len(prices)} bars, predictions {modes}")
    assert stuck == []
    hit = rows[rows["event_time"] >= first]
    assert (hit["mode"] == "late").sum() <= MOST_LATE, hit[hit["mode"] == "late"]
    assert again.status is Status.SUCCEEDED, again.event

    # Every bar is there once, and every one since the first live one has been predicted.
    assert prices["event_time"].is_unique
    assert rows["event_time"].is_unique
    every = pd.date_range(prices["event_time"].min(), prices["event_time"].max(), freq="1min")
    assert len(prices) == len(every)
    live = prices[prices["event_time"] >= rows["event_time"].min()]
    assert set(live["event_time"][live["event_time"] <= newest]) <= set(rows["event_time"])

    # An undisturbed deployment, asked at the same time, has the same prices; from them every
    # prediction was made again by the last run, which said that none differs.
    quiet = production.home.copy_to(tmp_path / "quiet")
    quiet.environment = {
        "FX_ASSETS_NOW": f"{prices['event_time'].max() + pd.Timedelta(1, 's')}",
        "FX_ASSETS_LAKE": "data/lake",
    }
    (quiet.folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    quiet.run("run").succeeded()
    theirs = Lake(str(quiet.folder / "data" / "lake")).read("prices", "eur")
    columns = ["event_time", "open", "high", "low", "close"]
    pd.testing.assert_frame_equal(
        prices[columns].sort_values("event_time", ignore_index=True),
        theirs[columns].sort_values("event_time", ignore_index=True),
    )
    if len(kinds) >= LONG_FORM:
        assert max(waits) <= QUEUE_SECONDS, "\n".join(slow)
