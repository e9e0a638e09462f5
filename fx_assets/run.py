"""Brings every forecast up to date on the terminal, in one process, doing only what is stale."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from fx_assets import clock
from fx_assets.assets.automation import range_tags
from fx_assets.assets.prices import partitions_to_ingest
from fx_assets.components.declared import declared as load_declared
from fx_assets.lake import Lake
from fx_assets.presentation.live import evidence_lines
from fx_assets.presentation.term import term_text
from fx_assets.presentation.wording import LATEST_COLUMNS, as_of_text, latest_row
from fx_assets.registry.relocation import relocate
from fx_assets.resources import unopened_registry
from fx_assets.runner import Failures, Runner, at_work, terminal
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import ForecastSpec
from fx_assets.specs.files import Declared, undeclared
from fx_assets.stages.due import (
    day_to_refresh,
    days_to_predict,
    features_are_behind,
    retrain_reason,
)
from fx_assets.stages.economics import earned_text
from fx_assets.stages.end_state import outcomes_wait, unpredicted, why_none
from fx_assets.stages.reconcile import reconcile
from fx_assets.stages.shadow import live_evidence
from fx_assets.stages.term import newest_term
from fx_assets.tables import PREDICTIONS, PRICES

WIDE = 160
"""Columns of a terminal on which a table of forecasts can be read."""


def bring_up_to_date(only: Sequence[str] = (), *, force_retrain: bool = False) -> int:
    """Fetch, judge, retrain, predict and score whatever is stale, then show the forecasts."""
    settings, declared = Settings(), _restrict(load_declared(), only)
    lake = Lake.from_settings(settings)

    def work(runner: Runner) -> None:
        with runner.keeping("MLflow"):
            moved = relocate(settings.mlflow_uri, settings.mlflow_artifact_root)
            if moved:
                runner.console.print(f"mended  {moved}", markup=False)
        for feed in declared.feeds.values():
            with runner.keeping(f"{feed.name}_ingest"):
                parts = partitions_to_ingest(lake, feed, clock.now())
                runner.run(f"{feed.name}_ingest", range_tags(parts[0], parts[-1]))
        for spec in declared.forecasts.values():
            feed = declared.feeds[spec.feed]
            told = len(runner.failures)
            with runner.keeping(spec.name):
                _reconcile(runner, SeriesTables(lake, spec, feed))
                _update(runner, SeriesTables(lake, spec, feed), force_retrain)
            with runner.keeping(spec.name):
                own = SeriesTables(lake, spec, feed)
                left = _reconcile(runner, own)
                runner.failures += [f"{spec.name}: {text}" for text in left]
                missing = unpredicted(own, clock.now())
                if missing and len(runner.failures) == told:
                    runner.failures.append(missing)
        with runner.keeping("views"):
            lake.refresh_stale_views()

    code = at_work(work, lambda runner: _show(runner, lake, declared))
    if not code:
        terminal().print(
            "\nSee the graph, its checks and every decision: [bold]fx-assets dev[/] "
            "(in a checkout: make dev), then http://127.0.0.1:3000 (MLflow: http://127.0.0.1:5000)"
        )
    return code


def show(only: Sequence[str] = ()) -> int:
    """Print the latest forecasts, or those of these names, without computing anything."""
    kept, found = Failures(terminal()), load_declared()
    _show(kept, Lake.from_settings(Settings()), _restrict(found, only) if only else found)
    return kept.told()


def _reconcile(runner: Runner, own: SeriesTables) -> list[str]:
    """Mend what does not agree with the ledger; returns what could not be mended."""
    done = reconcile(own, unopened_registry())
    for text in done.mended:
        runner.console.print(f"mended  {own.forecast}: {text}", markup=False)
    return done.left


def _update(runner: Runner, own: SeriesTables, force_retrain: bool) -> None:
    name, feed = own.forecast, own.feed.name
    if not own.store.exists(PRICES.name, feed):
        runner.failures.append(f"{name}: there are no prices of {feed} to predict from")
        return
    reason = "asked for" if force_retrain else retrain_reason(own)
    if reason and not runner.run(f"{name}_retrain", {"reason": reason}):
        return
    days = days_to_predict(own, clock.now())
    behind = features_are_behind(own) or outcomes_wait(own)
    if not days and not reason and not behind:
        runner.up_to_date.append(name)
        return
    if not days:
        newest = day_to_refresh(own)
        if newest is None:
            return
        days = [newest]
    runner.run(f"{name}_predict", range_tags(days[0].isoformat(), days[-1].isoformat()))


def _restrict(declared: Declared, only: Sequence[str]) -> Declared:
    unknown = sorted(name for name in only if not declared.named(name))
    if unknown:
        known = {*declared.forecasts, *declared.universes}
        raise undeclared("forecast or universe", unknown, known)
    if only:
        chosen = dict.fromkeys(name for asked in only for name in declared.named(asked))
        forecasts = {name: declared.forecasts[name] for name in chosen}
        feeds = {spec.feed: declared.feeds[spec.feed] for spec in forecasts.values()}
    else:
        feeds = {name: feed for name, feed in declared.feeds.items() if feed.automatic}
        forecasts = {n: spec for n, spec in declared.forecasts.items() if spec.feed in feeds}
    return replace(declared, feeds=feeds, forecasts=forecasts)


def _show(kept: Failures, lake: Lake, declared: Declared) -> None:
    rows, live = [], []
    for spec in _in_order(declared):
        with kept.keeping(spec.name):
            own = SeriesTables(lake, spec, declared.feeds[spec.feed])
            rows.append(_row(own))
            live += evidence_lines(live_evidence(own), spec.name)
    _print_rows(kept.console, rows, live)
    with kept.keeping("horizons"):
        print_terms(kept.console, lake, declared)


def print_terms(console: Console, lake: Lake, declared: Declared) -> None:
    """Of each forecast of several horizons all of them in a line."""
    for term in sorted({spec.term for spec in declared.forecasts.values() if spec.term}):
        members = [declared.forecasts[name] for name in declared.named(term)]
        rows = newest_term(lake, members, declared.feeds[members[0].feed])
        if rows:
            said = term_text(members[0].target.definition, rows)
            console.print(f"{term}, as of {as_of_text(rows[0].row)}: {said}\n", markup=False)


def _in_order(declared: Declared) -> list[ForecastSpec]:
    """By name, those of paused feeds last."""
    paused = {name for name, feed in declared.feeds.items() if not feed.automatic}
    return sorted(
        declared.forecasts.values(),
        key=lambda spec: (spec.feed in paused, spec.term or spec.name, spec.target.horizon),
    )


def _row(own: SeriesTables) -> tuple[str, ...]:
    issued = own.read(PREDICTIONS)
    row = latest_row(issued, own.spec)
    if issued.empty:
        why = why_none(own, clock.now())
        row = tuple(f"{text}: {why}" if text == "none yet" else text for text in row)
    return (*row, earned_text(own))


def _print_rows(console: Console, rows: Sequence[tuple[str, ...]], live: Sequence[str]) -> None:
    columns = (*LATEST_COLUMNS, "economics")
    if console.width < WIDE or not sys.stdout.isatty():
        for row in rows:
            pairs = zip(columns, row, strict=True)
            console.print("\n".join(f"{name}: {text}" for name, text in pairs if text) + "\n")
    else:
        table = Table(*columns, show_lines=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for text in live:
        console.print(text, markup=False, highlight=False)
