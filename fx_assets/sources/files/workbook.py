"""Sheets of Excel workbooks, read as lines of cells."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

from fx_assets.errors import SourceError
from fx_assets.sources.files.access import FileBytes
from fx_assets.sources.files.lines import from_lines
from fx_assets.sources.files.names import folded
from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.tables import Table
from fx_assets.specs.sources import FilesSource

_DAMAGED = (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, TypeError, SyntaxError)
_WHOLE = 1e15


def from_workbook(
    file: FileBytes,
    source: FilesSource,
    names: frozenset[str],
    layouts: Sequence[re.Pattern[str]],
    asked: Asked,
) -> Table | None:
    """The cells of the sheet that has prices; where several have, it is asked which.

    Raises
    ------
    SourceError
        The library for workbooks is missing, the workbook is damaged, or no sheet has prices.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise SourceError(
            f"{file.name} is an Excel workbook, and openpyxl, which reads those, is missing.",
            remedy="Install it with: pip install 'fx-assets[excel]'; or save the sheet as CSV.",
        ) from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(file.content), read_only=True, data_only=True)
        sheets = {sheet.title: _text(sheet) for sheet in book.worksheets}
    except _DAMAGED as error:
        raise SourceError(
            f"{file.name} is not a readable Excel workbook: {' '.join(str(error).split())[:200]}.",
            remedy="Save it again as .xlsx, or as CSV.",
        ) from error
    titles = [title for title, text in sheets.items() if text.strip()]
    if source.sheet is not None and source.sheet not in sheets:
        raise SourceError(
            f"{file.name} has no sheet {source.sheet!r}; it has {', '.join(map(repr, sheets))}.",
            remedy="Correct source.sheet.",
        )
    own = [title for title in titles if folded(title) == source.instrument.lower()]
    wanted = [source.sheet] if source.sheet is not None else own or titles
    tables, refused = {}, []
    for title in wanted:
        inside = FileBytes(f"{file.name}!{title}", b"", file.sha256)
        try:
            table = from_lines(inside, sheets[title], "\t", names, layouts)
        except SourceError as error:
            refused.append(error)
            continue
        if table is not None:
            tables[title] = table
    if not tables and refused:
        raise refused[0]
    if len(tables) > 1:
        asked.ask(
            "source.sheet",
            f"{file.name} has several sheets with prices: {', '.join(tables)}.",
            f"Say which: source.sheet: {next(iter(tables))}.",
            tuple(Option({"source.sheet": title}) for title in tables),
        )
    return next(iter(tables.values()), None)


def _text(sheet: Any) -> bytes:
    """A sheet as lines of cells between tabs; blank rows stay, so that lines are its rows."""
    lines = []
    for row in sheet.iter_rows():
        cells = [_cell(cell.value, str(getattr(cell, "number_format", ""))) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        lines.append(cells)
    width = max(map(len, lines), default=0)
    rows = ["\t".join(row + [""] * (width - len(row))) if row else "" for row in lines]
    return "\n".join(rows).encode()


def _cell(value: Any, number_format: str) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        timed = value.time() != time() or "h" in number_format.lower()
        return value.isoformat(" ") if timed else value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    return re.sub(r'[\t\r\n"]+', " ", str(value))
