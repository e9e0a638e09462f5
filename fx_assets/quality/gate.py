"""The quality gate: bars in, findings out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.quality.date_checks import date_errors
from fx_assets.quality.evidence import Evidence, Outcome
from fx_assets.quality.missing import missing_days
from fx_assets.quality.ohlc_checks import ohlc_consistency, stale_close
from fx_assets.quality.own import finding_of, meaning_of, own_finding
from fx_assets.quality.packaged import ITSELF, packaged_reference
from fx_assets.quality.path_checks import jumps, revisions, zero_returns
from fx_assets.quality.range_checks import price_ranges, wide_bars
from fx_assets.quality.reference_checks import references as references_agree
from fx_assets.quality.references import Reference
from fx_assets.quality.report import Finding, GateReport
from fx_assets.quality.row_checks import (
    ROW_REASONS,
    row_failures,
    row_finding,
    row_reasons,
    schema_problem,
)
from fx_assets.quality.scale_checks import scale_errors
from fx_assets.quality.stuck_checks import stuck_prices
from fx_assets.quality.times import bar_times, days_of, labels
from fx_assets.quality.volume_checks import volumes
from fx_assets.specs import CheckRule, FeedSpec, GateSpec
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES
from fx_assets.specs.feed import gate_defaults

CHECKS: dict[str, str] = {
    "schema_and_types": "Every row can be read, and every column has its type.",
    "nulls": "Every bar has a close and its instants.",
    "duplicates": "Every event time comes once.",
    "non_positive": "Every price is above zero, and no volume or market cap is negative.",
    "future_bars": "No bar closes after now.",
    "closed_days": "No bar lies on a day, or at an instant, at which the market has none.",
    "missing_days": "Every bar that is due between the first and the last is there.",
    "revisions": "Few stored bars are revised at once.",
    "jumps": "No return is far outside the distribution of the returns before it.",
    "scale_errors": "No price is off by a power of ten, inverted, or undone within days.",
    "date_errors": "No date has day and month exchanged.",
    "zero_returns": "Closes move from bar to bar.",
    "ohlc_consistency": "High and low contain open and close.",
    "stale_close": "A bar's close belongs to its own high and low.",
    "price_ranges": "High, low and open lie where the rest of the bar says.",
    "wide_bars": "No bar carries the range or the volume of a longer one.",
    "stuck_prices": "Closes that moved do not stand still, or come again.",
    "volumes": "Volume and market cap are in proportion to those of other bars.",
    "references": "Other histories of the instrument say the same.",
}
"""Each check of the gate and what it asserts; a check is a field of ``GateSpec``."""


def checks_of(spec: FeedSpec) -> dict[str, str]:
    """Each check of a feed and what it asserts, those of plug-ins last."""
    return CHECKS | {name: meaning_of(name) for name in spec.gate.own}


UNUSABLE: frozenset[str] = frozenset(ROW_REASONS) - {"closed_days"}
"""Checks whose rows go to quarantine whatever the severity: no table can hold them. Those of
``closed_days`` do unless it is off."""

MOST_REFUSED = 10_000
"""Rows of a batch that is refused as a whole which are kept one by one."""

_PATH_CHECKS: dict[str, Callable[[Evidence], Outcome]] = {
    "missing_days": missing_days,
    "revisions": revisions,
    "jumps": jumps,
    "scale_errors": scale_errors,
    "date_errors": date_errors,
    "zero_returns": zero_returns,
    "ohlc_consistency": ohlc_consistency,
    "stale_close": stale_close,
    "price_ranges": price_ranges,
    "wide_bars": wide_bars,
    "stuck_prices": stuck_prices,
    "volumes": volumes,
    "references": references_agree,
}
_EXACT_COUNTS = {"jumps", "scale_errors", "date_errors"}


def inspect(
    stored: pd.DataFrame,
    batch_new: pd.DataFrame,
    rejected: pd.DataFrame,
    spec: FeedSpec,
    calendar: Calendar,
    now: datetime,
    references: Iterable[Reference] = (),
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
    references
        Other histories of the instrument. The ECB's packaged fixings are one without being asked,
        where the ECB fixes both currencies and the feed is of somebody else.

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
    times = bar_times(batch)
    known = _on_days(times, bad_days, calendar)
    known_rejected = rejected["event_date"].str[:10].isin({str(day) for day in bad_days})
    failing = row_failures(batch, calendar, now, ~known)
    kept_out = known.copy()
    reasons, checks = np.full((2, len(batch)), "", dtype=object)
    reasons[known], checks[known] = "an operator has marked this day as bad", "known_bad"
    findings: dict[str, Finding] = {}
    for name in ROW_REASONS:
        rule: CheckRule = getattr(gate, name)
        parsed = rejected[(rejected["check"] == name) & ~known_rejected]
        mask = failing[name]
        findings[name] = row_finding(name, rule, batch, calendar, mask, parsed)
        if name in UNUSABLE or rule.severity != "off":
            fresh = mask & ~kept_out
            reasons[fresh], checks[fresh] = row_reasons(name, calendar, times[fresh]), name
            kept_out |= mask
    explained, explained_times = _explained(times[kept_out], rejected, bad_days, calendar)
    evidence = Evidence(
        stored=stored[~_on_days(bar_times(stored), bad_days, calendar)] if bad_days else stored,
        batch=_kept(batch, ~kept_out),
        explained=explained,
        explained_times=explained_times,
        gate=gate,
        references=(*references, *_packaged(spec)),
        closed=batch[failing["closed_days"]],
        defaults=gate_defaults(spec.frequency),
        calendar=calendar,
        now=now,
    )
    for name in (*_PATH_CHECKS, *gate.own):
        own = gate.own.get(name)
        findings[name], outcome = (
            own_finding(name, own, evidence) if own else _path_finding(name, evidence)
        )
        if not findings[name].passed and findings[name].severity == "block":
            fresh = np.isin(times, outcome.blamed) & (checks == "")
            checks[fresh], reasons[fresh] = name, outcome.reason
            kept_out |= fresh
    ordered = tuple(findings[name] for name in checks_of(spec))
    blocking = [f for f in ordered if not f.passed and f.severity == "block"]
    quarantined = [rejected, _as_rejected(batch, kept_out, calendar, checks, reasons)]
    if blocking:
        if not kept_out.any() and rejected[~known_rejected].empty:
            some = np.arange(len(batch)) < MOST_REFUSED
            names = ", ".join(f.check for f in blocking)
            rest = f"; so are {len(batch) - MOST_REFUSED} later ones" if not some.all() else ""
            checks[:] = blocking[0].check
            reasons[:] = f"the whole batch was refused by {names}{rest}"
            quarantined.append(_as_rejected(batch, some, calendar, checks, reasons))
        kept_out[:] = True
    return GateReport(
        findings=ordered,
        quarantined=_stack(quarantined),
        accepted=_kept(batch, ~kept_out),
        passed=not blocking,
    )


def _packaged(spec: FeedSpec) -> tuple[Reference, ...]:
    reference = None
    if spec.gate.references.severity != "off" and spec.source.kind not in ITSELF:
        reference = packaged_reference(spec.instrument)
    return () if reference is None else (reference,)


def _refuse_schema(
    problem: str, batch: pd.DataFrame, rejected: pd.DataFrame, gate: GateSpec
) -> GateReport:
    findings = []
    for name in (*CHECKS, *gate.own):
        rule: CheckRule = gate.own.get(name) or getattr(gate, name)
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


def _path_finding(name: str, evidence: Evidence) -> tuple[Finding, Outcome]:
    rule, limit = getattr(evidence.gate, name), evidence.limit(name)
    if rule.severity == "off":
        return Finding.switched_off(name, limit), Outcome(0, "")
    outcome = _PATH_CHECKS[name](evidence)
    passed = not outcome.examples if name in _EXACT_COUNTS else outcome.count <= limit
    return finding_of(name, rule, outcome, limit, passed=passed), outcome


def _on_days(times: np.ndarray, days: frozenset[date], calendar: Calendar) -> np.ndarray:
    """Which bars belong to one of the days."""
    if not days or not len(times):
        return np.zeros(len(times), dtype=bool)
    return np.isin(days_of(times, calendar), np.array(sorted(days), dtype="datetime64[D]"))


def _kept(bars: pd.DataFrame, mask: np.ndarray) -> pd.DataFrame:
    return bars if mask.all() else bars[mask].reset_index(drop=True)


def _explained(
    kept_out: np.ndarray, rejected: pd.DataFrame, bad_days: frozenset[date], calendar: Calendar
) -> tuple[frozenset[date], np.ndarray]:
    """Days, and of intraday bars closes, whose rows are in quarantine."""
    texts = rejected["event_date"]
    days = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce").dropna()
    explained = bad_days | set(days.dt.date)
    kept_out = kept_out[~np.isnat(kept_out)]
    if calendar.daily:
        return frozenset(explained | set(days_of(kept_out, calendar).tolist())), kept_out[:0]
    instants = pd.to_datetime(texts, format="%Y-%m-%d %H:%M", errors="coerce").dropna()
    return explained, np.concatenate([kept_out, instants.to_numpy("datetime64[us]")])


def _as_rejected(
    batch: pd.DataFrame,
    mask: np.ndarray,
    calendar: Calendar,
    checks: np.ndarray,
    reasons: np.ndarray,
) -> pd.DataFrame:
    rows = batch[mask]
    return pd.DataFrame(
        {
            "event_date": labels(bar_times(rows), calendar),
            "column": "close",
            "value": [repr(value) for value in rows["close"].to_numpy(np.float64).tolist()],
            "check": checks[mask],
            "reason": reasons[mask],
            "source": rows["source"].to_numpy(),
            "ingested_at": rows["ingested_at"].array,
            "payload": rows["payload"].to_numpy(),
        }
    )


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame.reindex(columns=list(REJECTED_DTYPES)) for frame in frames if len(frame)]
    stacked = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    return stacked.reindex(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
