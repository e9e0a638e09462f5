"""How fast the server answers, beside FastAPI's hello-world and ``mlflow models serve``.

One worker of each on one core, the load on another, in one run on one machine: read the ratios,
since machines differ. Latencies are those of one client in the quietest round; requests a second
are the median of the rounds, with 16 clients. Where other work disturbs the machine, trust the
processor time that a request costs the server. Prints a markdown table. Everything is made in a
temporary folder, offline.

Run with ``python -m benchmarks.serving --help``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks.load import Case, Load, wrk
from benchmarks.soak import Soaked, soak
from fx_assets.testing.lakes.served_lake import FORECAST, ServedLake
from fx_assets.testing.processes import Running, free_port, running

CONNECTIONS = 16
BARS = 300
SWAPS = 20
SOAK_POLL_SECONDS = 0.25
STARTS = 3
MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
HELLO, MLFLOW_SERVE = "FastAPI hello-world", "mlflow models serve"
FEATURES, LATEST, SUPPLIED = "one row of features", "latest forecast", f"{BARS} bars"
READY = f"/v1/forecasts/{FORECAST}/latest"
"""Answers 200 when there are champion, prices and an issued forecast."""
INVOCATIONS = "/invocations, as MLflow"
HEADER = (
    "what",
    "p50 ms",
    "p99 ms",
    "req/s",
    "CPU µs a request",
    "hello-world's CPU to it",
    "req/s to hello-world",
    "x mlflow",
    "target",
    "met",
)


@dataclass(frozen=True)
class Figures:
    """Over the rounds; ratios are taken within each round, where the noise is shared."""

    p50: float
    p99: float
    per_second: float
    cpu: float
    """Processor time of a request, in microseconds."""
    cpu_share: float
    """What hello-world costs, divided by this: the share of its throughput on a free core."""
    to_hello: float
    to_mlflow: float


@dataclass(frozen=True)
class Target:
    """What the project has promised."""

    text: str
    met: Callable[[Figures], bool]


TARGETS = {
    FEATURES: Target(
        "p50 < 0.2 ms, p99 < 2 ms, 55 % of hello-world, 30 x mlflow",
        lambda f: f.p50 < 0.2 and f.p99 < 2 and f.to_hello >= 0.55 and f.to_mlflow >= 30,
    ),
    LATEST: Target("p99 < 2 ms, 65 % of hello-world", lambda f: f.p99 < 2 and f.to_hello >= 0.65),
    SUPPLIED: Target("p50 < 2 ms, p99 < 2 ms", lambda f: f.p50 < 2 and f.p99 < 2),
}


def server_command(port: int) -> list[str]:
    """Our server."""
    return [sys.executable, "-m", "serving", "--port", str(port)]


def hello_command(port: int) -> list[str]:
    """Hello-world in the same web server, with the same options."""
    options = ["--port", str(port), "--no-access-log", "--no-server-header", "--log-level=error"]
    return [sys.executable, "-m", "uvicorn", "benchmarks.hello:app", *options]


def mlflow_command(model: Path, port: int) -> list[str]:
    """MLflow's server in this very environment."""
    tool = str(Path(sys.executable).with_name("mlflow"))
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--workers", "1"]
    return [tool, "models", "serve", "--model-uri", str(model), "--port", str(port), *options]


def save_for_mlflow(lake: ServedLake, folder: Path) -> Path:
    """The first champion's trees as an MLflow model, which predicts the same probability."""
    os.environ.update(MLFLOW)
    import mlflow.xgboost
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature

    booster = lake.models[1].trees_
    booster.feature_names = list(lake.columns)
    row = pd.DataFrame([lake.newest], columns=list(lake.columns))
    mlflow.xgboost.save_model(
        booster, folder, signature=infer_signature(row, np.zeros(1)), pip_requirements=[]
    )
    return folder


def cases(lake: ServedLake, ours: int, hello: int, mlflow: int) -> dict[str, Case]:
    """Every request that is measured, by name."""
    base, features = f"http://127.0.0.1:{ours}", lake.features()
    split = json.dumps(
        {"dataframe_split": {"columns": list(features), "data": [list(features.values())]}}
    )
    predict = f"{base}/v1/forecasts/{FORECAST}/predict"
    found = [
        Case(HELLO, f"http://127.0.0.1:{hello}/"),
        Case(FEATURES, f"{predict}/features", json.dumps({"features": features})),
        Case(LATEST, f"{base}/v1/forecasts/{FORECAST}/latest"),
        Case(SUPPLIED, f"{predict}/bars", json.dumps({"bars": lake.newest_bars(BARS)})),
        Case(INVOCATIONS, f"{base}/invocations", split),
        Case(MLFLOW_SERVE, f"http://127.0.0.1:{mlflow}/invocations", split),
    ]
    return {case.name: case for case in found}


@dataclass(frozen=True)
class Bench:
    """Where and how long to measure."""

    folder: Path
    rounds: int
    seconds: float
    soak_seconds: float
    server_core: int | None
    load_core: int | None

    def load(self, case: Case, connections: int, seconds: float) -> Load:
        """Load on one server; an error ends the benchmark."""
        found = wrk(
            case,
            connections=connections,
            seconds=seconds,
            folder=self.folder,
            core=self.load_core,
        )
        if found.errors or not found.per_second:
            raise SystemExit(f"{case.name}: {found.errors} errors.\n{found.output}")
        return found

    def start(
        self, command: list[str], ready: str, port: int, environment: dict[str, str]
    ) -> contextlib.AbstractContextManager[Running]:
        """A server on its core."""
        return running(
            command,
            ready,
            port=port,
            folder=self.folder,
            core=self.server_core,
            environment=environment,
        )

    def measure(self, every: dict[str, Case], servers: list[Running]) -> dict[str, Figures]:
        """Latency with one client, throughput with sixteen, in rounds that take turns."""
        by_port = {server.port: server for server in servers}
        alone: dict[str, list[Load]] = {name: [] for name in every}
        together: dict[str, list[Load]] = {name: [] for name in every}
        cpu: dict[str, list[float]] = {name: [] for name in every}
        for case in every.values():
            self.load(case, 4, 1)
        for _ in range(self.rounds):
            for name, case in every.items():
                server = by_port[urlsplit(case.url).port or 0]
                alone[name].append(self.load(case, 1, self.seconds))
                before = server.cpu_seconds()
                together[name].append(self.load(case, CONNECTIONS, self.seconds))
                spent = server.cpu_seconds() - before
                cpu[name].append(1e6 * spent / together[name][-1].requests)

        def ratio(name: str, other: str) -> float:
            pairs = zip(together[name], together[other], strict=True)
            return median(a.per_second / b.per_second for a, b in pairs)

        return {
            name: Figures(
                p50=min(load.p50 for load in alone[name]),
                p99=min(load.p99 for load in alone[name]),
                per_second=median(load.per_second for load in together[name]),
                cpu=median(cpu[name]),
                cpu_share=median(cpu[HELLO]) / median(cpu[name]),
                to_hello=ratio(name, HELLO),
                to_mlflow=ratio(name, MLFLOW_SERVE),
            )
            for name in every
        }

    def starts(self, environment: dict[str, str]) -> tuple[float, float]:
        """Seconds from the command to the first forecast, and processor seconds.

        The quickest of some starts.
        """
        times = []
        for _ in range(STARTS):
            port = free_port()
            with self.start(server_command(port), READY, port, environment) as server:
                times.append((server.ready, server.cpu_seconds()))
        return min(times)


def row(name: str, figures: Figures | None, target: str = "", met: bool | None = None) -> str:
    """A line of the table."""
    numbers = [""] * 7
    if figures is not None:
        numbers = [
            f"{figures.p50:.3f}",
            f"{figures.p99:.3f}",
            f"{figures.per_second:,.0f}",
            f"{figures.cpu:,.0f}",
            f"{100 * figures.cpu_share:.0f} %",
            f"{100 * figures.to_hello:.0f} %",
            f"{figures.to_mlflow:.1f}",
        ]
    verdict = {None: "", True: "yes", False: "**no**"}[met]
    return "| " + " | ".join([name, *numbers, target, verdict]) + " |"


def report(bench: Bench) -> bool:
    """Measure everything, print the table, and say whether every target was met."""
    lake = ServedLake(bench.folder, versions=4)
    model = save_for_mlflow(lake, bench.folder / "mlflow")
    # MLflow looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**lake.environment, **MLFLOW, "PATH": path}
    ours, hello, mlflow = free_port(), free_port(), free_port()
    every = cases(lake, ours, hello, mlflow)
    with contextlib.ExitStack() as stack:
        started = {
            name: stack.enter_context(bench.start(command, ready, port, environment))
            for name, command, ready, port in (
                ("ours", server_command(ours), READY, ours),
                (HELLO, hello_command(hello), "/", hello),
                (MLFLOW_SERVE, mlflow_command(model, mlflow), "/ping", mlflow),
            )
        }
        figures = bench.measure(every, list(started.values()))
        memory = {name: server.resident_mb() for name, server in started.items()}
        mlflow_ready = started[MLFLOW_SERVE].ready
    start = bench.starts(environment)
    port = free_port()
    hurried = {**environment, "FX_SERVING_POLL_SECONDS": str(SOAK_POLL_SECONDS)}
    with bench.start(server_command(port), READY, port, hurried) as server:
        soaked = soak(
            server,
            cases(lake, port, hello, mlflow)[FEATURES],
            lake,
            seconds=bench.soak_seconds,
            swaps=SWAPS,
            poll_seconds=SOAK_POLL_SECONDS,
            folder=bench.folder,
            core=bench.load_core,
        )
    return print_table(figures, memory, (*start, mlflow_ready), soaked, bench.soak_seconds)


def print_table(
    figures: dict[str, Figures],
    memory: dict[str, float],
    ready: tuple[float, float, float],
    soaked: Soaked,
    seconds: float,
) -> bool:
    """The table; whether every target was met."""
    verdicts = []
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for name, found in figures.items():
        target = TARGETS.get(name)
        met = None if target is None else target.met(found)
        verdicts.append(met is not False)
        print(row(name, found, "" if target is None else target.text, met))
    start, start_cpu, mlflow_start = ready
    clean = soaked.errors == soaked.wrong == 0 and soaked.seen > 0
    facts = [
        (
            f"start to first forecast: {start:.2f} s, {start_cpu:.2f} of CPU "
            f"(mlflow {mlflow_start:.1f})",
            "< 1.5 s",
            start < 1.5,
        ),
        (
            f"memory: {memory['ours']:.0f} MB (hello-world {memory[HELLO]:.0f}, "
            f"mlflow {memory[MLFLOW_SERVE]:.0f})",
            "< 150 MB",
            memory["ours"] < 150,
        ),
        (
            f"{seconds:.0f} s of load with {soaked.swaps} swaps ({soaked.seen} seen): "
            f"{soaked.requests:,} requests, {soaked.errors} errors, {soaked.wrong} wrong, "
            f"p99 {soaked.worst_ms:.1f} ms with 16 clients",
            "no error, no wrong version",
            clean,
        ),
    ]
    for text, target_text, met in facts:
        verdicts.append(met)
        print(row(text, None, target_text, met))
    return all(verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=2, help="of each load (%(default)s)")
    parser.add_argument("--soak", type=float, default=15, help="seconds of swaps (%(default)s)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk puts the load on the servers: apt-get install wrk.")
    cores = sorted(os.sched_getaffinity(0))
    apart = len(cores) > 1 and shutil.which("taskset") is not None
    if not apart:
        print("Load and server share their cores (no second core, or no taskset).\n")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(
            Path(name),
            options.rounds,
            options.seconds,
            options.soak,
            cores[0] if apart else None,
            cores[1] if apart else None,
        )
        sys.exit(0 if report(bench) else 1)


if __name__ == "__main__":
    main()
