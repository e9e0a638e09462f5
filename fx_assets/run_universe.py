"""Brings universes up to date on the terminal, and shows what they say."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd
from rich.console import Console
from rich.table import Table

from fx_assets import clock
from fx_assets.assets.automation import range_tags
from fx_assets.assets.universe_automation import is_behind
from fx_assets.assets.universe_prices import FAILED, NONE_FAILED, instrument_partitions
from fx_assets.components.declared import declared
from fx_assets.evaluation.universe import declared_rows
from fx_assets.evaluation.universe_members import members, newest_of
from fx_assets.evaluation.universe_skill import best_candidates, may_predict
from fx_assets.lake import Lake
from fx_assets.lake.panel import Panel
from fx_assets.presentation.live import evidence_lines
from fx_assets.presentation.wording import as_of_text
from fx_assets.runner import Failures, Runner, at_work, terminal
from fx_assets.settings import Settings
from fx_assets.specs.files import undeclared
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.economics import earned_text
from fx_assets.stages.members import each_member
from fx_assets.stages.shadow import live_evidence
from fx_assets.tables import MEMBERSHIP, PREDICTIONS, RAW_PRICES, SKILL
from fx_assets.targets import target_definition

COLUMNS = ("instrument", "state", "last bar", "target", "says", "baseline", "skill", "p Holm")
NOT_TESTED = "-"


def bring_universes_up_to_date(only: Sequence[str] = ()) -> int:
    """Fetch, judge, walk forward, test and predict what is stale, then show every universe."""
    universes, lake = _restrict(declared().universes, only), Lake.from_settings(Settings())

    def work(runner: Runner) -> None:
        for spec in universes:
            with runner.keeping(spec.name):
                _update(runner, lake, spec)

    def show(runner: Runner) -> None:
        for spec in universes:
            with runner.keeping(spec.name):
                show_universe(runner.console, lake, spec)

    return at_work(work, show, "universe")


def _update(runner: Runner, lake: Lake, spec: UniverseSpec) -> None:
    if not runner.run(f"{spec.name}_discover", {}):
        return
    if spec.source.kind == "ecb" and not is_behind(lake, spec, clock.now()):
        runner.up_to_date.append(spec.name)
        return
    keys = runner.instance.get_dynamic_partitions(_partitions(spec))
    if not keys:
        runner.failures.append(f"{spec.name}: no instrument was found, so there is nothing to do")
        return
    if not runner.run(f"{spec.name}_update", range_tags(keys[0], keys[-1])):
        return
    failed = runner.instance.get_latest_materialization_event(
        dg.AssetKey([spec.name, RAW_PRICES.name])
    )
    made = failed.asset_materialization if failed else None
    told = made.metadata.get(FAILED) if made else None
    if told is not None and told.value != NONE_FAILED:
        runner.failures.append(f"{spec.name}, instruments without new bars: {told.value}")
    if declared_rows(spec, lake.read_or_empty(PREDICTIONS.name, spec.name)).empty:
        runner.failures.append(
            f"{spec.name} has no prediction; see its members in its table universe"
        )


def show_universes(only: Sequence[str] = ()) -> int:
    """Print what universes say; 1 where one of them cannot be read.

    Those of these names with what each candidate would have done live and what strategies would
    have earned; without names all that have been run.
    """
    kept, lake = Failures(terminal()), Lake.from_settings(Settings())
    for spec in _restrict(declared().universes, only):
        if only or lake.exists(PREDICTIONS.name, spec.name):
            with kept.keeping(spec.name):
                show_universe(kept.console, lake, spec)
                if only:
                    show_evidence(kept.console, lake, spec)
    return kept.told()


def show_universe(console: Console, lake: Lake, spec: UniverseSpec) -> None:
    """Print the newest predictions of every member, and how many tests found skill."""
    issued = declared_rows(spec, lake.read_or_empty(PREDICTIONS.name, spec.name))
    if issued.empty:
        console.print(f"{spec.name} has no predictions yet.")
        return
    known = lake.read(MEMBERSHIP.name, spec.name)
    in_now = members(known, clock.now())
    newest = newest_of(issued, in_now)
    lines = sorted((_line(row) for row in newest.to_dict("records")), key=lambda line: line[:4])
    lines += _without_forecast(known, spec, set(newest["instrument"]), issued["event_time"].max())
    if sys.stdout.isatty():
        table = Table(*COLUMNS, title=spec.name)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    else:
        console.print(f"{spec.name}:")
        for line in (COLUMNS, *lines):
            console.print("\t".join(line))
    console.print(_summary(lake, spec))


def show_evidence(console: Console, lake: Lake, spec: UniverseSpec) -> None:
    """Print of each member what a forecast's own lines say below the table of forecasts."""
    known = lake.read_or_empty(MEMBERSHIP.name, spec.name)
    names = sorted(known["instrument"].unique()) if len(known) else []
    console.print()
    for member in each_member(spec, Panel(lake, spec.name, names), names, known):
        name = f"{spec.name} {member.name}"
        lines = evidence_lines(live_evidence(member.own), name)
        earned = earned_text(member.own)
        for text in [*lines, *([f"economics: {name}: {earned}"] if earned else [])]:
            console.print(text, markup=False, highlight=False)


def _line(row: dict[Any, Any]) -> tuple[str, ...]:
    tested = not math.isnan(row["p_holm"])
    verdict = row.get("verdict") or ("demonstrated" if row["skill_demonstrated"] else "no")
    skill = f"{row['skill']:+.1%} by {row['candidate']}: {verdict}"
    return (
        row["instrument"],
        "member",
        as_of_text(row),
        f"{row['kind']} {row['horizon']}",
        _said(row, row["prediction"]),
        _said(row, row["baseline"]),
        skill if tested else NOT_TESTED,
        f"{row['p_holm']:.1g}" if tested else NOT_TESTED,
    )


def _said(row: dict[Any, Any], value: float) -> str:
    definition = target_definition(row["kind"])
    text = definition.shown.text(value, row["horizon"], row["bars_a_year"])
    return text if definition.shown.annualised else f"{definition.wording.called} {text}"


def _without_forecast(
    table: pd.DataFrame, spec: UniverseSpec, shown: set[str], newest: pd.Timestamp
) -> list[tuple[str, ...]]:
    """A line for each instrument that is pegged, silent, too young, or gone."""
    table = table.sort_values("first_fixing", kind="stable")
    lines: list[tuple[str, ...]] = []
    for row in table.drop_duplicates("instrument", keep="last").to_dict("records"):
        if row["instrument"] in shown:
            continue
        silent = row["last_fixing"] < newest
        state = "pegged" if row["pegged"] else "no new bar" if silent else "too few rows to judge"
        if pd.notna(row["member_until"]):
            state = f"left {row['member_until']:%Y-%m-%d}"
        elif pd.isna(row["member_from"]):
            state = f"{row['fixings']} fixings, needs {spec.membership.min_history}"
        last, sizes = row["last_fixing"], spec.market.bars_a_year
        day = as_of_text({"event_time": last, "day": f"{last:%Y-%m-%d}", "bars_a_year": sizes})
        lines.append((row["instrument"], state, day, *[NOT_TESTED] * 5))
    return sorted(lines)


def _summary(lake: Lake, spec: UniverseSpec) -> str:
    skill = lake.read(SKILL.name, spec.name)
    tests = int(skill["tests"].max()) if len(skill) else 0
    parts = [
        f"{kind} {horizon}: {int(table['skill_demonstrated'].sum())} of {len(table)} instruments, "
        f"better than {target_definition(str(kind)).baseline}: {int(table['may_predict'].sum())}"
        for (kind, horizon), table in best_candidates(skill[skill["p_holm"].notna()]).groupby(
            ["kind", "horizon"]
        )
    ]
    return (
        f"\nSkill demonstrated, past members included: {'; '.join(parts) or 'nothing was tested'}"
        f" (Holm's correction for {tests} tests at {spec.significance:.0%}).{_too_good(skill)}"
    )


def _too_good(skill: pd.DataFrame) -> str:
    """Which of those that may predict are beyond what is plausible; older tables do not say."""
    if "suspicious" not in skill:
        return ""
    marked = skill[may_predict(skill) & skill["suspicious"].fillna(False).astype(bool)]
    names = sorted({f"{r.instrument} ({r.kind} {r.horizon})" for r in marked.itertuples()})
    return f"\nToo good, look for a leak: {', '.join(names)}." if names else ""


def _partitions(spec: UniverseSpec) -> str:
    return str(instrument_partitions(spec).name)


def _restrict(universes: dict[str, UniverseSpec], only: Sequence[str]) -> list[UniverseSpec]:
    unknown = sorted(set(only) - set(universes))
    if unknown:
        raise undeclared("universe", unknown, universes)
    return [spec for name, spec in sorted(universes.items()) if not only or name in only]
