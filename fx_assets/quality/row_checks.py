"""Checks that look at one row at a time."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar, instant_of
from fx_assets.quality.evidence import KEPT_EXAMPLES, listed
from fx_assets.quality.report import Finding
from fx_assets.quality.times import bar_times, days_of, labels
from fx_assets.specs import CheckRule
from fx_assets.specs.bars import BAR_DTYPES, PRICE_COLUMNS

ROW_REASONS = {
    "schema_and_types": "the row cannot be read",
    "nulls": "the close or an instant is missing",
    "duplicates": "the event time comes more than once",
    "non_positive": "a price is zero or negative, or a volume or market cap is negative",
    "future_bars": "the bar closes after now",
    "closed_days": "the market is closed on this day",
}
"""Each row check, and why a row that fails it is kept out."""
FEW_CLOSED, SHARE_CLOSED = 2, 0.002
"""Rows, or their share of a batch, up to which bars of closed days are kept out with a warning."""
BESIDE = 0.25
"""Missing bars for each bar outside of the calendar, below which those are additions."""
OFF_GRID = "no bar of the calendar closes at this instant: the market is closed, or it is off grid"


def row_reason(name: str, calendar: Calendar) -> str:
    """Why a row that fails a row check is kept out."""
    if name == "closed_days" and not calendar.daily:
        return OFF_GRID
    return ROW_REASONS[name]


def row_reasons(name: str, calendar: Calendar, times: np.ndarray) -> list[str]:
    """Why each of some rows, by their event times, is kept out by a row check.

    A daily bar of an open day says when it closes, and when bars of that day do.
    """
    if name != "closed_days" or not calendar.daily:
        return [row_reason(name, calendar)] * len(times)
    reasons = []
    for time in times:
        day = calendar.bar_day(instant_of(time)) if not np.isnat(time) else None
        if day is None or not calendar.is_open(day):
            reasons.append(row_reason(name, calendar))
        else:
            due = calendar.event_time(day)
            reasons.append(
                f"it closes at {instant_of(time):%H:%M} UTC, daily bars close at {due:%H:%M} UTC"
            )
    return reasons


def schema_problem(batch: pd.DataFrame) -> str:
    """What is wrong with the columns of a batch, or nothing."""
    missing = [name for name in BAR_DTYPES if name not in batch.columns]
    if missing:
        return f"The batch lacks the columns {', '.join(missing)}."
    wrong = [
        f"{name} is {batch[name].dtype}, not {dtype}"
        for name, dtype in BAR_DTYPES.items()
        if dtype != "object" and str(batch[name].dtype) != dtype
    ]
    return f"Columns have the wrong type: {'; '.join(wrong)}." if wrong else ""


def row_failures(
    batch: pd.DataFrame, calendar: Calendar, now: datetime, judged: np.ndarray
) -> dict[str, np.ndarray]:
    """Which rows fail which row check; a row fails the first one that applies."""
    prices = batch[list(PRICE_COLUMNS)]
    infinite = np.isinf(prices.to_numpy(np.float64)).any(axis=1)
    instants = batch[["event_time", "available_at", "ingested_at"]]
    null = batch["close"].isna().to_numpy() | instants.isna().any(axis=1).to_numpy()
    masks = {
        "schema_and_types": infinite,
        "nulls": null,
        "duplicates": batch["event_time"].duplicated(keep=False).to_numpy(),
        "non_positive": (prices[["open", "high", "low", "close"]] <= 0).any(axis=1).to_numpy()
        | (prices[["volume", "market_cap"]] < 0).any(axis=1).to_numpy(),
        "future_bars": (batch["event_time"] > pd.Timestamp(now)).to_numpy(),
        "closed_days": ~calendar.possible(bar_times(batch)),
    }
    taken = ~judged
    for name, mask in masks.items():
        masks[name] = mask & ~taken
        taken = taken | mask
    return masks


def row_finding(
    name: str,
    rule: CheckRule,
    batch: pd.DataFrame,
    calendar: Calendar,
    mask: np.ndarray,
    parsed: pd.DataFrame,
) -> Finding:
    """The finding of a row check.

    Parameters
    ----------
    mask
        The rows of the batch that fail it.
    parsed
        The rows that fail it according to the parser.
    """
    count, limit = int(mask.sum()) + len(parsed), rule.limit or 0
    if rule.severity == "off":
        return Finding.switched_off(name, limit, count)
    rows = np.flatnonzero(mask)[:KEPT_EXAMPLES]
    names = labels(bar_times(batch.iloc[rows]), calendar)
    texts = [f"{label}: {batch['close'][i]:g}" for label, i in zip(names, rows, strict=True)]
    texts += [
        f"{row.event_date}: {row.column} {row.value!r}, {row.reason}"
        for row in parsed.head(KEPT_EXAMPLES).itertuples()
    ]
    message = f"None in {len(batch)} new rows."
    if texts:
        why = dict.fromkeys(row_reasons(name, calendar, bar_times(batch.iloc[rows])))
        said = "; ".join(why) or row_reason(name, calendar)
        message = f"{count} rows ({said}): {listed(texts, count)}."
    texts = texts[:KEPT_EXAMPLES]
    severity = rule.severity
    if name == "closed_days" and _harmless(batch, calendar, mask):
        severity = "warn"
    if name == "closed_days" and severity == "block" and texts:
        message += " To keep them out and go on, set closed_days.severity: warn."
    return Finding(name, severity, count <= limit, count, limit, message, tuple(texts))


def _harmless(batch: pd.DataFrame, calendar: Calendar, closed: np.ndarray) -> bool:
    """Whether bars outside of the calendar are few, or beside all that are due.

    Bars of a wrong zone or day lie outside at one end and are missing at the other.
    """
    count = int(closed.sum())
    if count <= max(FEW_CLOSED, SHARE_CLOSED * len(batch)):
        return True
    times = np.unique(bar_times(batch[~closed]))
    times = times[~np.isnat(times)]
    if len(times) < count:
        return False
    days = days_of(times[[0, -1]], calendar).tolist()
    due = calendar.closes(*days)
    due = due[(due >= times[0]) & (due <= times[-1])]
    return int((~np.isin(due, times)).sum()) < BESIDE * count
