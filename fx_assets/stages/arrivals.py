"""What an ingestion brought beside the newest bars: older ones, corrected ones, other files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.lake import Lake
from fx_assets.sources.bars import ReadFile
from fx_assets.sources.wanted import REVISABLE_BARS
from fx_assets.specs.bars import PRICE_COLUMNS
from fx_assets.tables import FILES

LISTED = 3


@dataclass(frozen=True)
class Arrivals:
    """The rows of a batch, counted against what was stored before."""

    read: int
    added: int
    revised: int
    older: int
    """Of the added, those that lie before the newest stored bars."""
    older_revised: int
    span: str
    """First and last of these older bars."""

    @property
    def unchanged(self) -> int:
        return self.read - self.added - self.revised

    @property
    def touches_history(self) -> bool:
        """Whether a bar came or changed that nobody would ask for again."""
        return bool(self.older or self.older_revised)

    @property
    def sentence(self) -> str:
        """What came into the history."""
        if not self.touches_history:
            return "No older bar was added or corrected."
        parts = [
            f"{count:,} older {'bar was' if count == 1 else 'bars were'} {what}"
            for count, what in ((self.older, "added"), (self.older_revised, "corrected"))
            if count
        ]
        return f"{' and '.join(parts)} ({self.span})."


def arrivals(
    stored: pd.DataFrame, taken: pd.DataFrame, accepted: pd.DataFrame, market: Calendar
) -> Arrivals:
    """Count accepted rows of those that were taken from a batch.

    Parameters
    ----------
    stored
        Bars as they were known before, sorted by event time.
    taken, accepted
        Bars of the batch, and those of them that were new or revised and passed the gate.
    """
    known = accepted["event_time"].isin(stored["event_time"])
    newest = stored["event_time"].iloc[-REVISABLE_BARS:].min() if len(stored) else pd.NaT
    old = accepted["event_time"] < newest
    times = accepted.loc[old, "event_time"]
    span = ""
    if len(times):
        ends = dict.fromkeys(
            market.label(time.to_pydatetime()) for time in (times.min(), times.max())
        )
        span = " to ".join(ends)
    return Arrivals(
        read=len(taken),
        added=int((~known).sum()),
        revised=int(known.sum()),
        older=int((old & ~known).sum()),
        older_revised=int((old & known).sum()),
        span=span,
    )


def note_files(
    lake: Lake, feed: str, files: tuple[ReadFile, ...], now: datetime, run_id: str
) -> str:
    """Keep which files were read; returns a sentence on those that are new, changed or gone."""
    if not files:
        return ""
    table = lake.read_or_empty(FILES.name, feed)
    before = {} if table.empty else dict(_newest(table))
    present = {file.name: file.sha256 for file in files}
    fresh = [file for file in files if before.get(file.name) != file.sha256]
    if fresh:
        rows = pd.DataFrame(
            [(f.name, f.sha256, f.size, pd.Timestamp(now)) for f in fresh],
            columns=list(FILES.names),
        )
        lake.append(FILES.name, feed, rows.astype(FILES.dtypes), run_id=run_id)
    if not before:
        return ""
    groups = (
        ("is new", [f.name for f in fresh if f.name not in before]),
        ("has changed", [f.name for f in fresh if f.name in before]),
        ("is gone; its bars stay", sorted(set(before) - set(present))),
    )
    return " ".join(_said(names, what) for what, names in groups if names)


def same_prices(left: pd.DataFrame, right: pd.DataFrame) -> bool:
    """Whether two sets of bars, sorted by event time, are the same rows."""
    columns = ["event_time", "available_at", "ingested_at", *PRICE_COLUMNS]
    return len(left) == len(right) and bool(
        left[columns].reset_index(drop=True).equals(right[columns].reset_index(drop=True))
    )


def _newest(table: pd.DataFrame) -> list[tuple[str, str]]:
    latest = table.sort_values("seen_at", kind="stable").drop_duplicates("name", keep="last")
    return list(zip(latest["name"], latest["sha256"], strict=True))


def _said(names: list[str], what: str) -> str:
    shown = ", ".join(names[:LISTED])
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    verb = what if len(names) == 1 else what.replace("is ", "are ").replace("has ", "have ")
    return f"{shown}{more} {verb}."
