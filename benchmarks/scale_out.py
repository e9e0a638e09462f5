"""How much sooner a universe is up to date where its shards are at work together.

Simulated hourly bars of a folder, first through one process, then through Dagster's queue, launcher
and daemon with so many runs at a time. All must leave the same tables, to the bit. Wall seconds are
those of the machine as it is; ``by CPU`` is how long the runs would take on as many idle cores:
of each step, its runs' processor seconds dealt out to the workers, longest first.
"""

from __future__ import annotations

import argparse
import heapq
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import numpy as np
import pandas as pd

from fx_assets.assets.universe_steps import STEPS
from fx_assets.heartbeats import SignOfLife, alive_key
from fx_assets.lake import Lake
from fx_assets.tables import (
    BACKTEST,
    DECISIONS,
    MEMBERSHIP,
    PREDICTIONS,
    PRICES,
    SKILL,
    WALKS,
)
from fx_assets.testing.processes import free_port

NAME = "desk"
START = datetime(2022, 1, 1, tzinfo=UTC)
BINARIES = Path(sys.executable).parent
PATIENCE = timedelta(hours=12)
TICK = os.sysconf("SC_CLK_TCK")
DECLARED = """\
type: fx_assets.components.Universe
attributes:
  name: desk
  source: {{kind: files, path: "{bars}/{{lower}}.csv", timezone: UTC, stamp: close}}
  calendar: 24x7
  frequency: 1h
  features: ohlc
  start: 2022-01-01
  membership: {{min_history: 500, max_missed: 10, peg_window: 60}}
  targets:
    - {{kind: volatility, horizon: 1, candidates: [ewma]}}
  walk_forward: {{first_test: 2022-01-01, min_train: 250, refit_every: 504}}
  min_rows: 250
  {spread}
"""
DAGSTER = """\
telemetry: {{enabled: false}}
storage: {{sqlite: {{base_dir: "{folder}/data/dagster"}}}}
concurrency: {{runs: {{max_concurrent_runs: {workers}}}}}
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config: {{dequeue_interval_seconds: 1}}
"""
LAUNCHER = """\
run_launcher:
  module: dagster_celery.launcher
  class: CeleryRunLauncher
  config: {{broker: "{broker}", backend: "{broker}"}}
"""
WORKER = Path(__file__).parents[1] / "deploy" / "worker.sh"
WORKSPACE = "load_from: [{{grpc_server: {{host: 127.0.0.1, port: {port}, location_name: fx}}}}]\n"
DISCOVER = """
from fx_assets.runner import Runner, terminal
runner = Runner(terminal())
assert runner.run("desk_discover", {}), runner.failures
"""
OF_RUNS = {
    *("table_versions", "ingested_at", "issued_at", "checked_at", "read_at", "run_id"),
    *("chain_position", "content_hash", "chain_hash", "decided_at", "published_at"),
}
"""Columns that tell when, in which order or by which run rows were written."""
COMPARED = [t.name for t in (PRICES, MEMBERSHIP, BACKTEST, WALKS, SKILL, DECISIONS, PREDICTIONS)]


@dataclass
class Measured:
    """What one way of bringing the universe up to date took."""

    wall: float
    cpu: float
    """Processor seconds of the processes of runs."""
    memory: float
    """Largest resident memory of one of them, in MB."""
    runs: int
    by_step: dict[str, list[float]] = field(default_factory=dict)
    """Processor seconds of each run."""

    def on_idle_cores(self, workers: int) -> float:
        """Seconds of all steps, one after the other, on so many idle cores."""
        total = 0.0
        for seconds in self.by_step.values():
            busy = [0.0] * workers
            for each in sorted(seconds, reverse=True):
                heapq.heapreplace(busy, busy[0] + each)
            total += max(busy)
        return total


def write_bars(folder: Path, instruments: int, hours: int) -> datetime:
    """A file of hourly random walks for each instrument; returns when all of it is known."""
    folder.mkdir(parents=True)
    times = pd.date_range(START + timedelta(hours=1), periods=hours, freq="h")
    for number in range(instruments):
        random = np.random.default_rng(number)
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.002 + 0.000004 * number, hours)))
        opened = np.r_[100.0, close[:-1]]
        wicks = random.uniform(1, 1.002, (2, hours))
        bars = pd.DataFrame(
            {
                "time": times.strftime("%Y-%m-%d %H:%M:%S"),
                "open": opened,
                "high": np.maximum(opened, close) * wicks[0],
                "low": np.minimum(opened, close) / wicks[1],
                "close": close,
            }
        ).round(6)
        bars.to_csv(folder / f"{instrument(number).lower()}.csv", index=False)
    return START + timedelta(hours=hours, minutes=5)


def instrument(number: int) -> str:
    """Six letters that are nobody's."""
    return "".join(chr(65 + number // 26**power % 26) for power in (2, 1, 0)) + "USD"


def make_home(folder: Path, bars: Path, now: datetime, spread: str, workers: int) -> dict[str, str]:
    """A home with the universe declared; returns the environment of its processes."""
    declared = folder / "declared" / NAME
    declared.mkdir(parents=True)
    (declared / "defs.yaml").write_text(DECLARED.format(bars=bars, spread=spread))
    (folder / "dagster.yaml").write_text(DAGSTER.format(workers=workers, folder=folder))
    return {
        **os.environ,
        "FX_ASSETS_HOME": str(folder),
        "DAGSTER_HOME": str(folder),
        "FX_ASSETS_DECLARED": str(folder / "declared"),
        "FX_ASSETS_NOW": now.isoformat(),
        "FX_ASSETS_SENSOR_SECONDS": "1",
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def in_one_process(folder: Path, environment: dict[str, str]) -> Measured:
    """``fx-assets universe``, which takes all instruments in one process."""
    began = time.perf_counter()
    command = [sys.executable, *f"-m fx_assets.cli universe {NAME}".split()]
    with (folder / "universe.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((folder / "universe.log").read_text()[-3000:])
    wall = time.perf_counter() - began
    return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, 1)


def through_the_queue(
    folder: Path, environment: dict[str, str], shards: int, celery: int = 0
) -> Measured:
    """What the universe's sensor asks for, launched by Dagster's daemon, a process each.

    With ``celery`` workers of Celery execute them, which stand for as many machines.
    """
    subprocess.run(
        [sys.executable, "-c", DISCOVER], env=environment, cwd=folder, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    expected = sum(shards if step.sharded else 1 for step in STEPS)
    used: dict[int, float] = {}
    memory = 0.0
    until = time.monotonic() + PATIENCE.total_seconds()
    with (
        deployment(folder, environment, celery) as groups,
        dg.DagsterInstance.from_config(str(folder)) as instance,
    ):
        while True:
            for process in _spawned(groups):
                with suppress(OSError):
                    used[process] = max(used.get(process, 0.0), _cpu(process))
                    memory = max(memory, _peak_mb(process))
            runs = _runs(instance)
            wrong = [r for r in runs if r.dagster_run.status is dg.DagsterRunStatus.FAILURE]
            ended = [r for r in runs if r.dagster_run.status is dg.DagsterRunStatus.SUCCESS]
            if wrong or time.monotonic() > until:
                raise SystemExit(f"{[r.dagster_run.job_name for r in wrong]}: see {folder}")
            if len(ended) >= expected:
                break
            time.sleep(0.3)
        by_step = _by_step(instance, runs, used)
    wall = max(r.end_time or 0 for r in runs) - min(r.start_time or 0 for r in runs)
    return Measured(wall, sum(map(sum, by_step.values())), memory, len(runs), by_step)


@contextmanager
def deployment(folder: Path, environment: dict[str, str], celery: int) -> Iterator[list[int]]:
    """A code server and a daemon; gives the processes whose children are runs."""
    port, commands = free_port(), []
    (folder / "workspace.yaml").write_text(WORKSPACE.format(port=port))
    found = {**environment, "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"}
    if celery:
        redis = free_port()
        broker = f"redis://127.0.0.1:{redis}/0"
        found |= {"CELERY_BROKER_URL": broker, "CELERY_RESULT_BACKEND": broker}
        with (folder / "dagster.yaml").open("a") as settings:
            settings.write(LAUNCHER.format(broker=broker))
        commands.append(["redis-server", "--port", str(redis), "--save", "", "--bind", "127.0.0.1"])
    serve = ["api", "grpc", "-h", "127.0.0.1", "-p", str(port), "-m", "fx_assets.definitions"]
    commands.append([str(BINARIES / "dagster"), *serve, "--location-name", "fx"])
    commands += [[str(WORKER), "--hostname", f"worker-{n}@%h"] for n in range(celery)]
    commands.append([str(BINARIES / "dagster-daemon"), "run", "-w", "workspace.yaml"])
    begun: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "deployment.log").open("ab") as output:
            begun.extend(
                subprocess.Popen(
                    command, env=found, cwd=folder, stdout=output, stderr=output,
                    start_new_session=True,
                )
                for command in commands
            )  # fmt: skip
        yield [process.pid for process in begun[:-1]]
    finally:
        for process in reversed(begun):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def differing(one: Path, other: Path) -> list[str]:
    """Tables whose rows differ in anything but what tells of runs."""
    return [table for table in COMPARED if not _rows(one, table).equals(_rows(other, table))]


def _rows(folder: Path, table: str) -> pd.DataFrame:
    rows = Lake(str(folder / "data/lake")).read(table, NAME)
    rows = rows.drop(columns=[column for column in rows if column in OF_RUNS])
    order = [c for c in ("instrument", "candidate", "event_time") if c in rows]
    return rows.sort_values(order, ignore_index=True)[sorted(map(str, rows))]


def _runs(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    jobs = {step.job(NAME) for step in STEPS}
    return [r for r in instance.get_run_records() if r.dagster_run.job_name in jobs]


def _by_step(
    instance: dg.DagsterInstance, runs: Sequence[dg.RunRecord], used: dict[int, float]
) -> dict[str, list[float]]:
    """Processor seconds of each run, by the process that its sign of life names."""
    keys = {alive_key(record.dagster_run.run_id) for record in runs}
    signs = instance.daemon_cursor_storage.get_cursor_values(keys)
    found: dict[str, list[float]] = {step.name: [] for step in STEPS}
    for record in runs:
        sign = SignOfLife.parse(signs[alive_key(record.dagster_run.run_id)])
        step = record.dagster_run.job_name.removeprefix(f"{NAME}_")
        found[step].append(used.get(sign.process, 0.0))
    return found


def _spawned(groups: Sequence[int]) -> list[int]:
    """The processes of these groups without the first of each."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ProcessLookupError, ValueError):
            if os.getpgid(int(entry.name)) in groups and int(entry.name) not in groups:
                found.append(int(entry.name))
    return found


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / TICK


def _peak_mb(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return max((int(li.split()[1]) / 1024 for li in lines if li.startswith("VmHWM:")), default=0.0)


def lake_mb(folder: Path) -> float:
    """Size of the lake."""
    files = (file for file in (folder / "data/lake").rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files) / 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--hours", type=int, default=2000)
    parser.add_argument("--shard-size", type=int, default=25)
    parser.add_argument("--workers", type=int, nargs="+", help="1 2 4, or 1 2 of the quick form")
    parser.add_argument("--quick", action="store_true", help="12 instruments in 4 shards")
    parser.add_argument("--celery", action="store_true", help="workers of Celery, over Redis")
    parser.add_argument("--keep", type=Path, help="folder to leave the homes in")
    options = parser.parse_args(arguments)
    if options.quick:
        options.instruments, options.hours, options.shard_size = 12, 1100, 3
    options.workers = options.workers or ([1, 2] if options.quick else [1, 2, 4])
    with TemporaryDirectory() as temporary:
        measure(options.keep or Path(temporary), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Print what each way took, and end with 1 where tables differ."""
    folder = folder.resolve()
    now = write_bars(folder / "bars", options.instruments, options.hours)
    shards = -(-options.instruments // options.shard_size)
    one = folder / "one"
    alone = in_one_process(one, make_home(one, folder / "bars", now, "workers: 1", 1))
    print(
        f"{options.instruments} instruments of {options.hours} bars, {shards} shards; the lake has "
        f"{lake_mb(one):.0f} MB, {len(_rows(one, BACKTEST.name)):,} walk-forward rows\n"
    )
    print("| at work together | runs | wall s | CPU s | by CPU s | largest run MB | same tables |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| one process | 1 | {alone.wall:.0f} | {alone.cpu:.0f} | {alone.cpu:.0f} | "
        f"{alone.memory:.0f} | |"
    )
    found: dict[int, Measured] = {}
    different: list[str] = []
    for workers in options.workers:
        home = folder / f"workers-{workers}"
        spread = f"shard_size: {options.shard_size}"
        environment = make_home(home, folder / "bars", now, spread, workers)
        celery = workers if options.celery else 0
        it = found[workers] = through_the_queue(home, environment, shards, celery)
        wrong = differing(one, home)
        different += wrong
        print(
            f"| {workers} | {it.runs} | {it.wall:.0f} | {it.cpu:.0f} | "
            f"{it.on_idle_cores(workers):.0f} | {it.memory:.0f} | {', '.join(wrong) or 'yes'} |",
            flush=True,
        )
    _tell_efficiency(found)
    if different:
        raise SystemExit(f"Tables differ: {', '.join(sorted(set(different)))}")


def _tell_efficiency(found: dict[int, Measured]) -> None:
    first = found.get(1)
    if first is None:
        return
    print()
    for workers, it in found.items():
        wall = first.wall / (workers * it.wall)
        cpu = first.on_idle_cores(1) / (workers * it.on_idle_cores(workers))
        steps = ", ".join(f"{name} {sum(s):.0f}" for name, s in it.by_step.items())
        print(
            f"efficiency at {workers}: {wall:.2f} by the clock, {cpu:.2f} by CPU; CPU s of steps: "
            f"{steps}"
        )


if __name__ == "__main__":
    main()
