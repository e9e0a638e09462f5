"""What the columns of a table can be where their names do not tell."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fx_assets.errors import SourceError
from fx_assets.importing import fred
from fx_assets.sources.files_access import FileBytes, read_files
from fx_assets.sources.files_formats import ALIASES, NAMES, ROWS, layout_of
from fx_assets.sources.files_inspect import with_settings
from fx_assets.sources.files_questions import Asked, Option, Question
from fx_assets.sources.files_tables import DELIMITERS, Table, as_utf8, folded, read_table
from fx_assets.specs.sources import FilesSource

_LOOK = 200
_ABOVE = 40
"""Lines above the first row among which a header is looked for."""
_A_DATE = re.compile(
    r"\s*(\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}|\d{1,2}[-. ][A-Za-z]{3,9}[-.,]? ?\d{4}"
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4}|(19|20)\d{6}|\d{10}(\d{3})?(\d{3})?)(\D.*)?"
)
_A_NUMBER = re.compile(r"\s*[-+]?[\d.,' ]*\d[\d.,' ]*([eE][-+]?\d+)?\s*")


def first_table(settings: Mapping[str, Any], home: Path) -> Table | None:
    """The first file with rows as a table, with the names of its header, known or not."""
    declared = {folded(str(v)) for k, v in settings.items() if ".columns." in k}
    names = NAMES | declared | {folded(series) for series in fred.SERIES}
    for file in read_files(settings["source.path"], home):
        try:
            table = read_table(file, settings.get("source.delimiter"), names, ROWS)
        except SourceError:
            return None
        if table is None:
            continue
        header = [] if table.header else _header_above(file, table)
        if header:
            more = names | {folded(name) for name in header}
            table = read_table(file, settings.get("source.delimiter"), more, ROWS) or table
        return table
    return None


def _header_above(file: FileBytes, table: Table) -> list[str]:
    """The names in a line above the first row, as many as there are columns."""
    width = len(table.cells.column_names)
    lines = as_utf8(file.content[:100_000]).decode("utf-8", "replace").splitlines()[:_ABOVE]
    first = next((i for i, line in enumerate(lines) if line == table.first_line), 0)
    for line in reversed(lines[:first]):
        for cut in DELIMITERS:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=cut), [])]
            named = [cell for cell in cells if cell and not _A_NUMBER.fullmatch(cell)]
            if len(cells) == width == len({folded(cell) for cell in named}) >= 2:
                return cells
    return []


def told_by_content(
    settings: dict[str, Any], table: Table | None
) -> tuple[list[str], list[Question]]:
    """Add the columns that only one thing can be; returns notes, and what must be asked."""
    if table is None or _is_known(settings, table):
        return _as_fred_says(settings), []
    notes: list[str] = []
    free = _free(settings, table)
    dates = [name for name in free if _share(table, name, _A_DATE) > 0.5]
    numbers = [name for name in free if name not in dates and _share(table, name, _A_NUMBER) > 0.5]
    questions = []
    if not _has(settings, table, "time", "date"):
        if len(dates) == 1:
            settings["source.columns.time"] = dates[0]
            notes.append(f"The column {dates[0]!r} has the dates.")
        else:
            questions.append(_question(table, "time", dates or free))
    if not _has(settings, table, "close"):
        if len(numbers) == 1:
            settings["source.columns.close"] = numbers[0]
            notes.append(f"The column {numbers[0]!r} is the only price: it is the close.")
        else:
            questions.append(_question(table, "close", numbers or free))
    notes += _as_fred_says(settings)
    return notes, questions


def _is_known(settings: Mapping[str, Any], table: Table) -> bool:
    """Whether names or a vendor's format tell the columns."""
    nameless = {"source.kind": "files", "source.instrument": "UNKNOWN", **settings}
    source = FilesSource.model_validate(with_settings({}, nameless)["source"])
    try:
        layout_of(table, source, Asked())
    except SourceError:
        return False
    return True


def _as_fred_says(settings: dict[str, Any]) -> list[str]:
    series = str(settings.get("source.columns.close", "")).upper()
    if series not in fred.SERIES:
        return []
    settings.setdefault("source.instrument", fred.SERIES[series])
    if settings.setdefault("calendar", fred.CALENDAR) == fred.CALENDAR:
        settings.setdefault("day_close", fred.DAY_CLOSE)
    return [fred.NOTE]


def _has(settings: Mapping[str, Any], table: Table, *fields: str) -> bool:
    """Whether one of our columns is known, by a setting, by a name, or by the vendor's format."""
    if any(f"source.columns.{field}" in settings for field in fields):
        return True
    if not table.header:
        return any(pattern.match(table.first_line) for pattern in ROWS) or (
            settings.get("source.format") not in (None, "auto", "generic")
        )
    aliases = {alias for field in fields for alias in ALIASES[field]}  # type: ignore[index]
    names = {re.sub(r"^.*[:.]", "", folded(name)) for name in table.cells.column_names}
    return bool(aliases & names)


def _free(settings: Mapping[str, Any], table: Table) -> list[str]:
    """Columns that nothing names."""
    taken = {str(value) for key, value in settings.items() if ".columns." in key}
    aliases = {alias for known in ALIASES.values() for alias in known} if table.header else set()
    names = table.cells.column_names
    return [n for n in names if n not in taken and folded(n) not in aliases | NAMES]


def _share(table: Table, name: str, pattern: re.Pattern[str]) -> float:
    texts = [str(v) for v in table.cells[name].slice(0, _LOOK).to_pylist() if v not in (None, "")]
    told = [text for text in texts if text.strip() not in (".", "-", "NA", "N/A", "nan")]
    return sum(bool(pattern.fullmatch(text)) for text in told) / max(1, len(told))


def _question(table: Table, field: str, names: list[str]) -> Question:
    shown = ", ".join(map(repr, table.cells.column_names))
    what = "the time of a row" if field == "time" else "the close"
    more = "" if field == "time" else "; --column open=NAME, high, low and volume likewise"
    return Question(
        f"source.columns.{field}",
        f"{table.file} does not say which column is {what}; it has {shown}.",
        f"Say which column is {what}{more}.",
        tuple(Option({f"source.columns.{field}": name}) for name in names[:8]),
    )


def find_ticks(settings: dict[str, Any], table: Table | None) -> None:
    """The column that ``--volume ticks`` means; where the volumes are ticks anyhow, none."""
    if settings.get("source.columns.volume") != "ticks" or table is None:
        return
    names = table.cells.column_names
    if "ticks" not in names:
        ticks = [name for name in names if "tick" in folded(name)]
        del settings["source.columns.volume"]
        if ticks:
            settings["source.columns.volume"] = ticks[0]
