"""Brings every forecast up to date on the terminal, in one process, doing only what is stale."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg
from rich.console import Console
from rich.status import Status
from rich.table import Table

from fx_assets import clock
from fx_assets.assets import progress
from fx_assets.assets.automation import range_tags
from fx_assets.assets.due import days_to_predict, features_are_behind, retrain_reason
from fx_assets.assets.prices import partitions_to_ingest
from fx_assets.components.declared import declared as load_declared
from fx_assets.definitions import defs as load_definitions
from fx_assets.errors import SpecError
from fx_assets.lake import Lake
from fx_assets.registry.wording import LATEST_COLUMNS, latest_row
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.files import Declared

WIDE = 160
"""Columns of a terminal on which a table of forecasts can be read."""
QUIET: dict[str, Any] = {"loggers": {"progress": {}}}


def bring_up_to_date(only: Sequence[str] = (), *, force_retrain: bool = False) -> int:
    """Fetch, judge, retrain, predict and score whatever is stale, then show the forecasts.

    Returns
    -------
    int
        0, or 1 when any step failed; the reasons have been printed then.
    """
    started = time.monotonic()
    console = terminal()
    declared = _restrict(load_declared(), only)
    lake = Lake.from_settings(Settings())
    runner = Runner(console)
    for feed in declared.feeds.values():
        parts = partitions_to_ingest(lake, feed, clock.now())
        runner.run(f"{feed.name}_ingest", range_tags(parts[0], parts[-1]))
    for spec in declared.forecasts.values():
        _update(runner, lake, spec, declared.feeds[spec.feed], force_retrain)
    console.print(f"\n{runner.summary} in {time.monotonic() - started:.1f} s\n")
    _show(console, lake, declared)
    for failure in runner.failures:
        console.print(f"[bold red]FAILED[/] {failure}")
    if runner.failures:
        return 1
    console.print(
        "\nSee the graph, its checks and every decision: [bold]make dev[/], then "
        "http://127.0.0.1:3000 (MLflow: http://127.0.0.1:5000)"
    )
    return 0


def show() -> int:
    """Print the latest forecasts without computing anything."""
    _show(terminal(), Lake.from_settings(Settings()), load_declared())
    return 0


def _update(
    runner: Runner, lake: Lake, spec: ForecastSpec, feed: FeedSpec, force_retrain: bool
) -> None:
    if not lake.exists("prices", feed.name):
        runner.failures.append(f"{spec.name}: there are no prices of {feed.name} to predict from")
        return
    reason = "asked for" if force_retrain else retrain_reason(lake, spec, feed)
    if reason and not runner.run(f"{spec.name}_retrain", {"reason": reason}):
        return
    days = days_to_predict(lake, spec, feed, clock.now())
    if not days and not reason and not features_are_behind(lake, spec, feed):
        runner.up_to_date.append(spec.name)
        return
    if not days:
        last = lake.read("prices", feed.name, columns=["event_time"])["event_time"].max()
        days = [feed.market.bar_day(last)]
    runner.run(f"{spec.name}_predict", range_tags(days[0].isoformat(), days[-1].isoformat()))


def _restrict(declared: Declared, only: Sequence[str]) -> Declared:
    unknown = sorted(set(only) - set(declared.forecasts))
    if unknown:
        raise SpecError(
            f"No forecast is called {', '.join(unknown)}.",
            remedy=f"Declared are: {', '.join(sorted(declared.forecasts))}.",
        )
    if only:
        forecasts = {name: declared.forecasts[name] for name in only}
        feeds = {spec.feed: declared.feeds[spec.feed] for spec in forecasts.values()}
    else:
        feeds = {name: feed for name, feed in declared.feeds.items() if feed.automatic}
        forecasts = {n: spec for n, spec in declared.forecasts.items() if spec.feed in feeds}
    return replace(declared, feeds=feeds, forecasts=forecasts)


def terminal() -> Console:
    """Wraps lines for people only: what reads a pipe wants them whole."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


class Runner:
    """Runs asset jobs one after the other and tells how they get on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failures: list[str] = []
        self.up_to_date: list[str] = []
        self.runs = 0
        with console.status("loading the asset graph"):
            self._definitions = load_definitions()
            self._instance = dg.DagsterInstance.get()

    @property
    def summary(self) -> str:
        text = f"{self.runs} run{'' if self.runs == 1 else 's'}"
        if len(self.up_to_date) == 1:
            text += ", 1 forecast was up to date"
        elif self.up_to_date:
            text += f", {len(self.up_to_date)} forecasts were up to date"
        return text

    def run(self, job: str, tags: dict[str, str]) -> bool:
        """Execute one job; failures are kept for the end. Returns whether it succeeded."""
        started = time.monotonic()
        self.runs += 1
        with _progress(self.console, job):
            result = self._definitions.resolve_job_def(job).execute_in_process(
                run_config=QUIET, instance=self._instance, tags=tags, raise_on_error=False
            )
        for event in result.all_events:
            if event.is_step_failure:
                self.failures.append(f"{job}, {_asset(event.step_key)}:\n{_reason(event)}")
        for check in result.get_asset_check_evaluations():
            if not check.passed:
                self._report(check)
        verdict = "done" if result.success else "[bold red]FAILED[/]"
        seconds = time.monotonic() - started
        why = f"  ({tags['reason']})" if "reason" in tags else ""
        self.console.print(f"{verdict:>6}  {job:<32} {seconds:5.1f} s{why}")
        return result.success

    def _report(self, check: dg.AssetCheckEvaluation) -> None:
        text = f"{check.asset_key.to_user_string()} {check.check_name}: {check.description}"
        if check.severity is dg.AssetCheckSeverity.ERROR:
            self.failures.append(text)
        else:
            self.console.print(f"  [yellow]warning[/] {text}")


def _reason(event: dg.DagsterEvent) -> str:
    """What was raised in the step, without Dagster's wrapping and without its own causes."""
    failure = event.step_failure_data
    error = failure.error if failure else None
    while error is not None and error.cause is not None and error.message.startswith("dagster."):
        error = error.cause
    if error is None:
        return "no reason was recorded"
    return re.sub(r"^fx_assets\.[\w.]+: ", "", error.message.strip())


def _asset(step: str | None) -> str:
    return (step or "").replace("__", "/")


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
        status.update(f"{job}: {_asset(step)} {message}")

    return tell


def _show(console: Console, lake: Lake, declared: Declared) -> None:
    rows = [
        latest_row(lake.read_or_empty("predictions", name), spec)
        for name, spec in sorted(declared.forecasts.items())
    ]
    if console.width < WIDE or not sys.stdout.isatty():
        for row in rows:
            pairs = zip(LATEST_COLUMNS, row, strict=True)
            console.print("\n".join(f"{name}: {text}" for name, text in pairs if text) + "\n")
        return
    table = Table(*LATEST_COLUMNS, show_lines=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
