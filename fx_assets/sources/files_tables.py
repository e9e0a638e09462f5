"""From a file's bytes to a table of cells, with the line that each row stands on."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from fx_assets.errors import SourceError
from fx_assets.sources.files_access import FileBytes

DELIMITERS = ("\t", ";", "|", ",")
PREAMBLE = 20
"""Most lines above the header, such as a title or the address of the vendor."""
_FIRST_CELL = re.compile(r"\s*\"?\d")
_CONTENT = re.compile(r"[^\s\"\t;|,]")
_A_PRICE = re.compile(r"\s*[-+]?[\d.,' ]*\d[\d.,' ]*([eE][-+]?\d+)?\s*")


@dataclass(frozen=True)
class Table:
    """The cells of one file.

    Parameters
    ----------
    file
        Its name, for messages.
    sha256
        Hash of the file as stored.
    cells
        One column for each of the file's; texts, or what Parquet says.
    header
        Whether the columns have the file's names; otherwise they are called "1", "2", ...
    first_line
        The header, or the first row, as a person sees it.
    ragged
        Lines with another number of cells than the header.
    """

    file: str
    sha256: str
    cells: pa.Table
    header: bool
    first_line: str
    ragged: tuple[str, ...] = ()
    _text: bytes = field(default=b"", repr=False)
    _start: int = 0

    def __len__(self) -> int:
        return int(self.cells.num_rows)

    def line(self, row: int) -> int:
        """The number of the line that a row stands on, or of the row where there are no lines."""
        return int(self._lines[row]) if self._text and row < len(self._lines) else row + 1

    @cached_property
    def _lines(self) -> np.ndarray:
        last = self._text.rstrip(b"\n").count(b"\n") + 1
        if last - self._start + 1 == len(self) and not self.ragged:
            return np.arange(self._start, last + 1)
        ragged = set(self.ragged)
        numbers = [
            number
            for number, line in enumerate(self._text.decode("utf-8", "replace").split("\n"), 1)
            if number >= self._start and line not in ragged and _CONTENT.search(line)
        ]
        return np.array(numbers, dtype=np.int64)

    def where_is(self, text: str) -> str:
        """The first line with this text as ``file line n``."""
        lines = self._text.decode("utf-8", "replace").split("\n")
        return f"{self.file} line {lines.index(text) + 1 if text in lines else 0}"

    def where(self, row: int) -> str:
        """A row as ``file line n``."""
        return f"{self.file} {'line' if self._text else 'row'} {self.line(row)}"


def read_table(
    file: FileBytes,
    delimiter: str | None,
    names: frozenset[str],
    layouts: Sequence[re.Pattern[str]],
) -> Table | None:
    """The cells of a file, or ``None`` where it has no rows.

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
    content = file.content
    if content[:4] == b"PAR1":
        return _from_parquet(file)
    text = as_utf8(content)
    if not text.strip():
        return None
    if text.lstrip()[:1] in (b"[", b"{"):
        return _from_json(file, text)
    return _from_lines(file, text, delimiter, names, layouts)


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
        return content.decode("latin-1").encode()
    return content


def folded(name: str) -> str:
    """A column's name without case, blanks and punctuation."""
    return re.sub(r"[\W_]", "", name.lower())


def _from_lines(
    file: FileBytes,
    text: bytes,
    delimiter: str | None,
    names: frozenset[str],
    layouts: Sequence[re.Pattern[str]],
) -> Table | None:
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
    head = _head(text)
    cut = delimiter or _delimiter([line for _, _, line in head])
    for number, offset, line in head:
        cells = next(csv.reader([line], delimiter=cut))
        is_header = len({folded(cell) for cell in cells} & names) >= 2
        if is_header:
            start = offset + len(line.encode()) + 1
            columns = _named(cells)
            lines_before = number
        elif _is_row(cells, line, layouts):
            start, columns, lines_before = (
                offset,
                [str(i + 1) for i in range(len(cells))],
                number - 1,
            )
        else:
            continue
        body = text[start:]
        if is_header:
            columns = _widened(columns, body, cut)
        if not body.strip():
            return None
        cells_table, ragged = _cells(file, body, columns, cut)
        return Table(
            file.name, file.sha256, cells_table, is_header, line, ragged, text, lines_before + 1
        )
    if not head:
        return None
    number, _, line = head[0]
    raise SourceError(
        f"{file.name} has neither a header nor a row of prices in its first {len(head)} lines; "
        f"line {number} is {line[:80]!r}.",
        remedy="Set source.columns, such as {time: Stamp, close: Rate}, and source.delimiter.",
    )


def _head(text: bytes) -> list[tuple[int, int, str]]:
    """Number, offset and text of the first lines that are not blank."""
    found, offset = [], 0
    for number, raw in enumerate(text[:200_000].split(b"\n"), 1):
        if raw.strip():
            found.append((number, offset, raw.decode("utf-8", "replace")))
        if len(found) == PREAMBLE:
            break
        offset += len(raw) + 1
    return found


def _delimiter(lines: list[str]) -> str:
    def evenness(cut: str) -> tuple[int, int]:
        counts = [len(next(csv.reader([line], delimiter=cut))) for line in lines]
        usual = max(set(counts), key=lambda n: (counts.count(n), n))
        return (counts.count(usual), -DELIMITERS.index(cut)) if usual > 1 else (0, 0)

    return max(DELIMITERS, key=evenness)


def _is_row(cells: list[str], line: str, layouts: Sequence[re.Pattern[str]]) -> bool:
    if any(layout.match(line) for layout in layouts):
        return True
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
    head = _head(body)
    width = len(next(csv.reader([head[0][2]], delimiter=cut))) if head else 0
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


def _from_parquet(file: FileBytes) -> Table | None:
    import pyarrow.parquet as pq

    try:
        cells = pq.read_table(pa.BufferReader(file.content))
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"{file.name} is not a readable Parquet file: {error}.", remedy="Write it again."
        ) from error
    if not cells.num_rows:
        return None
    return Table(file.name, file.sha256, cells, True, ", ".join(cells.column_names))


def _from_json(file: FileBytes, text: bytes) -> Table | None:
    """A list of lists, a list of objects, or an object a line."""
    try:
        if text.lstrip()[:1] == b"{":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = json.loads(text)
    except ValueError as error:
        raise SourceError(
            f"{file.name} is not JSON: {error}.", remedy="Export the file again, or as CSV."
        ) from error
    if not rows:
        return None
    if not all(isinstance(row, type(rows[0])) and isinstance(row, list | dict) for row in rows):
        raise SourceError(
            f"{file.name} is not a list of rows; it begins with {text[:60].decode()!r}.",
            remedy="Export the rows as a list of lists or of objects, or as CSV.",
        )
    named = isinstance(rows[0], dict)
    names = list(rows[0]) if named else list(range(len(rows[0])))
    columns = {
        str(name) if named else str(name + 1): pa.array(
            [_text_of(row[name] if not named else row.get(name)) for row in rows], pa.string()
        )
        for name in names
    }
    cells = pa.table(columns)
    return Table(file.name, file.sha256, cells, named, json.dumps(rows[0])[:80])


def _text_of(value: object) -> str:
    return "" if value is None else str(value)


def texts(column: pa.ChunkedArray) -> bool:
    """Whether a column holds texts."""
    kind = column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def plain(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, with dictionaries resolved."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else combined.chunk(0)
