"""The quality gate: bars in, findings out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.quality.date_checks import date_errors
from fx_assets.quality.evidence import Evidence, Outcome
from fx_assets.quality.path_checks import (
    jumps,
    missing_days,
    ohlc_consistency,
    revisions,
    scale_errors,
    stale_close,
    zero_returns,
)
from fx_assets.quality.report import Finding, GateReport
from fx_assets.quality.row_checks import (
    ROW_REASONS,
    row_failures,
    row_finding,
    schema_problem,
)
from fx_assets.specs import CheckRule, FeedSpec, GateSpec
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES

CHECKS: dict[str, str] = {
    "schema_and_types": "Every row can be read, and every column has its type.",
    "nulls": "Every bar has a close and its instants.",
    "duplicates": "Every event time comes once.",
    "non_positive": "Every price is above zero.",
    "future_bars": "No bar closes after now.",
    "closed_days": "No bar lies on a day on which the market is closed.",
    "missing_days": "Every open day between the first and the last bar has one.",
    "revisions": "Few stored bars are revised at once.",
    "jumps": "No return is far outside the distribution of the returns before it.",
    "scale_errors": "No price is off by a power of ten, inverted, or undone within days.",
    "date_errors": "No date has day and month exchanged.",
    "zero_returns": "Closes move from bar to bar.",
    "ohlc_consistency": "High and low contain open and close.",
    "stale_close": "A bar's close belongs to its own high and low.",
}
"""Each check of the gate and what it asserts; a check is a field of ``GateSpec``."""

UNUSABLE: frozenset[str] = frozenset(ROW_REASONS) - {"closed_days"}
"""Checks whose rows go to quarantine whatever the severity: no table can hold them."""
BROKEN: frozenset[str] = frozenset({"closed_days", "ohlc_consistency"})
"""Checks whose rows go to quarantine when the check warns."""

_PATH_CHECKS: dict[str, Callable[[Evidence], Outcome]] = {
    "missing_days": missing_days,
    "revisions": revisions,
    "jumps": jumps,
    "scale_errors": scale_errors,
    "date_errors": date_errors,
    "zero_returns": zero_returns,
    "ohlc_consistency": ohlc_consistency,
    "stale_close": stale_close,
}
_EXACT_COUNTS = {"jumps", "scale_errors", "date_errors"}


def inspect(
    stored: pd.DataFrame,
    batch_new: pd.DataFrame,
    rejected: pd.DataFrame,
    spec: FeedSpec,
    calendar: Calendar,
    now: datetime,
) -> GateReport:
    """Judge a batch. It enters whole, or, when a blocking check fails, not at all.

    Parameters
    ----------
    stored
        Bars accepted before, as known now (``BAR_DTYPES``).
    batch_new
        New and revised rows (``BAR_DTYPES``).
    rejected
        Rows that the parser could not turn into bars (``REJECTED_DTYPES``).
    spec
        The feed, with its thresholds.
    now
        The clock's time (UTC).

    Returns
    -------
    GateReport
        Rows on ``known_bad`` days go to quarantine and count for nothing.
    """
    gate = spec.gate
    bad_days = frozenset(gate.known_bad)
    rejected = rejected.astype({name: REJECTED_DTYPES[name] for name in rejected.columns})
    problem = schema_problem(batch_new)
    if problem:
        return _refuse_schema(problem, batch_new, rejected, gate)
    batch = batch_new.reset_index(drop=True)
    days = _days(batch, calendar)
    known = np.array([day in bad_days for day in days], dtype=bool)
    known_rejected = rejected["event_date"].isin({str(day) for day in bad_days})
    failing = row_failures(batch, days, calendar, now, ~known)
    kept_out = known.copy()
    reasons = np.where(known, "an operator has marked this day as bad", "").astype(object)
    checks = np.where(known, "known_bad", "").astype(object)
    findings: dict[str, Finding] = {}
    for name in ROW_REASONS:
        rule: CheckRule = getattr(gate, name)
        parsed = rejected[(rejected["check"] == name) & ~known_rejected]
        mask = failing[name]
        findings[name] = row_finding(name, rule, batch, days, mask, parsed)
        if name in UNUSABLE or rule.severity != "off":
            fresh = mask & ~kept_out
            reasons[fresh], checks[fresh] = ROW_REASONS[name], name
            kept_out |= mask
    explained = bad_days | {days[i] for i in np.flatnonzero(kept_out)} | _rejected_days(rejected)
    evidence = Evidence(
        stored=_without(stored, bad_days, calendar),
        batch=batch[~kept_out].reset_index(drop=True),
        explained=frozenset(explained),
        gate=gate,
        calendar=calendar,
        now=now,
    )
    blamed: dict[pd.Timestamp, tuple[str, str]] = {}
    for name, check in _PATH_CHECKS.items():
        rule = getattr(gate, name)
        findings[name], outcome = _path_finding(name, rule, check, evidence)
        if (not findings[name].passed and rule.severity == "block") or (
            name in BROKEN and rule.severity == "warn"
        ):
            for moment in outcome.blamed:
                blamed.setdefault(moment, (name, outcome.reason))
    times = batch["event_time"]
    for i in np.flatnonzero(~kept_out & times.isin(blamed).to_numpy()):
        checks[i], reasons[i] = blamed[times[i]]
        kept_out[i] = True
    ordered = tuple(findings[name] for name in CHECKS)
    blocking = [f for f in ordered if not f.passed and f.severity == "block"]
    quarantined = [rejected, _as_rejected(batch[kept_out], days[kept_out], checks, reasons)]
    if blocking:
        if not kept_out.any() and rejected[~known_rejected].empty:
            names = ", ".join(f.check for f in blocking)
            checks[:], reasons[:] = blocking[0].check, f"the whole batch was refused by {names}"
            quarantined.append(_as_rejected(batch, days, checks, reasons))
        kept_out[:] = True
    return GateReport(
        findings=ordered,
        quarantined=_stack(quarantined),
        accepted=batch[~kept_out].reset_index(drop=True),
        passed=not blocking,
    )


def _refuse_schema(
    problem: str, batch: pd.DataFrame, rejected: pd.DataFrame, gate: GateSpec
) -> GateReport:
    findings = []
    for name in CHECKS:
        rule: CheckRule = getattr(gate, name)
        first = name == "schema_and_types"
        findings.append(
            Finding(
                check=name,
                severity="block" if first else rule.severity,
                passed=not first,
                count=len(batch) if first else 0,
                limit=rule.limit,
                message=problem if first else "Not applicable: the batch cannot be read.",
            )
        )
    size = len(batch)
    texts = pd.DataFrame(
        {
            "event_date": [str(value) for value in batch.get("event_time", [""] * size)],
            "column": "row",
            "value": [str(value) for value in batch.get("close", [""] * size)],
            "check": "schema_and_types",
            "reason": problem,
            "source": "",
            "payload": "",
        },
        index=range(size),
    )
    empty = pd.DataFrame(columns=list(BAR_DTYPES)).astype(BAR_DTYPES)
    return GateReport(tuple(findings), _stack([rejected, texts]), empty, passed=False)


def _path_finding(
    name: str,
    rule: CheckRule,
    check: Callable[[Evidence], Outcome],
    evidence: Evidence,
) -> tuple[Finding, Outcome]:
    limit = evidence.limit(name)
    if rule.severity == "off":
        return Finding(name, "off", True, 0, limit, "Switched off."), Outcome(0, "")
    outcome = check(evidence)
    passed = not outcome.examples if name in _EXACT_COUNTS else outcome.count <= limit
    finding = Finding(
        name, rule.severity, passed, outcome.count, limit, outcome.message, outcome.examples
    )
    return finding, outcome


def _days(bars: pd.DataFrame, calendar: Calendar) -> np.ndarray:
    index = calendar.day_index(pd.DatetimeIndex(bars["event_time"]))
    days = [None if pd.isna(day) else day.date() for day in index]
    return np.array(days, dtype=object)


def _without(bars: pd.DataFrame, days: frozenset[date], calendar: Calendar) -> pd.DataFrame:
    if not days or bars.empty:
        return bars
    return bars[[day not in days for day in _days(bars, calendar)]]


def _rejected_days(rejected: pd.DataFrame) -> set[date]:
    days = pd.to_datetime(rejected["event_date"], format="%Y-%m-%d", errors="coerce").dropna()
    return set(days.dt.date)


def _as_rejected(
    rows: pd.DataFrame, days: np.ndarray, checks: np.ndarray, reasons: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "event_date": [str(day) for day in days],
            "column": "close",
            "value": [repr(float(value)) for value in rows["close"]],
            "check": checks[rows.index],
            "reason": reasons[rows.index],
            "source": rows["source"].to_numpy(),
            "ingested_at": rows["ingested_at"].array,
            "payload": rows["payload"].to_numpy(),
        }
    )


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame.reindex(columns=list(REJECTED_DTYPES)) for frame in frames if len(frame)]
    stacked = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    return stacked.reindex(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
