"""A server on a lake of its own, what has been asked of it, and a Prometheus that watches it."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import dagster as dg
import pandas as pd
import pytest
import yaml
from dagster._daemon.types import DaemonHeartbeat

from fx_assets import clock
from fx_assets.alerting.alert import Alert
from fx_assets.alerting.alerts import Alerter
from fx_assets.alerting.channels import AlertSettings
from fx_assets.components.declared import declared
from fx_assets.instance import open_instance
from fx_assets.lake import Lake
from fx_assets.settings import Settings
from fx_assets.testing import worlds
from fx_assets.testing.lakes.served_lake import FORECAST, ServedLake
from fx_assets.testing.processes import Running, free_port, running
from fx_assets_tests.homes import Home

MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
NOW = datetime(2026, 10, 30, 18, 0, tzinfo=UTC)
SKILL = 0.012
LIVE_SKILL, LIVE_ROWS = -0.05, 60
SCRAPE = "500ms"
PATIENCE = 15
SUPPLIED, OUTSIDE, TOLD, UNKNOWN = 3, 2, 5, 4
"""How often features are supplied, supplied with one out of range, and so on."""
T = TypeVar("T")

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are missing: apt-get install prometheus",
)


def exposed_names(text: str) -> set[str]:
    """The names of all metrics, with those that a histogram is made of."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        names.add(name)
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return names


@dataclass(frozen=True)
class Monitored:
    """The server and its lake."""

    server: Running
    lake: ServedLake

    def ask(self, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body of a request; a POST where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}{path}",
            data,
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def exposed(self) -> set[str]:
        """The names of all metrics at ``/metrics``."""
        return exposed_names(self.ask("/metrics")[1].decode())


@contextmanager
def monitored(folder: Path) -> Iterator[Monitored]:
    """A server at a fixed time, that has been asked a known number of questions."""
    lake = ServedLake(folder, now=NOW, trees=10, depth=2, skill=SKILL)
    lake.lake.append("drift", FORECAST, _drift_report())
    lake.lake.append("performance", FORECAST, _performance())
    port = free_port()
    environment = {
        **lake.environment,
        "FX_ASSETS_NOW": NOW.isoformat(),
        "FX_SERVING_POLL_SECONDS": "0.2",
    }
    with running(
        [sys.executable, "-m", "serving", "--port", str(port)],
        f"/v1/forecasts/{FORECAST}/latest",
        port=port,
        folder=folder,
        environment=environment,
    ) as server:
        made = Monitored(server, lake)
        _ask_everything(made)
        yield made


def _ask_everything(made: Monitored) -> None:
    base, features = f"/v1/forecasts/{FORECAST}", made.lake.features()
    first = next(iter(features))
    # The first 200 of ``latest`` has said that the server is ready.
    requests: list[tuple[int, int, str, object]] = [
        (SUPPLIED, 200, f"{base}/predict/features", {"features": features}),
        (OUTSIDE, 200, f"{base}/predict/features", {"features": {**features, first: 1e6}}),
        (TOLD - 1, 200, f"{base}/latest", None),
        (UNKNOWN, 404, "/v1/forecasts/no_such_forecast/latest", None),
    ]
    for times, expected, path, body in requests:
        for _ in range(times):
            status, answer = made.ask(path, body)
            assert status == expected, answer


def _drift_report() -> pd.DataFrame:
    """Two columns of which one has drifted, as the ``drift`` table holds them."""
    return pd.DataFrame(
        {
            "as_of": pd.Timestamp(NOW).as_unit("us"),
            "measured_at": pd.Timestamp(NOW).as_unit("us"),
            "verdict": "drift",
            "column": ["rsi_14", "macd"],
            "part": "feature",
            "distance": [2.0, 0.1],
            "threshold": [1.0, 1.0],
            "drifted": [True, False],
            "sentence": "One column has drifted.",
        }
    )


def _performance() -> pd.DataFrame:
    """A look that found live predictions to be worse, as the ``performance`` table holds it."""
    return pd.DataFrame(
        {
            "measured_at": [pd.Timestamp(NOW).as_unit("us")],
            "skill": [LIVE_SKILL],
            "skill_lower": [-0.09],
            "skill_upper": [-0.01],
            "rows": [LIVE_ROWS],
            "alarm": [True],
        }
    )


LAG = 600
"""Seconds after its publication at which the newest bar of the platform was stored."""
FAILED, TIDY, WORKS = "eur_ingest", "compaction", "up_predict"


def lived(folder: Path) -> Home:
    """A home with late bars, one run that failed, one at work, an upkeep and a lost alert."""
    home = Home.new(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.variables.items():
            patch.setenv(name, value)
        bars = worlds.random_walk(40, 1, start="2022-01-03")
        published = bars["event_time"].map(declared().feeds["eur"].market.publication)
        bars["ingested_at"] = published + pd.Timedelta(seconds=LAG)
        lake = Lake.from_settings(Settings())
        lake.append("raw_prices", "eur", bars)
        lake.append("prices", "eur", bars)
        lost = Alert(kind="stale", subject="eur", sentence="eur is late.", at=clock.now())
        Alerter(lake, AlertSettings(webhook_url="http://127.0.0.1:9/", attempts=1)).notify(
            lost, clock.now()
        )
        patch.chdir(folder)
        instance = open_instance(folder)
        for job, status in (
            (FAILED, dg.DagsterRunStatus.FAILURE),
            (TIDY, dg.DagsterRunStatus.SUCCESS),
            (WORKS, dg.DagsterRunStatus.STARTED),
        ):
            instance.add_run(dg.DagsterRun(job_name=job, run_id=str(uuid4()), status=status))
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "1", []))
    return home


class Prometheus:
    """A running Prometheus; answers to its HTTP API."""

    def __init__(self, server: Running) -> None:
        self.server = server

    def api(self, path: str, **parameters: str) -> Any:
        """The data of an answer."""
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.server.port}/api/v1/{path}?{query}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and values of an instant query."""
        found = self.api("query", query=expression)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in found]

    def value(self, expression: str) -> float:
        """The one value of an expression; NaN if there is none."""
        found = self.query(expression)
        return found[0][1] if len(found) == 1 else math.nan


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, int]) -> Iterator[Prometheus]:
    """Prometheus with the configuration of ``deploy/monitoring``; ``targets`` are ports by job."""
    folder.mkdir()
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": SCRAPE, "evaluation_interval": SCRAPE}
    config["rule_files"] = [str(MONITORING / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with running(command, "/-/ready", port=port, folder=folder) as server:
        yield Prometheus(server)


def eventually(expected: T, found: Callable[[], T]) -> None:
    """Fails if it does not become so."""
    end = time.monotonic() + PATIENCE
    while (last := found()) != expected and time.monotonic() < end:
        time.sleep(0.1)
    assert last == expected
