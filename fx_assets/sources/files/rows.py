"""From the cells of one file to bars by the UTC instants of their closes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fx_assets.errors import SourceError
from fx_assets.sources.files.clock import Body
from fx_assets.sources.files.closes import Closes, closes_of
from fx_assets.sources.files.dates import TimeCells, Times, time_cells, times_of
from fx_assets.sources.files.formats import Layout, time_text
from fx_assets.sources.files.names import PRICES
from fx_assets.sources.files.numbers import numbers_of, writing_of
from fx_assets.sources.files.questions import Asked
from fx_assets.sources.files.tables import Table
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import PRICE_COLUMNS
from fx_assets.specs.sources import FilesSource

_DAY_NUMBER = re.compile(r"[2-6]\d{4}(\.\d+)?")
FOOTER = 5
"""Most lines below the last row, such as a total or the name of the vendor."""
MOST_SHOWN = 10_000
"""Most broken rows of one file that are kept one by one."""
LOCAL_TIME = "local_time"
"""The check of rows whose local time comes twice; they are kept out and do not stop the feed."""


@dataclass(frozen=True)
class Rows:
    """The rows of one file.

    Parameters
    ----------
    frame
        ``event_time`` (UTC, ``datetime64[us]`` without zone), the price columns, ``row`` (position
        in ``table``), ``midnight`` (whether the file writes it at midnight) and ``clockless``.
    rejected
        Records of what cannot be a bar.
    notes
        What else a person should know.
    """

    table: Table
    frame: pd.DataFrame
    rejected: list[dict[str, str]]
    notes: tuple[str, ...]
    skipped: int

    def where(self, row: int) -> str:
        return self.table.where(row + self.skipped)


def cells_of(table: Table, layout: Layout, source: FilesSource) -> TimeCells:
    """The cells of a table that tell the time."""
    columns = layout.columns
    return time_cells(
        table, columns["time"], columns.get("date"), source.date_format, layout.skipped
    )


def rows_of(
    cells: TimeCells,
    layout: Layout,
    feed: FeedSpec,
    source: FilesSource,
    day_first: bool | None,
    asked: Asked,
) -> Rows:
    """The bars of one file; provisional ones where something is asked.

    Raises
    ------
    SourceError
        Most rows cannot be read, or the rows are not bars of the feed's frequency.
    """
    table = cells.table
    times = times_of(cells, day_first)
    prices, unread = _prices(table, layout, source, asked)
    names = list(prices)
    broken = np.isnat(times.local) | unread
    footer = _footer(table, layout, times, prices["close"], unread)
    body = np.ones(len(broken), dtype=bool)
    body[len(body) - footer :] = False
    empty = body & ~unread & np.isnan(np.column_stack([prices[n] for n in names])).all(axis=1)
    broken &= body & ~empty
    _refuse_unreadable(table, layout, times, unread, broken, int((body & ~empty).sum()))
    rejected = _broken_records(table, layout, times, broken)
    ragged, comments = _ragged_records(table)
    rows = np.flatnonzero(body & ~empty & ~broken)
    times = replace(
        times,
        local=times.local[rows],
        offset=times.offset[rows],
        clockless=times.clockless[rows],
    )
    closes = closes_of(Body(table, layout, times, rows), feed, source, asked)
    zone = source.timezone or str(layout.zone)
    rejected += _local_time_records(table, layout, times, rows, closes, zone)
    frame = pd.DataFrame(
        {
            "event_time": closes.utc,
            **{n: prices[n][rows] if n in prices else np.nan for n in PRICE_COLUMNS},
            "row": rows,
            "midnight": times.local == times.local.astype("datetime64[D]"),
            "clockless": times.clockless & (not times.dated),
        }
    )
    notes = [
        f"{table.file}: {count} {what}."
        for count, what in (
            (
                footer + comments + max(table.repeated - 1, 0),
                "lines below the rows or between them are no bars",
            ),
            (int(empty.sum()), "rows say that there is no price"),
            (int(closes.between.sum()), "points are not the last before a close"),
            (
                int(closes.unfinished.sum()) if closes.unfinished is not None else 0,
                "newest row stands in the middle of a bar, which was unfinished",
            ),
        )
        if count
    ]
    if table.cut_off:
        notes.append(
            f"{table.file}: the file ends in the middle of the last line, {table.cut_off[:80]!r}, "
            "which was left out."
        )
    if layout.note:
        notes.append(f"{table.file}: {layout.note}.")
    kept = frame[~np.isnat(closes.utc)].reset_index(drop=True)
    return Rows(table, kept, rejected + ragged, tuple(notes), layout.skipped)


def _prices(
    table: Table, layout: Layout, source: FilesSource, asked: Asked
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    present = {name: layout.columns[name] for name in PRICES if name in layout.columns}
    writing = writing_of(table, list(present.values()), source, layout.skipped, asked)
    prices: dict[str, np.ndarray] = {}
    unread = np.zeros(len(table) - layout.skipped, dtype=bool)
    for name, column in present.items():
        numbers = numbers_of(table, column, writing, layout.skipped)
        scaled = name in ("open", "high", "low", "close") and source.price_scale != 1
        prices[name] = numbers.values / source.price_scale if scaled else numbers.values
        unread |= numbers.unread
    return prices, unread


def _footer(
    table: Table, layout: Layout, times: Times, close: np.ndarray, unread: np.ndarray
) -> int:
    """How many of the last rows are totals or remarks: they have no date, and no price either."""
    size = len(close)
    count = 0
    while count < min(FOOTER, size):
        i = size - 1 - count
        text = time_text(table, layout, i)
        remark = not any(c.isdigit() for c in text) or np.isnan(close[i]) or unread[i]
        if not np.isnat(times.local[i]) or not remark:
            break
        count += 1
    return count


def _refuse_unreadable(
    table: Table,
    layout: Layout,
    times: Times,
    unread: np.ndarray,
    broken: np.ndarray,
    size: int,
) -> None:
    if 2 * broken.sum() <= size or not broken.any():
        return
    i = int(np.flatnonzero(broken)[0])
    where = table.where(i + layout.skipped)
    if np.isnat(times.local[i]):
        raise SourceError(
            f"{int(broken.sum())} of {size} rows have no date that can be read; "
            f"{where} has {time_text(table, layout, i)!r}.",
            remedy="Set source.date_format: excel."
            if _DAY_NUMBER.fullmatch(time_text(table, layout, i))
            else "Set source.date_format, such as '%d/%m/%y %H:%M', or source.day_first.",
        )
    text = _first_unread(table, layout, i)
    raise SourceError(
        f"{int(unread.sum())} of {size} rows have no number that can be read; {where} has {text}.",
        remedy="Export the file again: its cells hold NUL bytes (\\x00)."
        if "\\x00" in text
        else "Set source.decimal and source.thousands, or source.columns.",
    )


def _first_unread(table: Table, layout: Layout, row: int) -> str:
    cells = {n: layout.columns[n] for n in PRICES if n in layout.columns}
    shown = {c: table.cells[c][row + layout.skipped].as_py() for c in cells.values()}
    return ", ".join(f"{column} {value!r}" for column, value in shown.items())


def _broken_records(
    table: Table, layout: Layout, times: Times, broken: np.ndarray
) -> list[dict[str, str]]:
    records = []
    for i in np.flatnonzero(broken)[:MOST_SHOWN]:
        dated = not np.isnat(times.local[i])
        what = "a price cannot be read" if dated else "the date cannot be read"
        records.append(
            {
                "event_date": str(times.local[i].astype("datetime64[D]"))
                if dated
                else time_text(table, layout, i),
                "column": "row",
                "value": _first_unread(table, layout, i) if dated else time_text(table, layout, i),
                "check": "schema_and_types",
                "reason": f"{table.where(i + layout.skipped)}: {what}",
                "payload": table.sha256,
            }
        )
    return records


def _ragged_records(table: Table) -> tuple[list[dict[str, str]], int]:
    """Lines with too few or too many cells; those that begin without a digit are remarks."""
    records, remarks = [], 0
    for text in table.ragged[:MOST_SHOWN]:
        if not text.lstrip(" \"'")[:1].isdigit():
            remarks += 1
            continue
        records.append(
            {
                "event_date": text[:10],
                "column": "row",
                "value": text[:200],
                "check": "schema_and_types",
                "reason": f"{table.where_is(text)}: has another number of cells",
                "payload": table.sha256,
            }
        )
    return records, remarks


def _local_time_records(
    table: Table, layout: Layout, times: Times, rows: np.ndarray, closes: Closes, zone: str
) -> list[dict[str, str]]:
    kinds = (
        (
            closes.undecided,
            LOCAL_TIME,
            f"this time comes twice in {zone}, and the rows do not tell which is meant",
        ),
        (
            closes.skipped,
            "schema_and_types",
            f"there is no such time in {zone}, because clocks are set forward",
        ),
    )
    return [
        {
            "event_date": str(times.local[i].astype("datetime64[D]")),
            "column": "time",
            "value": time_text(table, layout, rows[i]),
            "check": check,
            "reason": f"{table.where(int(rows[i]) + layout.skipped)}: {what}",
            "payload": table.sha256,
        }
        for mask, check, what in kinds
        for i in np.flatnonzero(mask)[:MOST_SHOWN]
    ]
