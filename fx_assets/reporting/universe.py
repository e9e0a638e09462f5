"""What a report says of a universe: its members, how they were judged, what they say."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pandas as pd

from fx_assets import build
from fx_assets.evaluation.universe import declared_rows
from fx_assets.evaluation.universe_members import members, newest_of
from fx_assets.evaluation.universe_skill import best_candidates
from fx_assets.lake import Lake
from fx_assets.lake.panel import Panel
from fx_assets.plural import counted
from fx_assets.presentation.live import EVIDENCE, evidence_cells, ranked
from fx_assets.presentation.markdown import markdown_table
from fx_assets.presentation.universe_figure import skill_figure
from fx_assets.presentation.wording import as_of_text, claim_of_row, interval_text, prediction_text
from fx_assets.reporting.document import Part, Picture, Section, facts
from fx_assets.specs.universe import UniverseSpec, UniverseTarget
from fx_assets.stages.members import each_member, earned_by_members
from fx_assets.stages.shadow import live_evidence
from fx_assets.tables import (
    MEMBERSHIP,
    PREDICTIONS,
    QUALITY,
    QUARANTINE,
    RAW_PRICES,
    SKILL,
    UNIVERSE_DECISIONS,
    UNIVERSE_DRIFT,
    UNIVERSE_OUTCOMES,
    UNIVERSE_PERFORMANCE,
    Table,
)

MEMBER = ["instrument", "kind", "horizon"]
_MOST = 40
_FOUND = "%Y-%m-%d"


def universe_sections(store: Lake, spec: UniverseSpec, now: datetime) -> list[Section]:
    """The sections of a universe, of what is there.

    Parameters
    ----------
    now
        Who is a member by then counts (UTC).
    """
    if not store.exists(MEMBERSHIP.name, spec.name):
        told = f"It has not run yet: `fx-assets universe {spec.name}`."
        return [Section("In short", [told]), Section("What is forecast", [_declared(spec)])]
    table_of_members = store.read(MEMBERSHIP.name, spec.name)
    present = members(table_of_members, now)
    skill = store.read_or_empty(SKILL.name, spec.name)
    best = best_candidates(skill[skill["p_holm"].notna()]) if len(skill) else skill
    issued = _of(spec, store, PREDICTIONS)
    if len(issued):
        issued = newest_of(issued, present).sort_values(MEMBER)
    return [
        Section("In short", [_in_short(best, len(present))]),
        Section("What is forecast", [_declared(spec)]),
        Section("Data", _data(store, spec, table_of_members, set(present))),
        Section("How it was judged", _judged(best)),
        Section("What it says", _says(spec, issued)),
        Section("Decisions", _decisions(store, spec)),
        *_economics(store, spec, table_of_members),
        Section("Live, and drift", _live(store, spec, table_of_members)),
        Section("To check it", [_checks(store, spec)]),
    ]


def _of(spec: UniverseSpec, store: Lake, table: Table) -> pd.DataFrame:
    """The rows of a table that are about what is declared."""
    return declared_rows(spec, store.read_or_empty(table.name, spec.name))


def _in_short(best: pd.DataFrame, present: int) -> str:
    if best.empty:
        return f"{present} members; nothing was tested yet."
    words = best.get("verdict", pd.Series(dtype=object)).value_counts()
    tests = int(best["tests"].max())
    return (
        f"{present} instruments are members. Of {len(best)} instruments and targets, past "
        f"members included, skill is demonstrated of {words.get('demonstrated', 0)}; "
        f"{words.get('knows something', 0)} know something, and "
        f"{int(best['may_predict'].sum())} are better than the baseline. All p-values are "
        f"corrected for {tests:,} tests (Holm)."
    )


def _declared(spec: UniverseSpec) -> str:
    targets = (f"{each.kind}, {counted(each.horizon, 'bar')}" for each in spec.targets)
    tried = {c.name for target in spec.targets for c in target.candidates}
    rule = spec.membership
    return facts(
        [
            ("what it is for", spec.description),
            ("targets", "; ".join(targets)),
            ("bars", f"{spec.frequency}, calendar {spec.market.key}"),
            ("source", ", ".join(each.kind for each in (spec.source, *spec.failover))),
            ("features", spec.features),
            ("candidates", ", ".join(sorted(tried))),
            ("a member has", f"{rule.min_history:,} fixings, and misses at most {rule.max_missed}"),
            ("error rate", f"{spec.significance:.0%} at a look, for all claims together"),
        ]
    )


def _data(store: Lake, spec: UniverseSpec, told: pd.DataFrame, present: set[str]) -> list[Part]:
    newest = told.sort_values("first_fixing", kind="stable").drop_duplicates(
        "instrument", keep="last"
    )
    rows = [
        [
            *(row.instrument, _state(row, present)),
            *(_day(row.first_fixing), _day(row.last_fixing), f"{row.fixings:,}"),
        ]
        for row in newest.sort_values("instrument").itertuples()
    ]
    parts: list[Part] = [
        markdown_table(["instrument", "state", "first bar", "last bar", "bars"], rows)
    ]
    checks = store.read_or_empty(QUALITY.name, spec.name)
    if len(checks):
        ordered = checks.sort_values("checked_at", kind="stable")
        last = ordered.drop_duplicates(["instrument", "check"], keep="last")
        failed = last[~last["passed"].astype(bool)].sort_values(["instrument", "check"])
        kept_out = len(store.read_or_empty(QUARANTINE.name, spec.name))
        parts.append(
            f"Of the newest {len(last):,} checks {len(last) - len(failed):,} passed; "
            f"{counted(kept_out, 'row')} {'was' if kept_out == 1 else 'were'} kept out."
        )
        if len(failed):
            found = [[r.instrument, r.check, r.severity, r.message] for r in failed.itertuples()]
            parts.append(
                markdown_table(["instrument", "check", "severity", "finding"], found[:_MOST])
            )
    return parts


def _state(row: Any, present: set[str]) -> str:
    if row.pegged:
        return "pegged"
    if pd.notna(row.member_until):
        return f"left {_day(row.member_until)}"
    return "member" if row.instrument in present else "too young"


def _judged(best: pd.DataFrame) -> list[Part]:
    if best.empty:
        return ["Nothing was tested yet."]
    order = best.sort_values(["kind", "horizon", "skill"], ascending=[True, True, False])
    rows = [_tested({str(k): v for k, v in row.items()}) for row in order.to_dict("records")]
    header = ["instrument", "target", "candidate", "verdict", "skill on the baseline"]
    drawn = Picture(skill_figure(best), "Skill with its 95 % interval, the best candidate of each.")
    return [
        "Each candidate predicted rows that it had not seen. The best of each instrument:",
        drawn,
        markdown_table([*header, "skill on the reference", "p (Holm)", "rows"], rows),
    ]


def _tested(row: dict[str, Any]) -> list[str]:
    claim = claim_of_row(row)
    return [
        *(row["instrument"], f"{row['kind']} {row['horizon']}", row["candidate"]),
        *(row.get("verdict") or "", f"{100 * row['skill']:+.2f} %"),
        claim.reference.text if claim and claim.reference.skill is not None else "",
        *("" if math.isnan(row["p_holm"]) else f"{row['p_holm']:.2g}", f"{row['n']:,}"),
    ]


def _says(spec: UniverseSpec, issued: pd.DataFrame) -> list[Part]:
    if issued.empty:
        return ["It has said nothing of its present members yet."]
    targets = {(each.kind, each.horizon): each for each in spec.targets}
    rows = [
        _said(spec, targets[row["kind"], row["horizon"]], {str(k): v for k, v in row.items()})
        for row in issued.to_dict("records")
    ]
    return [markdown_table(["instrument", "target", "as of", "says", "interval", "by"], rows)]


def _said(spec: UniverseSpec, aimed: UniverseTarget, row: dict[str, Any]) -> list[str]:
    forecast = spec.forecast(row["instrument"], aimed)
    bounds = [row.get("lower"), row.get("upper")]
    known = all(value is not None and value == value for value in bounds)
    return [
        row["instrument"],
        f"{row['kind']} {row['horizon']}",
        as_of_text(row),
        prediction_text(row, forecast),
        interval_text(row, forecast) if known else "",
        str(row["champion"]),
    ]


def _decisions(store: Lake, spec: UniverseSpec) -> list[Part]:
    made = _of(spec, store, UNIVERSE_DECISIONS)
    if made.empty:
        return ["No decision has been made yet."]
    changes = made[made["verdict"].isin(["replace", "demote", "rollback"])]
    changes = changes.sort_values("decided_at", ascending=False, kind="stable").head(_MOST)
    rows = [
        [f"{r.decided_at:{_FOUND}}", r.instrument, f"{r.kind} {r.horizon}", r.sentence]
        for r in changes.itertuples()
    ]
    said = f"{counted(len(made), 'decision')}: {_counts(made)}."
    return [
        said,
        *([markdown_table(["decided", "instrument", "target", "what"], rows)] if rows else []),
    ]


def _economics(store: Lake, spec: UniverseSpec, known: pd.DataFrame) -> list[Section]:
    rows = earned_by_members(spec, store, known)
    if not rows:
        return []
    table = markdown_table(["instrument", "target", "what"], rows[:_MOST])
    parts: list[Part] = ["Shown beside the verdict; nothing is promoted for it.", table]
    return [Section("What it would have earned", parts)]


def _evidence(store: Lake, spec: UniverseSpec, known: pd.DataFrame) -> list[Part]:
    """What each candidate of each member would have done live."""
    names = sorted(known["instrument"].unique())
    rows = [
        [member.instrument, f"{member.target.kind} {member.target.horizon}", *evidence_cells(row)]
        for member in each_member(spec, Panel(store, spec.name, names), names, known)
        for row in ranked(live_evidence(member.own))
    ]
    if not rows:
        return []
    said = "What each candidate would have done live, with e-values that it is better and worse:"
    return [said, markdown_table(["instrument", "target", *EVIDENCE], rows[:_MOST])]


def _live(store: Lake, spec: UniverseSpec, known: pd.DataFrame) -> list[Part]:
    came = _of(spec, store, UNIVERSE_OUTCOMES)
    live = came[came["mode"] == "live"] if len(came) else came
    if len(live):
        live = live.sort_values("known_at", kind="stable")
        live = live.drop_duplicates([*MEMBER, "event_time"], keep="last")
    parts: list[Part] = []
    rows = []
    for (instrument, kind, horizon), own in live.groupby(MEMBER) if len(live) else ():
        theirs = own["baseline_loss"].sum()
        skill = f"{100 * (1 - own['loss'].sum() / theirs):+.2f} %" if theirs else ""
        inside = own["inside_interval"].dropna().astype(float)
        held = f"{inside.mean():.0%}" if len(inside) else ""
        rows.append([instrument, f"{kind} {horizon}", f"{len(own):,}", skill, held])
    if rows:
        header = [
            "instrument",
            "target",
            "outcomes",
            "skill on the baseline",
            "inside the interval",
        ]
        parts.append(markdown_table(header, rows))
    else:
        parts.append("No outcome of a prediction that was issued in time is known yet.")
    parts += _evidence(store, spec, known)
    for one, usual in ((UNIVERSE_DRIFT, "none"), (UNIVERSE_PERFORMANCE, "undecided")):
        told = _of(spec, store, one)
        if len(told):
            last = told.sort_values("measured_at").drop_duplicates(MEMBER, keep="last")
            parts.append(f"{one.name.capitalize()}: {_counts(last)}.")
            odd = last[~last["verdict"].isin([usual, "baseline", "too_few", "better"])]
            cells = [[r.instrument, f"{r.kind} {r.horizon}", r.sentence] for r in odd.itertuples()]
            if cells:
                parts.append(markdown_table(["instrument", "target", one.name], cells[:_MOST]))
    return parts


def _checks(store: Lake, spec: UniverseSpec) -> str:
    return facts(
        [
            ("version of its bars", store.version(RAW_PRICES.name, spec.name) or 0),
            ("commit of this report", build.commit()),
            ("image of this report", build.image()),
            ("head of its ledger", store.head(PREDICTIONS.name, spec.name) or ""),
            ("the versions of its bars", f"`fx-assets data log {spec.name}`"),
            ("whether a row was changed", f"`fx-assets verify {spec.name}`"),
        ]
    )


def _counts(rows: pd.DataFrame) -> str:
    found = rows["verdict"].value_counts()
    return ", ".join(f"{number:,} × {word}" for word, number in found.items())


def _day(when: Any) -> str:
    return "" if pd.isna(when) else f"{when:{_FOUND}}"
