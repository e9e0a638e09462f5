"""Runs jobs one after the other on the terminal, and keeps why any of them failed."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from rich.console import Console
from rich.status import Status

from fx_assets.assets import lineage, progress
from fx_assets.assets.records import thin_out
from fx_assets.assets.runs import Failure, failures_in
from fx_assets.bundles.declared import DECLARED_PATH, note_declared
from fx_assets.components.declared import declared
from fx_assets.definitions import defs as load_definitions
from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.faults import described, fault_of, log_traceback
from fx_assets.heartbeats import NO_RETRY, end_dead_runs
from fx_assets.instance import (
    close_records,
    one_run_at_a_time,
    open_instance,
    storage_errors,
)
from fx_assets.lake import Lake
from fx_assets.plural import counted
from fx_assets.settings import Settings

WAITING = "Another fx-assets run is at work in this home; waiting for it. Stop with Ctrl-C."
QUIET: dict[str, Any] = {"loggers": {"progress": {}}}


def say(text: str) -> None:
    """Print a text as it is."""
    terminal().print(text, markup=False)


def terminal() -> Console:
    """Wraps lines for people only: what reads a pipe wants them whole."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def at_work(
    work: Callable[[Runner], None],
    show: Callable[[Runner], None] | None = None,
    noun: str = "forecast",
) -> int:
    """Work, then show what there is, with no other such run in this home; the exit code.

    Returns
    -------
    int
        0, or 1 where the end state is not what it should be; the reasons have been printed then.
    """
    started, console = time.monotonic(), terminal()
    with one_run_at_a_time(Settings().home, lambda: console.print(WAITING)):
        runner = Runner(console, noun)
        with runner.keeping(DECLARED_PATH):
            note_declared(Lake.from_settings(Settings()), declared())
        work(runner)
        console.print(f"\n{runner.summary} in {time.monotonic() - started:.1f} s")
        if show is not None:
            console.print()
            show(runner)
        runner.tell_lineage()
    return runner.told()


class Failures:
    """What goes wrong in the parts of a command, kept for its end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failures: list[str] = []

    @contextmanager
    def keeping(self, what: str) -> Iterator[None]:
        """Keep what goes wrong inside for the end, and go on; a wrong setting ends everything."""
        try:
            yield
        except SpecError:
            raise
        except FxAssetsError as error:
            self._keep(what, str(error))
        except Exception as error:
            self._keep(what, explained(error))

    def _keep(self, what: str, reason: str) -> None:
        """A reason that several parts of a run meet is told once."""
        if not any(told.endswith(f": {reason}") for told in self.failures):
            self.failures.append(f"{what}: {reason}")

    def told(self) -> int:
        """Print what was kept; the exit code."""
        for failure in self.failures:
            self.console.print("[bold red]FAILED[/]", end=" ")
            self.console.print(failure, markup=False)
        return 1 if self.failures else 0


class Runner(Failures):
    """Runs asset jobs one after the other and tells how they get on."""

    def __init__(self, console: Console, noun: str = "forecast") -> None:
        super().__init__(console)
        self.noun = noun
        self.up_to_date: list[str] = []
        self.runs = 0
        self._home = Settings().home.resolve()
        with console.status("loading the asset graph"):
            self._definitions = load_definitions()
            self.instance = open_instance(self._home)
        for ended in end_dead_runs(self.instance):
            console.print(f"An earlier run is over: {ended}", markup=False)
        with storage_errors(self._home):
            thin_out(self.instance)

    @property
    def summary(self) -> str:
        text = counted(self.runs, "run")
        known = len(self.up_to_date)
        if known:
            text += f", {known} {self.noun}{' was' if known == 1 else 's were'} up to date"
        return text

    def run(self, job: str, tags: dict[str, str]) -> bool:
        """Execute one job; failures are kept for the end. Returns whether it succeeded.

        Raises
        ------
        KeyboardInterrupt
            The job was interrupted; Dagster's record of it says so.
        """
        started = time.monotonic()
        self.runs += 1
        result = None
        with _progress(self.console, job), self.keeping(job):
            result = self._execute(job, tags)
        done = result is not None and result.success
        if result is not None:
            self._report_failures(job, result)
        verdict = "done" if done else "[bold red]FAILED[/]"
        seconds = time.monotonic() - started
        why = f"  ({tags['reason']})" if "reason" in tags else ""
        self.console.print(f"{verdict:>6}  {job:<32} {seconds:5.1f} s{why}")
        return done

    def tell_lineage(self) -> None:
        """Tell OpenLineage's receiver of the runs, where there is one."""
        if lineage.wanted():
            with self.console.status("telling OpenLineage"):
                said = lineage.tell_lineage(self.instance, self._definitions.get_repository_def())
            self.console.print(said, markup=False)

    def _execute(self, job: str, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        before = signal.getsignal(signal.SIGTERM)
        try:
            with storage_errors(self._home):
                return self._definitions.resolve_job_def(job).execute_in_process(
                    run_config=QUIET,
                    instance=self.instance,
                    tags=tags | NO_RETRY,
                    raise_on_error=False,
                )
        finally:
            close_records()
            if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
                # Dagster lets it do what SIGINT does: nothing, in the background of a script.
                signal.signal(signal.SIGTERM, before)

    def _report_failures(self, job: str, result: dg.ExecuteInProcessResult) -> None:
        failures = failures_in(result.all_events)
        if any(failure.interrupted for failure in failures):
            raise KeyboardInterrupt
        if not result.success and not failures:
            failures = [Failure("", "it ended without saying why; see its run in Dagster's UI")]
        for failure in failures:
            step = f", {failure.step.replace('__', '/')}" if failure.step else ""
            self.failures.append(f"{job}{step}:\n{failure.message}")
        for check in result.get_asset_check_evaluations():
            if not check.passed:
                self._report(check)

    def _report(self, check: dg.AssetCheckEvaluation) -> None:
        text = f"{check.asset_key.to_user_string()} {check.check_name}: {check.description}"
        if check.severity is dg.AssetCheckSeverity.ERROR:
            self.failures.append(text)
        else:
            self.console.print("  [yellow]warning[/]", end=" ")
            self.console.print(text, markup=False)


def explained(error: BaseException) -> str:
    """An error that nobody expected: what it says, the way out if there is one, and its log."""
    fault = fault_of(error)
    log = log_traceback(error, Settings().home.resolve())
    remedy = f"{fault.sentence}\n  What to do: {fault.remedy}" if fault else ""
    where = f"The whole error is in {log}." if log else ""
    return "\n  ".join(filter(None, [described(error), remedy, where]))


@contextmanager
def _progress(console: Console, job: str) -> Iterator[None]:
    status = Status(job, console=console)
    token = progress.listener.set(_tell(status, job))
    try:
        with status:
            yield
    finally:
        progress.listener.reset(token)


def _tell(status: Status, job: str) -> Callable[[str, str], None]:
    def tell(step: str, message: str) -> None:
        status.update(f"{job}: {step.replace('__', '/')} {message}")

    return tell
