"""A live Dagster: a daemon with its code server, on storage of its own, and a clock to move."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import dagster as dg

from fx_assets.assets.runs import failures_of

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
CLOCK_VARIABLE = "FX_ASSETS_TESTS_CLOCK"
"""Names the file that says what time it is."""
PATIENCE_SECONDS = 120
INSTANCE = """
telemetry: {enabled: false}
nux: {enabled: false}
run_coordinator:
  module: dagster._core.run_coordinator
  class: QueuedRunCoordinator
  config: {dequeue_interval_seconds: 1}
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


class Clock:
    """What time it is for the daemon's code server and runs; they begin when it is first set."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def set(self, instant: datetime) -> None:
        """Travel there."""
        written = self.file.with_suffix(".new")
        written.write_text(instant.isoformat())
        written.replace(self.file)


@dataclass
class Live:
    """A running daemon."""

    instance: dg.DagsterInstance
    process: subprocess.Popen[bytes]
    log: Path
    clock: Clock

    def runs(self, job: str) -> Sequence[dg.DagsterRun]:
        """The runs of a job, oldest first."""
        return self.instance.get_runs(dg.RunsFilter(job_name=job), ascending=True)

    def finished(self, job: str, number: int = 1) -> dg.DagsterRun:
        """Wait until so many runs of a job have succeeded; the newest of them."""

        def succeeded() -> dg.DagsterRun | None:
            runs = self.runs(job)
            failed = [run for run in runs if run.status is dg.DagsterRunStatus.FAILURE]
            assert not failed, self.why(failed[0])
            done = [run for run in runs if run.is_success]
            return done[number - 1] if len(done) >= number else None

        return self.until(succeeded, f"run {number} of {job}")

    def until(self, found: Callable[[], T | None], what: str) -> T:
        """Wait for something to be there."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (value := found()) is None:
            assert self.process.poll() is None, f"The daemon ended.\n{self._told()}"
            assert time.monotonic() < end, f"{what} did not come about.\n{self._told()}"
            time.sleep(0.2)
        return value

    def checks(self, run: dg.DagsterRun) -> dict[str, dg.AssetCheckEvaluation]:
        """What the asset checks of a run said, as Dagster has stored it."""
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        entries = self.instance.all_logs(run.run_id, of_type=kind)
        found = [e.dagster_event.asset_check_evaluation_data for e in entries if e.dagster_event]
        return {check.check_name: check for check in found}

    def why(self, run: dg.DagsterRun) -> str:
        """Why a run failed."""
        return "\n".join(failure.sentence for failure in failures_of(self.instance, run.run_id))

    def _told(self) -> str:
        return self.log.read_text()[-6000:]


@contextmanager
def daemon(folder: Path, clock: Clock) -> Iterator[Live]:
    """Start ``dagster-daemon run`` in this environment, and end it with the block."""
    home = folder / "live"
    home.mkdir()
    (home / "dagster.yaml").write_text(INSTANCE)
    log = home / "daemon.log"
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        CLOCK_VARIABLE: str(clock.file),
    }
    binary = str(Path(sys.executable).with_name("dagster-daemon"))
    command = [binary, "run", "--module-name", "fx_assets_tests.loop.deployment"]
    instance = dg.DagsterInstance.from_config(str(home))
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield Live(instance, process, log, clock)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
        with suppress(ProcessLookupError):  # its code server and runs are in its group
            os.killpg(process.pid, signal.SIGKILL)
        instance.dispose()
