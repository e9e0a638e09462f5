"""CSV and Parquet files, local or on S3, in the formats in which vendors export bars.

Recognises MetaTrader 4 and 5, HistData, Dukascopy, Binance, CoinGecko and Yahoo, and reads other
tables by the names of their columns. What the files do not tell, such as a zone, is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.calendars import moment
from fx_assets.errors import SourceError
from fx_assets.sources.bars import Ask, Batch, Provenance, ReadFile, price_bars, rejected_rows
from fx_assets.sources.files.access import FileBytes, read_files
from fx_assets.sources.files.columns import of_one_symbol, without_unfinished
from fx_assets.sources.files.dates import TimeCells, Times, decide_day_first, times_of
from fx_assets.sources.files.formats import ROWS, Layout, layout_of
from fx_assets.sources.files.lines import NoTableError
from fx_assets.sources.files.names import NAMES, folded
from fx_assets.sources.files.opening import read_table
from fx_assets.sources.files.questions import Asked, FilesUnclear, Option
from fx_assets.sources.files.rows import Rows, cells_of, rows_of
from fx_assets.sources.files.together import together
from fx_assets.sources.wanted import feed_start
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import PRICE_COLUMNS
from fx_assets.specs.sources import FilesSource

MAJORS = {"EUR", "USD", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "PLN"}
MAJORS |= {"CZK", "HUF", "CNY", "CNH", "HKD", "SGD", "MXN", "ZAR"}
"""Currencies any two of which are worth between a thousandth and a thousand of each other."""
_FURTHEST = 1_000.0


def fetch(source: FilesSource, ask: Ask) -> Batch:
    """Every bar of the files; see :func:`fx_assets.sources.fetch_bars`.

    Raises
    ------
    SourceError
        A file cannot be found or read, or something must be said about the files that they do not
        tell themselves. The message names the file, the line and what stands there.
    """
    feed, now, home = ask.feed, ask.now, ask.settings.home
    files = list(read_files(source.path, home))
    asked = Asked()
    try:
        opened = open_files(files, source, asked)
        parts = read_rows(opened, feed, source, asked)
    except FilesUnclear:
        raise
    except SourceError as problem:
        asked.raise_if_any(problem)
        raise
    asked.raise_if_any()
    formats: set[str] = {layout.format for _, layout in opened.cells}
    empty = opened.empty
    if not sum(len(part.frame) + len(part.rejected) for part in parts):
        raise SourceError(
            f"None of the {len(files)} files of {source.path} has a row.",
            remedy="Export them again, or correct source.path.",
        )
    bars = together(parts, feed)
    frame = bars.frame
    start = moment(feed_start(feed))
    inside = frame["event_time"].to_numpy("datetime64[us]") > start
    outside = int((~inside).sum())
    frame = frame[inside].reset_index(drop=True)
    hashes = np.array([part.table.sha256 for part in parts], dtype=object)
    known, unfinished = price_bars(
        frame[["event_time", *PRICE_COLUMNS]].assign(
            event_time=frame["event_time"].dt.tz_localize("UTC")
        ),
        feed.market,
        source="files",
        payload=hashes[frame["file"].to_numpy(np.int64)],
        now=now,
    )
    rejected = rejected_rows(
        [record for part in parts for record in part.rejected] + bars.rejected,
        source="files",
        ingested_at=now,
    )
    counted = (
        (bars.repeated, "rows repeat another one"),
        (outside, f"bars are before the start of the feed, {feed.start}"),
        (unfinished, "bars close after now"),
        (len(empty), f"files have no rows: {', '.join(empty[:5])}"),
    )
    notes = [note for part in parts for note in part.notes]
    notes += [f"{count} {what}." for count, what in counted if count]
    provenance = _provenance(files, formats, source, frame, now, notes)
    return Batch(known, rejected, provenance, files=_read_files(files, home))


def _read_files(files: list[FileBytes], home: Path) -> tuple[ReadFile, ...]:
    """The files as they are stored, an archive once, named from the home on."""
    found: dict[str, ReadFile] = {}
    for file in files:
        path = Path(file.name.partition("!")[0])
        name = str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
        size = len(file.content) + (found[name].size if name in found else 0)
        found[name] = ReadFile(name, file.sha256, size)
    return tuple(found.values())


@dataclass(frozen=True)
class Opened:
    """Files whose columns are known.

    Parameters
    ----------
    cells
        The cells that tell the time, and what the columns mean, of each file with rows.
    day_first
        Whether dates with the year last begin with the day; ``None`` where none has it last.
    empty
        Names of the files without rows.
    """

    cells: list[tuple[TimeCells, Layout]]
    day_first: bool | None
    empty: list[str]

    def times(self, i: int, source: FilesSource) -> Times:
        """The local times of a file's rows."""
        cell, layout = self.cells[i]
        return times_of(cell, self.order(layout, source))

    def order(self, layout: Layout, source: FilesSource) -> bool | None:
        """Whether the dates of a layout begin with the day."""
        asked_for = layout.day_first is None or source.day_first is not None
        return self.day_first if asked_for else layout.day_first


def open_files(files: Iterable[FileBytes], source: FilesSource, asked: Asked) -> Opened:
    """Find the columns of files, and ask about those that are unclear.

    Raises
    ------
    SourceError
        A file cannot be read as a table with instants and closes.
    """
    names = NAMES | {folded(name) for name in source.columns.values()}
    cells: list[tuple[TimeCells, Layout]] = []
    empty: list[str] = []
    files, no_table = list(files), None
    for file in files:
        try:
            table = read_table(file, source, names, ROWS, asked)
        except NoTableError as error:
            table, no_table = None, no_table or error
        table, note = of_one_symbol(table, source, asked) if table else (None, "")
        table, unfinished = without_unfinished(table) if table else (None, "")
        layout = layout_of(table, source, asked) if table else None
        if table is None or layout is None or len(table) <= layout.skipped:
            empty.append(file.name)
        else:
            layout = replace(layout, note="; ".join(filter(None, [note, unfinished, layout.note])))
            cells.append((cells_of(table, layout, source), layout))
    if no_table is not None and not cells:
        raise no_table
    undecided = (cell for cell, layout in cells if layout.day_first is None)
    return Opened(cells, decide_day_first(undecided, source.day_first, asked), empty)


def read_rows(opened: Opened, feed: FeedSpec, source: FilesSource, asked: Asked) -> list[Rows]:
    """The bars of each file; provisional ones where something is asked.

    Raises
    ------
    SourceError
        A file has rows that are no bars of the feed.
    """
    parts = [
        rows_of(cell, layout, feed, source, opened.order(layout, source), asked)
        for cell, layout in opened.cells
    ]
    _ask_for_scale(parts, source, asked)
    return parts


def _ask_for_scale(parts: list[Rows], source: FilesSource, asked: Asked) -> None:
    """Ask where the price of two major currencies is one that they cannot have."""
    pair = source.instrument
    if len(pair) != 6 or not {pair[:3], pair[3:]} <= MAJORS or "source.decimal" in asked:
        return
    closes = [part.frame["close"] for part in parts if len(part.frame)]
    level = float(pd.concat(closes).median()) if closes else 1.0
    if 1 / _FURTHEST <= level <= _FURTHEST or not level > 0:
        return
    part = next(part for part in parts if len(part.frame))
    first = part.frame.iloc[0]
    scales = [10**n for n in range(2, 9) if 0.1 <= level / 10**n <= _FURTHEST]
    asked.ask(
        "source.price_scale",
        f"{part.where(int(first['row']))} has a close of {first['close']:g}, and the median is "
        f"{level:g}: {pair} cannot cost that.",
        "Set source.price_scale to what the vendor multiplies prices by, such as 1000 or 100000, "
        "or correct source.decimal.",
        tuple(
            Option({"source.price_scale": scale}, f"the median is {level / scale:g} then")
            for scale in reversed(scales)
        ),
    )


def _provenance(
    files: list[FileBytes],
    formats: set[str],
    source: FilesSource,
    frame: pd.DataFrame,
    now: datetime,
    notes: list[str],
) -> Provenance:
    hashes = sorted({file.sha256 for file in files})
    together_hash = hashlib.sha256("".join(hashes).encode()).hexdigest()
    newest = frame["event_time"].max()
    return Provenance(
        provider=f"files-{'-'.join(sorted(formats))}",
        url=source.path,
        sha256=hashes[0] if len(hashes) == 1 else together_hash,
        last_date=now.date() if pd.isna(newest) else newest.date(),
        fetched_at=now,
        notes=" ".join([f"{len(files)} files.", *notes]),
    )
