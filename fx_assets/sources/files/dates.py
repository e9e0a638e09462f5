"""From the texts and numbers of export files to local times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fx_assets.errors import SourceError
from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.tables import Table, plain, texts
from fx_assets.sources.files.texts import (
    MONTHS,
    NAT,
    NO_OFFSET,
    YEAR_LAST,
    clock_of_text,
    day_of_text,
)

_PARTS = r"^\s*(?P<day>.*?)[ T,]+(?P<clock>\d{1,2}:\d{2}.*|\d{6}(?:\d{3})?|\d{1,2}-?[AaPp][Mm])\s*$"
_COMPACT = r"^\s*(?P<day>(?:19|20)\d{6})(?P<clock>\d{4}|\d{6})\s*$"
_EPOCH = r"^\d{9,19}(\.\d*)?$"
_UNITS = ((11, 1_000_000), (14, 1_000), (17, 1))
"""Digits of an epoch up to which it counts seconds, milliseconds, microseconds: in microseconds."""


EPOCHS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0}
"""Units of epochs in microseconds; those below one are divided."""
EXCEL = "excel"


def _no_codes() -> np.ndarray:
    return np.array([], dtype=np.int64)


@dataclass(frozen=True)
class Times:
    """What the cells of one table say about time.

    Parameters
    ----------
    local
        Local times, ``datetime64[us]``, NaT where a cell cannot be read.
    offset
        Their distance from UTC where the cell states it, else NaT.
    clockless
        Which cells have a date only.
    epochs
        Whether the cells count from 1970, so that each is an instant.
    """

    local: np.ndarray
    offset: np.ndarray
    clockless: np.ndarray
    epochs: bool = False

    @property
    def dated(self) -> bool:
        """Whether no cell has a time of day."""
        return bool(self.clockless.all())

    @cached_property
    def at_midnight(self) -> bool:
        """Whether every time is a midnight."""
        known = self.local[~np.isnat(self.local)]
        return bool((known == known.astype("datetime64[D]")).all())


@dataclass(frozen=True)
class TimeCells:
    """The cells of one table that tell the time, split into days and times of day.

    ``ready`` are the times where nothing is left to decide; otherwise ``days`` and ``clocks`` are
    the different texts, and the codes say which each row has (-1: none).
    """

    table: Table
    ready: Times | None = None
    days: tuple[str, ...] = ()
    day_codes: np.ndarray = field(default_factory=_no_codes)
    clocks: tuple[str, ...] = ()
    clock_codes: np.ndarray = field(default_factory=_no_codes)

    @cached_property
    def either_way(self) -> list[tuple[int, int, str]]:
        """First number, second number and text of each day with the year last."""
        found = [(YEAR_LAST.fullmatch(text.strip()), text) for text in self.days]
        return [(int(match[1]), int(match[3]), text) for match, text in found if match]

    def example(self, text: str) -> str:
        """Where a day's text stands, as ``file line n``."""
        rows = np.flatnonzero(self.day_codes == self.days.index(text))
        return self.table.where(int(rows[0])) if len(rows) else self.table.file


def time_cells(
    table: Table, time: str, day: str | None, date_format: str | None, skipped: int
) -> TimeCells:
    """The cells that tell the time.

    Parameters
    ----------
    time, day
        The column of instants, or of times of day where there is a column of days.
    date_format
        ``s``, ``ms``, ``us``, ``ns``, ``excel``, a ``strptime`` format, or ``None`` to find out.
    skipped
        First rows that belong to the header.
    """
    column = plain(table.cells[time]).slice(skipped)
    days = plain(table.cells[day]).slice(skipped) if day else None
    if days is None and not texts(table.cells[time]):
        return TimeCells(table, ready=_typed(column, date_format))
    column = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    if days is not None:
        days = pc.utf8_trim_whitespace(pc.cast(days, pa.string()))
        days = pc.replace_substring_regex(days, r"[ T]00?:00(:00(\.0+)?)?$", "")
    if date_format == EXCEL:
        return TimeCells(table, ready=_excel(_numbers(column)))
    if date_format in EPOCHS:
        return TimeCells(table, ready=_epochs(_numbers(column), date_format))
    if date_format:
        whole = column if days is None else pc.binary_join_element_wise(days, column, " ")
        return TimeCells(table, ready=_formatted(whole, date_format))
    if days is not None:
        return _coded(table, days, column)
    digits = pc.match_substring_regex(column, _EPOCH)
    compact = pc.match_substring_regex(column, _COMPACT)
    if _mostly(pc.and_(digits, pc.invert(compact))):
        return TimeCells(table, ready=_epochs(_numbers(column), None))
    pattern = _COMPACT if _mostly(compact) else _PARTS
    parts = pc.extract_regex(column, pattern)
    return _coded(
        table,
        pc.if_else(pc.is_valid(parts), pc.struct_field(parts, "day"), column),
        pc.struct_field(parts, "clock"),
    )


def decide_day_first(
    cells: Iterable[TimeCells], declared: bool | None, asked: Asked
) -> bool | None:
    """Whether days with the year last begin with the day, by the dates of all files together.

    Where no date tells, it is asked.

    Raises
    ------
    SourceError
        Two dates tell different stories.
    """
    if declared is not None:
        return declared
    day_first: tuple[TimeCells, str] | None = None
    month_first: tuple[TimeCells, str] | None = None
    unclear: tuple[TimeCells, str] | None = None
    for cell in cells:
        for first, second, text in cell.either_way:
            if first > 12 >= second:
                day_first = day_first or (cell, text)
            elif second > 12 >= first:
                month_first = month_first or (cell, text)
            elif first != second and first <= 12 and second <= 12:
                unclear = unclear or (cell, text)
    if day_first and month_first:
        raise SourceError(
            f"{_at(day_first)} begins with the day, and {_at(month_first)} with the month.",
            remedy="Give each kind of files a feed of its own, or export one of them again.",
        )
    if unclear and not day_first and not month_first:
        first, second = (int(n) for n in re.findall(r"\d+", unclear[1])[:2])
        year = re.findall(r"\d+", unclear[1])[2]
        near = {order: _usual_step(unclear[0], order) for order in (True, False)}
        likely = near[True] <= near[False]
        options = (
            Option({"source.day_first": True}, _spoken(second, first, year)),
            Option({"source.day_first": False}, _spoken(first, second, year)),
        )
        asked.ask(
            "source.day_first",
            f"{_at(unclear)} can be {_spoken(second, first, year)} or "
            f"{_spoken(first, second, year)}, and no date of the files tells which.",
            "Set source.day_first: true or false.",
            options if likely else options[::-1],
        )
        return likely
    return bool(day_first) if day_first or month_first else None


def _usual_step(cells: TimeCells, day_first: bool) -> float:
    """The mean distance of rows from the next, in days, if dates were read this way."""
    local = times_of(cells, day_first).local
    steps = np.abs(np.diff(local[~np.isnat(local)])) / np.timedelta64(1, "D")
    return float(steps.mean()) if len(steps) else 0.0


def times_of(cells: TimeCells, day_first: bool | None) -> Times:
    """The local times of a table's rows."""
    if cells.ready is not None:
        return cells.ready
    days = np.array([day_of_text(text, day_first) for text in cells.days] + [NAT], "datetime64[us]")
    read = [clock_of_text(text) for text in cells.clocks]
    clocks = np.array([clock for clock, _ in read] + [0], dtype="timedelta64[us]")
    offsets = np.array([offset for _, offset in read] + [NO_OFFSET], dtype="timedelta64[us]")
    return Times(
        days[cells.day_codes] + clocks[cells.clock_codes],
        offsets[cells.clock_codes],
        cells.clock_codes < 0,
    )


_FORMS_OF = 200


def form_of(column: pa.ChunkedArray) -> str:
    """What the cells of a column say about time, by the first of them.

    ``epoch``, ``stated`` (day, time and offset), ``moment`` (day and time), ``day``, ``clock`` or
    ``other``.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        return "stated" if kind.tz else "moment"
    if pa.types.is_date(kind):
        return "day"
    if not texts(column):
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return "other"
        values = plain(column.slice(0, _FORMS_OF)).cast(pa.float64(), safe=False)
        low, high = pc.min(values).as_py(), pc.max(values).as_py()
        return "epoch" if low is not None and low > 1e8 and high < 1e20 else "other"
    found = [_form(text.strip()) for text in plain(column.slice(0, _FORMS_OF)).to_pylist() if text]
    usual = max(set(found), key=found.count, default="other")
    return usual if found.count(usual) * 2 > len(found) else "other"


def _form(text: str) -> str:
    if re.fullmatch(_EPOCH, text) and not re.fullmatch(_COMPACT, text):
        return "epoch"
    if any(not np.isnat(day_of_text(text, first)) for first in (True, False)):
        return "day"
    found = re.fullmatch(_COMPACT, text) or re.fullmatch(_PARTS, text)
    if found and any(not np.isnat(day_of_text(found["day"], first)) for first in (True, False)):
        clock, offset = clock_of_text(found["clock"])
        if not np.isnat(clock):
            return "moment" if np.isnat(offset) else "stated"
    return "clock" if ":" in text and not np.isnat(clock_of_text(text)[0]) else "other"


def _mostly(flags: pa.Array) -> bool:
    return 2 * (pc.sum(flags.cast(pa.int64())).as_py() or 0) > len(flags)


def _at(example: tuple[TimeCells, str]) -> str:
    cell, text = example
    return f"{text} ({cell.example(text)})"


def _spoken(month: int, day: int, year: str) -> str:
    return f"{day} {MONTHS[month - 1].title()} {year}"


def _coded(table: Table, days: pa.Array, clocks: pa.Array) -> TimeCells:
    day_texts, day_codes = _codes(days)
    clock_texts, clock_codes = _codes(clocks)
    return TimeCells(table, None, day_texts, day_codes, clock_texts, clock_codes)


def _codes(column: pa.Array) -> tuple[tuple[str, ...], np.ndarray]:
    if isinstance(column, pa.ChunkedArray):
        column = plain(column)
    encoded = column.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return tuple(encoded.dictionary.to_pylist()), codes.astype(np.int64)


def _typed(column: pa.Array, date_format: str | None) -> Times:
    """Times of a Parquet file."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        local = column.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)
        offset = np.full(len(local), np.timedelta64(0, "us") if kind.tz else NO_OFFSET)
        return Times(local.astype("datetime64[us]"), offset, _flags(local, False))
    if pa.types.is_date(kind):
        local = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
        return Times(
            local.astype("datetime64[us]"), np.full(len(local), NO_OFFSET), _flags(local, True)
        )
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if date_format == EXCEL:
        return _excel(pa.array(values, from_pandas=True))
    unit = date_format if date_format in EPOCHS else None
    if pa.types.is_integer(kind):
        return _epochs(column.cast(pa.int64()), unit)
    return _epochs(pa.array(values, from_pandas=True), unit)


def _excel(column: pa.Array) -> Times:
    """Days since 30 December 1899, as spreadsheets store dates; a fraction is a time of day."""
    values = np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    known = ~np.isnan(values)
    local = np.full(len(values), NAT)
    seconds = np.rint(values[known] * 86_400).astype("timedelta64[s]")
    local[known] = np.datetime64("1899-12-30", "us") + seconds
    dated = bool((values[known] % 1 == 0).all())
    return Times(local, np.full(len(local), NO_OFFSET), _flags(local, dated))


def _numbers(column: pa.Array) -> pa.Array:
    clean = pc.if_else(pc.match_substring_regex(column, r"^\d+(\.\d*)?$"), column, None)
    if pc.any(pc.match_substring(pc.fill_null(clean, ""), ".")).as_py():
        return pc.cast(clean, pa.float64())
    return pc.cast(clean, pa.int64())


def _epochs(column: pa.Array, unit: str | None) -> Times:
    """Epochs by the unit that is declared, or by their magnitude: 1e9 is 2001 in seconds."""
    unread = pc.is_null(column).to_numpy(zero_copy_only=False)
    whole = pa.types.is_integer(column.type)
    values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    if unit:
        scale = np.full(len(values), EPOCHS[unit])
    else:
        scale = np.zeros(len(values), dtype=np.int64)
        for digits, factor in reversed(_UNITS):
            scale[values < 10.0**digits] = factor
    nano = scale == 0
    if whole:
        moments = np.where(nano, values // 1_000, values * np.maximum(scale, 1))
    else:
        moments = np.rint(np.where(nano, values / 1_000, values * scale)).astype(np.int64)
    local = moments.astype("datetime64[us]")
    local[unread] = NAT
    return Times(local, np.full(len(local), np.timedelta64(0, "us")), _flags(local, False), True)


def _formatted(column: pa.Array, date_format: str) -> Times:
    different, codes = _codes(column)
    try:
        read = pd.to_datetime(
            pd.Series([*different, None], dtype=object),
            format=date_format,
            errors="coerce",
            utc="%z" in date_format,
        )
    except ValueError as error:
        raise SourceError(
            f"source.date_format {date_format!r} cannot be used: {error}.",
            remedy="Write source.date_format as strptime does, such as %d/%m/%Y %H:%M, or as s, "
            "ms, us, ns for epochs, or excel for day numbers.",
        ) from error
    aware = "%z" in date_format
    naive = read.dt.tz_localize(None) if aware else read
    local = naive.to_numpy("datetime64[us]")[codes]
    offset = np.full(len(local), np.timedelta64(0, "us") if aware else NO_OFFSET)
    return Times(local, offset, _flags(local, not re.search(r"%[HIcXT]", date_format)))


def _flags(like: np.ndarray, value: bool) -> np.ndarray:
    return np.full(len(like), value)
