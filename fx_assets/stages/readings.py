"""Which reading of a feed is in force, and what has to happen before another one is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.errors import GateError
from fx_assets.lake import Lake
from fx_assets.lake.readings import reading_in_force
from fx_assets.specs import FeedSpec
from fx_assets.tables import PRICES, RAW_PRICES, READING_COLUMN, READINGS

UNKNOWN = "unknown"
"""The reading of bars that an earlier release stored and that contradict what is declared."""


@dataclass(frozen=True)
class Change:
    """What has to be read anew, and why."""

    new_reading: bool
    """Whether bars mean something else; else the feed begins earlier."""
    sentence: str


def pending_change(lake: Lake, spec: FeedSpec) -> Change | None:
    """What differs between the feed as it is declared and as its stored bars were read.

    ``None`` where nothing does, and before anything is stored.
    """
    readings = lake.read_or_empty(READINGS.name, spec.name)
    if readings.empty:
        raw = lake.read_or_empty(RAW_PRICES.name, spec.name)
        if raw.empty:
            return None
        readings = pd.DataFrame([_first(raw, spec)])
    newest = readings.sort_values("since", kind="stable").iloc[-1]
    if newest[READING_COLUMN] != spec.reading:
        return Change(True, _difference(json.loads(newest["facts"]), spec))
    before = date.fromisoformat(newest["start"])
    if spec.start < before:
        return Change(False, f"start: {before} -> {spec.start}")
    return None


def record_first(lake: Lake, spec: FeedSpec, run_id: str) -> None:
    """Note by which reading the bars were made that are there without a note of it."""
    if lake.exists(READINGS.name, spec.name):
        return
    raw = lake.read_or_empty(RAW_PRICES.name, spec.name)
    if len(raw):
        lake.append(READINGS.name, spec.name, _table([_first(raw, spec)]), run_id=run_id)


def put_in_force(lake: Lake, spec: FeedSpec, now: datetime, run_id: str) -> None:
    """From now on the declared reading's bars count; nothing where they do already."""
    readings = lake.read_or_empty(READINGS.name, spec.name)
    since = pd.Timestamp(now)
    if len(readings):
        newest = readings.sort_values("since", kind="stable").iloc[-1]
        start = date.fromisoformat(newest["start"])
        if newest[READING_COLUMN] == spec.reading and start <= spec.start:
            return
        # Also under a clock that stands still the newest is the last.
        since = max(since, newest["since"] + pd.Timedelta(1, "us"))
    row = _row(spec.reading, since, spec.start, spec.reading_facts)
    lake.append(READINGS.name, spec.name, _table([row]), run_id=run_id)


def require_reading(lake: Lake, spec: FeedSpec) -> None:
    """Refuse to go on while the stored bars are not those of the declared reading.

    Raises
    ------
    GateError
        The feed has to be read anew, or its prices have to be made anew.
    """
    change = pending_change(lake, spec)
    remedy = f"Run: fx-assets reload {spec.name}. Or declare the feed as it was."
    if change is not None and change.new_reading:
        raise GateError(
            f"{spec.name} has been declared anew ({change.sentence}), and its bars are still those "
            "of the reading before; nothing is made from them meanwhile.",
            remedy=remedy,
        )
    readings = lake.read_or_empty(READINGS.name, spec.name)
    if len(readings) < 2 or not lake.exists(PRICES.name, spec.name):
        return
    rows = lake.bars_of(spec.name, reading_in_force(readings))
    ingested = set(rows["ingested_at"])
    prices = lake.read(PRICES.name, spec.name, columns=["ingested_at"])
    if not set(prices["ingested_at"]) <= ingested:
        raise GateError(
            f"The prices of {spec.name} are still those of the reading before: a run was "
            "interrupted.",
            remedy=remedy,
        )


def _first(raw: pd.DataFrame, spec: FeedSpec) -> dict[str, object]:
    """The reading of bars that no note speaks of: what they say, else what is declared."""
    oldest = raw.sort_values("ingested_at", kind="stable")
    since = oldest["ingested_at"].iloc[0]
    named = oldest[READING_COLUMN].dropna() if READING_COLUMN in raw else pd.Series(dtype=object)
    if len(named) and named.iloc[0] != spec.reading:
        return _row(str(named.iloc[0]), since, spec.start, {})
    if not len(named) and _contradict(raw, spec):
        return _row(UNKNOWN, since, spec.start, {})
    return _row(spec.reading, since, spec.start, spec.reading_facts)


def _contradict(raw: pd.DataFrame, spec: FeedSpec) -> bool:
    """Whether stored bars cannot have been made by what is declared."""
    kinds = {source.kind for source in (spec.source, *spec.failover)}
    if not set(raw["source"]) & kinds:
        return True
    return _share_possible(pd.DatetimeIndex(raw["event_time"]), spec.market) < 0.5


def _share_possible(times: pd.DatetimeIndex, market: Calendar) -> float:
    instants = times.tz_convert(None).to_numpy("datetime64[us]")
    return float(np.mean(market.possible(instants)))


def _difference(before: dict[str, str], spec: FeedSpec) -> str:
    after = spec.reading_facts
    if not before:
        return "its stored bars do not fit what is declared"
    names = [n for n in dict.fromkeys([*before, *after]) if before.get(n) != after.get(n)]
    return "; ".join(f"{n}: {before.get(n, 'unset')} -> {after.get(n, 'unset')}" for n in names)


def _row(
    reading: str, since: pd.Timestamp, start: date, facts: dict[str, str]
) -> dict[str, object]:
    return {
        READING_COLUMN: reading,
        "since": since,
        "start": start.isoformat(),
        "facts": json.dumps(facts, ensure_ascii=False),
    }


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(READINGS.names)).astype(READINGS.dtypes)
