"""Checks that look at one row at a time."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.quality.evidence import listed
from fx_assets.quality.report import Finding
from fx_assets.specs import CheckRule
from fx_assets.specs.bars import BAR_DTYPES, PRICE_COLUMNS

ROW_REASONS = {
    "schema_and_types": "the row cannot be read",
    "nulls": "the close or an instant is missing",
    "duplicates": "the event time comes more than once",
    "non_positive": "a price is zero or negative",
    "future_bars": "the bar closes after now",
    "closed_days": "the market is closed on this day",
}
"""Each row check, and why a row that fails it is kept out."""


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
    batch: pd.DataFrame, days: np.ndarray, calendar: Calendar, now: datetime, judged: np.ndarray
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
        "non_positive": (prices[["open", "high", "low", "close"]] <= 0).any(axis=1).to_numpy(),
        "future_bars": (batch["event_time"] > pd.Timestamp(now)).to_numpy(),
        "closed_days": np.array(
            [isinstance(day, date) and not calendar.is_open(day) for day in days], dtype=bool
        ),
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
    days: np.ndarray,
    mask: np.ndarray,
    parsed: pd.DataFrame,
) -> Finding:
    texts = [f"{days[i]}: {batch['close'][i]:g}" for i in np.flatnonzero(mask)]
    texts += [
        f"{row.event_date}: {row.column} {row.value!r}, {row.reason}" for row in parsed.itertuples()
    ]
    count, limit = len(texts), rule.limit or 0
    if rule.severity == "off":
        return Finding(name, "off", True, count, limit, "Switched off.")
    message = f"None in {len(batch)} new rows."
    if texts:
        message = f"{count} rows ({ROW_REASONS[name]}): {listed(texts)}."
    return Finding(name, rule.severity, count <= limit, count, limit, message, tuple(texts[:50]))
