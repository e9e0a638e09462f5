"""What a report says of a forecast: what is stored, and nothing that is judged anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from fx_assets import build
from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.claim import percent_within
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.metrics import cumulative_loss_difference, reliability
from fx_assets.explaining.explanations import KeptExplanation
from fx_assets.features import feature_set
from fx_assets.lake.panel import numbered
from fx_assets.plural import counted, sentence_case
from fx_assets.presentation import figures
from fx_assets.presentation.economics import figures_markdown
from fx_assets.presentation.effects import effects_table
from fx_assets.presentation.ledger import ledger_markdown
from fx_assets.presentation.live import evidence_table
from fx_assets.presentation.markdown import markdown_table
from fx_assets.presentation.price_plot import price_svg
from fx_assets.presentation.wording import sentence, skill_text
from fx_assets.profiling.page import summary
from fx_assets.profiling.profile import READ_COLUMNS, profile
from fx_assets.reporting.document import Part, Picture, Section, facts
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import CandidateSpec
from fx_assets.stages.economics import earned_text
from fx_assets.stages.end_state import why_none
from fx_assets.tables import (
    BACKTEST,
    DRIFT,
    ECONOMICS,
    LIVE_EVIDENCE,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    QUALITY,
    QUARANTINE,
    RAW_PRICES,
    SCORES,
    STRATEGY_ROWS,
)

_YEARS = "coverage_"
_FOUND = "%Y-%m-%d %H:%M"


def forecast_sections(
    own: SeriesTables, now: datetime, why: KeptExplanation | None
) -> list[Section]:
    """The sections of a forecast, of what is there: one that has not run yet says why.

    Parameters
    ----------
    now
        What is known by then counts (UTC).
    why
        The explanation of the newest prediction, if it was kept.
    """
    ledger, earned = own.ledger(), earned_text(own)
    issued = own.newest(PREDICTIONS)
    newest = None if issued.empty else _record(issued.sort_values("event_time"))
    sections = [
        Section("In short", _in_short(own, ledger, newest, now, earned)),
        *([Section("Why it says so", [why.sentence, effects_table(why)])] if why else []),
        Section("What is forecast", [_declared(own)]),
        Section("Data", _data(own, now)),
        Section("Features", _features(own)),
    ]
    if ledger:
        sections += [
            Section("How it was judged", _judged(own, ledger[-1])),
            Section("Decisions", [ledger_markdown(ledger)]),
        ]
    sections.append(Section("Live, and drift", _live(own)))
    if own.spec.strategy.kind != "none":
        sections.append(Section("What it would have earned", _economics(own, ledger, earned)))
    return [*sections, Section("To check it", [_checks(own, ledger, newest)])]


def _in_short(
    own: SeriesTables,
    ledger: Sequence[Decision],
    newest: dict[str, Any] | None,
    now: datetime,
    earned: str,
) -> list[Part]:
    if newest is None:
        return [f"Nothing has been predicted yet: {why_none(own, now)}."]
    said = skill_text(newest)
    lines = [
        sentence(newest, own.spec),
        f"Is its skill demonstrated? {sentence_case(said)}",
    ]
    if ledger:
        lines.append(
            f"Newest decision, {ledger[-1].decided_at:{_FOUND}} UTC: {ledger[-1].sentence}"
        )
    return ["\n\n".join([*lines, *filter(None, [earned])])]


def _declared(own: SeriesTables) -> str:
    spec, feed, rule = own.spec, own.feed, own.spec.promotion
    folds = spec.walk_forward
    return facts(
        [
            ("what it is for", spec.description),
            ("target", own.series.sentence),
            ("bars", f"{feed.frequency} of {feed.instrument}, calendar {feed.market.key}"),
            ("source", ", ".join(each.kind for each in (feed.source, *feed.failover))),
            ("features", spec.features),
            ("baseline", spec.baseline.name),
            ("candidates", "; ".join(_candidate(each) for each in spec.candidates)),
            (
                "walk-forward",
                f"{folds.scheme}, from {folds.first_test}, fitted again every "
                f"{folds.refit_every:,} bars on at least {folds.min_train:,} rows",
            ),
            (
                "promotion",
                f"{rule.rule} rule at {rule.significance:.0%}, at least {rule.min_rows:,} rows and "
                f"{100 * rule.min_skill:g} % skill, a look every {rule.look_every_weeks} weeks",
            ),
            ("intervals", f"{spec.coverage:.0%}"),
        ]
    )


def _candidate(candidate: CandidateSpec) -> str:
    settings: dict[str, object] = dict(sorted(candidate.params.items()))
    if candidate.pools:
        settings = {"members": ", ".join(candidate.members), "weights": candidate.weights}
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    named = "" if candidate.family == candidate.name else f" ({candidate.family})"
    return f"{candidate.name}{named}" + (f": {told}" if told else "")


def _data(own: SeriesTables, now: datetime) -> list[Part]:
    feed, store = own.feed, own.store
    if not store.exists(RAW_PRICES.name, feed.name):
        return [f"There are no bars of {feed.name}."]
    try:
        found = profile(store.bars_of(feed.name)[READ_COLUMNS], feed, now)
    except NotEnoughDataError as error:
        return [error.message]
    bars = found.series
    parts: list[Part] = [
        Picture(
            price_svg(bars["event_time"], bars["close"], feed.instrument),
            f"{feed.instrument} as known at {found.at:{_FOUND}} UTC, {found.rows:,} bars.",
        ),
        facts(summary(found)),
    ]
    for title, rows in (("Longest gaps", found.gaps), ("Largest moves", found.extremes)):
        if len(rows):
            shown = rows.head(5)
            cells = [[_value(each) for each in row] for row in shown.itertuples(index=False)]
            parts += [f"### {title}", markdown_table(list(map(str, shown.columns)), cells)]
    return [*parts, "### The gate", *_gate(own)]


def _gate(own: SeriesTables) -> list[Part]:
    checks = numbered(own.store.read_or_empty(QUALITY.name, own.feed.name))
    kept_out = len(own.store.read_or_empty(QUARANTINE.name, own.feed.name))
    if checks.empty:
        return ["No batch was checked yet."]
    newest = checks[checks["batch"] == checks["batch"].max()]
    failed = newest[~newest["passed"].astype(bool)]
    said = (
        f"Batches that were checked: {checks['batch'].max() + 1:,}. Of the newest {len(newest)} "
        f"checks {len(newest) - len(failed)} passed; {counted(kept_out, 'row')} of all batches "
        f"{'was' if kept_out == 1 else 'were'} kept out."
    )
    rows = [[row.check, row.severity, row.message] for row in failed.itertuples()]
    return [said, *([markdown_table(["check", "severity", "finding"], rows)] if rows else [])]


def _features(own: SeriesTables) -> list[Part]:
    found = feature_set(own.spec.features, own.feed.market.bar)
    rows = [[f"`{each.name}`", each.meaning, each.unit] for each in found.features]
    return [
        f"Each is computed from bars that were known when the prediction is made; the set is "
        f"`{found.name}`, and its first value needs {found.warm_up:,} bars.",
        markdown_table(["feature", "what", "unit"], rows),
    ]


def _judged(own: SeriesTables, decision: Decision) -> list[Part]:
    said = (
        f"Every candidate predicted the same {decision.rows:,} rows, from "
        f"{decision.first_row:%Y-%m-%d} to {decision.last_row:%Y-%m-%d}, each by a model that was "
        f"fitted on what was known before it (rows {decision.row_hash}). {decision.trials} recipes "
        "have been tried on this series; "
        f"a p-value had to lie below {decision.needed_p:.3g}."
    )
    scores = own.newest(SCORES)
    parts: list[Part] = [said, _candidates(decision, scores)]
    if decision.claim:
        parts.append(decision.claim.sentence)
    rows = own.newest(BACKTEST)
    rows = rows[rows["recipe"] == decision.recipe] if len(rows) else rows
    rows = rows.dropna(subset=["target"]).sort_values("event_time") if len(rows) else rows
    if len(rows):
        parts += _pictures(own, rows, decision)
    coverage = _coverage(scores, decision.champion) if len(scores) else ""
    return [*parts, *(["### How often its intervals held", coverage] if coverage else [])]


def _candidates(decision: Decision, scores: pd.DataFrame) -> str:
    def skill(candidate: str, metric: str) -> str:
        if scores.empty:
            return ""
        known = scores[(scores["candidate"] == candidate) & (scores["metric"] == metric)]
        if known.empty:
            return ""
        row = known.iloc[-1]
        return percent_within(row["value"], row["lower"], row["upper"])

    rows = [
        [
            f"**{each.candidate}**" if each.candidate == decision.champion else each.candidate,
            f"{each.loss:.6g}",
            skill(each.candidate, "skill"),
            skill(each.candidate, "skill_on_reference"),
            "" if each.clark_west_p is None else f"{each.clark_west_p:.2g}",
            "" if each.diebold_mariano_p is None else f"{each.diebold_mariano_p:.2g}",
        ]
        for each in decision.statistics
    ]
    header = ["candidate", "loss", "skill on the baseline (95 %)", "skill on the reference (95 %)"]
    return markdown_table([*header, "Clark–West p", "Diebold–Mariano p"], rows)


def _pictures(own: SeriesTables, rows: pd.DataFrame, decision: Decision) -> list[Part]:
    spec, definition, name = own.spec, own.spec.target.definition, decision.champion
    made: list[Part] = []
    if decision.predicts:
        gained = cumulative_loss_difference(rows, spec.target.kind)
        drawn = figures.cumulative_loss_figure(
            gained, name, spec.baseline.name, definition.loss_name
        )
        made.append(Picture(drawn, f"Loss that {name} saved, row after row, out of sample."))
    if definition.outcome == "binary":
        drawn = figures.reliability_figure(reliability(rows), definition.wording.called)
        made.append(Picture(drawn, "What was said against what came, out of sample."))
    if definition.shown.annualised:
        year = own.feed.market.bars_a_year
        drawn = figures.volatility_figure(rows, spec.target.horizon, year)
        made.append(Picture(drawn, "Predicted and realised volatility, out of sample."))
    return made


def _coverage(scores: pd.DataFrame, champion: str) -> str:
    own = scores[(scores["candidate"] == champion) & scores["metric"].str.startswith("coverage")]
    rows = [
        [
            row["metric"].removeprefix(_YEARS).replace("coverage", "all rows"),
            f"{row['value']:.1%}",
            f"{row['lower']:.1%} to {row['upper']:.1%}",
            f"{row['n']:,}",
        ]
        for row in own.to_dict("records")
    ]
    return markdown_table(["rows", "inside", "95 %", "n"], rows) if rows else ""


def _live(own: SeriesTables) -> list[Part]:
    came = own.newest(OUTCOMES)
    live = came[came["mode"] == "live"] if len(came) else came
    parts: list[Part] = []
    if live.empty:
        parts.append("No outcome of a prediction that was issued in time is known yet.")
    else:
        skill = 1 - live["loss"].sum() / live["baseline_loss"].sum()
        inside = live["inside_interval"].dropna().astype(float)
        held = f"; {inside.mean():.1%} lay inside the interval" if len(inside) else ""
        parts.append(
            f"{len(live):,} predictions that were issued in time have their outcome, the first of "
            f"{live['event_time'].min():%Y-%m-%d}: skill against the baseline {100 * skill:+.2f} %"
            f"{held}."
        )
    evidence = own.newest(LIVE_EVIDENCE)
    if len(evidence):
        parts += ["What each candidate would have done since it was declared:"]
        parts.append(evidence_table(evidence))
    for one in (PERFORMANCE, DRIFT):
        told = own.newest(one)
        if len(told):
            row = told.sort_values("measured_at").iloc[-1]
            parts.append(f"{one.name.capitalize()}, {row['as_of']:%Y-%m-%d}: {row['sentence']}")
    return parts


def _economics(own: SeriesTables, ledger: Sequence[Decision], earned: str) -> list[Part]:
    weighed = own.newest(ECONOMICS)
    mine = weighed[weighed["strategy"] == own.spec.strategy.id] if len(weighed) else weighed
    if mine.empty or not ledger:
        return ["Nothing was weighed yet."]
    parts: list[Part] = [
        "Shown beside the verdict; nothing is promoted for it.",
        earned,
        figures_markdown(mine),
    ]
    bars = own.newest(STRATEGY_ROWS)
    if len(bars):
        bars = bars[(bars["recipe"] == ledger[-1].recipe) & (bars["evidence"] == "backtest")]
        bars = bars.sort_values("filled_at")
    if len(bars):
        drawn = figures.strategy_figure(bars, ledger[-1].champion)
        parts.append(Picture(drawn, "What following the champion would have earned."))
    return parts


def _checks(own: SeriesTables, ledger: Sequence[Decision], newest: dict[str, Any] | None) -> str:
    row = newest or {}
    versions = json.loads(row.get("table_versions") or "{}")
    data = ", ".join(f"{name} version {version}" for name, version in sorted(versions.items()))
    champion = f"{row['champion']} {row['champion_version']}" if row else ""
    return facts(
        [
            ("champion", champion),
            ("recipe", ledger[-1].recipe if ledger else ""),
            ("code of the newest prediction", row.get("code_version") or ""),
            ("its inputs", row.get("input_hash") or ""),
            ("its data", data),
            ("commit of this report", build.commit()),
            ("image of this report", build.image()),
            ("head of its ledger", own.store.head(PREDICTIONS.name, own.forecast) or ""),
            ("the versions of its bars", f"`fx-assets data log {own.feed.name}`"),
            ("whether a row was changed", f"`fx-assets verify {own.forecast}`"),
        ]
    )


def _record(issued: pd.DataFrame) -> dict[str, Any]:
    return {str(name): value for name, value in issued.iloc[-1].items()}


def _value(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:{_FOUND}}"
    return (
        f"{value:,.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
