"""A deployment whose runs are executed by Celery's workers, and how it is asked for runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg
import pytest
import yaml
from dagster._cli.job import _create_run
from dagster._core.workspace.context import (
    BaseWorkspaceRequestContext,
    WorkspaceProcessContext,
)
from dagster._core.workspace.load_target import GrpcServerTarget

from fx_assets.executors import STEPS_QUEUE
from fx_assets.heartbeats import SignOfLife, alive_key
from fx_assets.testing.processes import free_port, stop
from fx_assets_tests.homes import Home
from fx_assets_tests.production.home import DEPLOY, PROFILE
from fx_assets_tests.production.servers import postgres
from fx_assets_tests.production.supervised import BINARIES, LOCATION, Supervised, supervised

LAUNCHER = DEPLOY / "celery.yaml"
WORKER = DEPLOY / "worker.sh"
PATIENCE_SECONDS = 600
"""How long something may take on a machine that is busy."""
T = TypeVar("T")


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Address of a new Redis, gone with the block; skips the test where there is none."""
    for module in ("dagster_celery", "redis"):
        pytest.importorskip(module, reason="pip install 'fx-assets[celery]'")
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not installed: apt-get install redis-server")
    port = free_port()
    settings = ["--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction"]
    server = subprocess.Popen(
        [binary, "--port", str(port), "--dir", str(folder), *settings],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop(server)


@dataclass
class Deployment:
    """Processes at work, and Dagster's instance as they see it."""

    home: Home
    processes: Supervised
    instance: dg.DagsterInstance

    @contextmanager
    def workspace(self) -> Iterator[BaseWorkspaceRequestContext]:
        """What the code server serves; the block is entered once it answers."""
        target = GrpcServerTarget("127.0.0.1", self.processes.port, None, LOCATION)
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            with (
                WorkspaceProcessContext(self.instance, target) as process,
                process.create_request_context() as request,
            ):
                if request.has_code_location(LOCATION):
                    yield request
                    return
            assert time.monotonic() < end, f"the code server did not come up\n{self.told()}"
            time.sleep(0.5)

    def switch_on(self, *sensors: str) -> None:
        with self.workspace() as workspace:
            repository = workspace.get_code_location(LOCATION).get_repository("__repository__")
            for name in sensors:
                self.instance.start_sensor(repository.get_sensor(name))

    def submit(self, job: str, tags: Mapping[str, str] | None = None) -> str:
        """Put a run of a job into Dagster's queue; returns its id."""
        with self.workspace() as workspace:
            location = workspace.get_code_location(LOCATION)
            repository = location.get_repository("__repository__")
            run = _create_run(
                instance=self.instance,
                code_location=location,
                remote_repo=repository,
                remote_job=repository.get_full_job(job),
                run_config={},
                tags=tags or {},
                op_selection=None,
                run_id=None,
            )
            return self.instance.submit_run(run.run_id, workspace).run_id

    def sign_of_life(self, run_id: str) -> SignOfLife | None:
        """Where a run was last known to be executed; None before its first sign."""
        key = alive_key(run_id)
        sign = self.instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
        return SignOfLife.parse(sign) if sign else None

    def until(self, found: Callable[[], T | None], what: str) -> T:
        """What is found at last.

        Raises
        ------
        AssertionError
            It did not come about; with the end of what each process said.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while not (value := found()):
            assert time.monotonic() < end, f"{what} did not come about\n{self.told()}"
            time.sleep(0.3)
        return value

    def told(self) -> str:
        """The end of what each process said."""
        logs = [self.home.folder / f"{name}.log" for name in self.processes.commands]
        return "\n".join(f"{log.name}\n{log.read_text()[-3000:]}" for log in logs)


@contextmanager
def on_celery(home: Home, workers: int = 2, takers_of_steps: int = 0) -> Iterator[Deployment]:
    """A home with daemon, code server and workers, on a PostgreSQL and a Redis of its own.

    Dagster is set up by ``deploy/dagster.yaml`` and ``deploy/celery.yaml``; the lake, MLflow's
    store and what runs print are in the home. Each process is started again when it dies.
    """
    profile = yaml.safe_load(PROFILE.read_text()) | yaml.safe_load(LAUNCHER.read_text())
    del profile["compute_logs"]
    profile["run_monitoring"]["start_timeout_seconds"] = PATIENCE_SECONDS
    (home.folder / "dagster.yaml").write_text(yaml.safe_dump(profile))
    with ExitStack() as stack:
        broker = stack.enter_context(redis(home.folder))
        database = stack.enter_context(postgres("any", auth="trust"))
        database.create("dagster")
        home.environment |= {
            "DAGSTER_PG_URL": database.url("dagster"),
            "CELERY_BROKER_URL": broker,
            "CELERY_RESULT_BACKEND": broker,
            "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}",
        }
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in home.variables.items():
            patch.setenv(name, value)
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home.folder)))
        instance.get_runs(limit=1)  # its tables are made before two processes would
        names = [f"worker-{n}" for n in range(1, workers + 1)]
        started = {name: [str(WORKER), "--hostname", f"{name}@%h"] for name in names}
        for name in (f"steps-{n}" for n in range(1, takers_of_steps + 1)):
            queue = ["--queues", STEPS_QUEUE]
            started[name] = [str(WORKER), *queue, "--hostname", f"{name}@%h"]
        processes = stack.enter_context(supervised(home, started))
        yield Deployment(home, processes, instance)
