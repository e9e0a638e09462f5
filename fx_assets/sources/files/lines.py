"""Lines of cells: where the rows begin, what separates the cells, how the text is encoded."""

from __future__ import annotations

import codecs
import csv
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from fx_assets.errors import SourceError
from fx_assets.sources.files.access import FileBytes
from fx_assets.sources.files.names import is_header
from fx_assets.sources.files.tables import Table

csv.field_size_limit(sys.maxsize)


class NoTableError(SourceError):
    """A text that is no table: a report, terms of use, a note."""


DELIMITERS = ("\t", ";", "|", ",")
PREAMBLE = 1_000
"""Most lines above the header, such as titles, terms of use, or the address of the vendor."""
_ENOUGH, _LOOKED_AT = 10, 2_000
"""Rows from which, and as many of the last as, show how numbers are written."""
_HEAD_BYTES = 2_000_000
_PADDING = b"\0\x1a"
"""What programs that died, and DOS, leave behind the last line."""
_FIRST_CELL = re.compile(r"\s*\"?\d")
_A_PRICE = re.compile(r"\s*[-+]?[\d.,' ]*\d[\d.,' ]*([eE][-+]?\d+)?\s*")
_A_DATE = re.compile(
    r"\s*(\d{4}[-./]?\d{2}[-./]?\d{2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}|\d{9,19}\s*$"
    r"|\d{1,2}[-. ][A-Za-z]{3,9}[-. ,]+\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4})"
)
_NO_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def as_utf8(content: bytes) -> bytes:
    """Text as UTF-8 without a mark, whether it was UTF-8, UTF-16 or Latin-1."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace").encode()
    head = content[:400]
    if head.count(b"\0") > len(head) // 3:
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
        return content.decode(encoding, "replace").encode()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252" if not _NO_CP1252.search(content) else "latin-1").encode()
    return content


def from_lines(
    file: FileBytes,
    text: bytes,
    delimiter: str | None,
    names: frozenset[str],
    layouts: Sequence[re.Pattern[str]],
) -> Table | None:
    """The cells of lines of text, or ``None`` where there are no rows.

    Parameters
    ----------
    delimiter
        What separates cells; unset means the one that cuts the lines most evenly.
    names
        Names of columns, folded, that make a line a header.
    layouts
        What the beginning of a row looks like in formats without header.

    Raises
    ------
    SourceError
        Neither a header nor a row of prices was found.
    """
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(_PADDING)
    head = _head(text, PREAMBLE)
    cut = delimiter or _delimiter([line for _, _, line in head])
    begin = _beginning(head, cut, names, layouts)
    if begin is None:
        if not head:
            return None
        number, _, line = head[0]
        raise NoTableError(
            f"{file.name} has neither a header nor a row of prices in its first {len(head)} lines; "
            f"line {number} is {line[:80]!r}.",
            remedy="Set source.columns, such as {time: Stamp, close: Rate}, and source.delimiter.",
        )
    place, is_header = begin
    number, offset, line = head[place]
    cells = _split(line, cut)
    if is_header:
        start, lines_before = offset + len(line.encode()) + 1, number
        columns = _named(cells)
    else:
        start, lines_before = offset, number - 1
        columns = [str(i + 1) for i in range(len(cells))]
    body = text[start:]
    if is_header:
        columns = _widened(columns, body, cut)
    if not body.strip():
        return None
    cells_table, ragged = _cells(file, body, columns, cut)
    if is_header:
        cells_table, again = _without(cells_table, [cell.strip() for cell in cells])
        ragged += (line,) * min(again, 1)
    cells_table, ragged, cut_off = _without_half_a_line(text, cells_table, ragged)
    return Table(
        *(file.name, file.sha256, cells_table, is_header, line, ragged, text, lines_before + 1),
        cut_off=cut_off,
        repeated=again if is_header else 0,
    )


def _without(cells: pa.Table, header: list[str]) -> tuple[pa.Table, int]:
    """Rows without those that are the header again, as where files were put together."""
    same = pa.array(np.ones(cells.num_rows, dtype=bool))
    for column, name in list(zip(cells.columns, header, strict=False))[:2]:
        same = pc.and_(same, pc.equal(pc.utf8_trim_whitespace(column), name))
    count = pc.sum(same.cast(pa.int64())).as_py() or 0
    return (cells.filter(pc.invert(same)), count) if count and len(header) > 1 else (cells, 0)


def _without_half_a_line(
    text: bytes, cells: pa.Table, ragged: tuple[str, ...]
) -> tuple[pa.Table, tuple[str, ...], str]:
    """Rows without the last one where the file ends in the middle of it.

    It ends without a line feed, and has fewer cells than the others, or fewer decimals than all of
    them have.
    """
    if text.endswith(b"\n") or cells.num_rows < _ENOUGH:
        return cells, ragged, ""
    last = text.rsplit(b"\n", 1)[-1].decode("utf-8", "replace")
    if ragged and ragged[-1] == last:
        whole = last[:1].isdigit() and last.count('"') % 2 == 0
        return (cells, ragged[:-1], last) if whole else (cells, ragged, "")
    column = cells.column(cells.num_columns - 1)
    decimals = [
        len(value.rpartition(mark)[2]) if mark in value else 0
        for value in column.slice(max(0, cells.num_rows - _LOOKED_AT)).to_pylist()
        for mark in ("," if value.count(",") == 1 and "." not in value else ".",)
    ]
    usual = set(decimals[:-1])
    if len(usual) == 1 and decimals[-1] < usual.pop():
        return cells.slice(0, cells.num_rows - 1), ragged, last
    return cells, ragged, ""


def _beginning(
    head: list[tuple[int, int, str]],
    cut: str,
    names: frozenset[str],
    layouts: Sequence[re.Pattern[str]],
) -> tuple[int, bool] | None:
    """Where the header or the first row stands among the first lines, and which of them it is.

    A line of texts right above the first row, of as many cells, is a header whatever it says. A
    line that looks like a row, above a header of another width, is a remark.
    """
    row: tuple[int, int] | None = None
    for place, (_, _, line) in enumerate(head):
        cells = _split(line, cut)
        if is_header(cells, names):
            return (place, True) if row is None or row[1] != len(cells) else (row[0], False)
        if row is None and _is_row(cells, line, layouts):
            if place and _is_above(_split(head[place - 1][2], cut), cells):
                return place - 1, True
            row = (place, len(cells))
    return (row[0], False) if row else None


def _is_above(cells: list[str], row: list[str]) -> bool:
    """Whether cells are the header of a row: as many different texts, none of them a number."""
    given = [cell.strip() for cell in cells]
    while given and not given[-1]:
        given.pop()
    wide = len(given) >= 2 and len(given) in (len(row), len(row) - 1)
    named = all(given[1:]) and not any(
        _A_PRICE.fullmatch(cell) or _A_DATE.match(cell) for cell in given
    )
    return wide and named and len(set(given)) == len(given)


def _split(line: str, cut: str) -> list[str]:
    return next(csv.reader([line], delimiter=cut))


def _head(text: bytes, most: int) -> list[tuple[int, int, str]]:
    """Number, offset and text of the first lines that are not blank."""
    found, offset = [], 0
    for number, raw in enumerate(text[:_HEAD_BYTES].split(b"\n"), 1):
        if raw.strip():
            found.append((number, offset, raw.decode("utf-8", "replace")))
        if len(found) == most:
            break
        offset += len(raw) + 1
    return found


def _delimiter(lines: list[str]) -> str:
    """The delimiter by which the most lines on end have the same number of cells."""

    def evenness(cut: str) -> tuple[int, int]:
        longest = run = before = 0
        for line in lines:
            width = len(_split(line, cut))
            run = run + 1 if width == before else 1
            before = width
            longest = max(longest, run if width > 1 else 0)
        return (longest, -DELIMITERS.index(cut)) if longest else (0, 0)

    return max(DELIMITERS, key=evenness)


def _is_row(cells: list[str], line: str, layouts: Sequence[re.Pattern[str]]) -> bool:
    if any(layout.match(line) for layout in layouts):
        return True
    for place, cell in enumerate(cells[:3]):
        if _A_DATE.match(cell):
            return any(_A_PRICE.fullmatch(price) for price in cells[place + 1 :])
    prices = [cell for cell in cells[1:] if _A_PRICE.fullmatch(cell)]
    return bool(_FIRST_CELL.match(line)) and bool(prices)


def _named(cells: list[str]) -> list[str]:
    """The header's names; an unnamed column is called by its position, a repeated name as well."""
    names: list[str] = []
    for i, cell in enumerate(cells):
        name = cell.strip()
        names.append(name if name and name not in names else f"{name or ''}#{i + 1}")
    return names


def _widened(columns: list[str], body: bytes, cut: str) -> list[str]:
    """Rows may have a trailing delimiter that the header lacks."""
    head = _head(body, 1)
    width = len(_split(head[0][2], cut)) if head else 0
    last = head[0][2].rstrip().endswith(cut) if head else False
    return [*columns, f"#{width}"] if last and width == len(columns) + 1 else columns


def _cells(
    file: FileBytes, body: bytes, columns: list[str], cut: str
) -> tuple[pa.Table, tuple[str, ...]]:
    ragged: list[str] = []

    def keep(row: Any) -> str:
        if row.text.strip():
            ragged.append(row.text)
        return "skip"

    try:
        cells = pa.csv.read_csv(
            pa.BufferReader(body),
            read_options=pa.csv.ReadOptions(
                column_names=columns, use_threads=False, block_size=1 << 24
            ),
            parse_options=pa.csv.ParseOptions(delimiter=cut, invalid_row_handler=keep),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{file.name} is not a table of cells: {error}.",
            remedy="Set source.delimiter, or export the file again.",
        ) from error
    blank = pa.array(np.ones(cells.num_rows, dtype=bool))
    first = cells.column(0)
    if pc.any(pc.equal(first, "")).as_py():
        for column in cells.columns:
            blank = pc.and_(blank, pc.equal(column, ""))
        cells = cells.filter(pc.invert(blank))
    return cells, tuple(ragged)
