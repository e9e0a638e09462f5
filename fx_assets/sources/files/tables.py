"""A file's cells, with the line that each row stands on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

CONTENT = re.compile(r"[^\s\"\t;|,]")
"""What a line has that is not blank."""


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
    text, start
        The whole text, and the number of the line that the rows begin on; empty where the file
        has no lines.
    kept
        Which rows of the file these are; ``None`` where they are all.
    cut_off
        The last line, where the file ends in the middle of it; it is no row.
    repeated
        How many times the header stands between the rows.
    zone
        What the file says about the zone of its instants, outside of its rows.
    """

    file: str
    sha256: str
    cells: pa.Table
    header: bool
    first_line: str
    ragged: tuple[str, ...] = ()
    text: bytes = field(default=b"", repr=False)
    start: int = 0
    kept: np.ndarray | None = field(default=None, repr=False)
    cut_off: str = ""
    repeated: int = 0
    zone: str | None = None

    def __len__(self) -> int:
        return int(self.cells.num_rows)

    def line(self, row: int) -> int:
        """The number of the line that a row stands on, or of the row where there are no lines."""
        if self.kept is not None:
            row = int(self.kept[row])
        return int(self._lines[row]) if self.text and row < len(self._lines) else row + 1

    def taking(self, rows: np.ndarray) -> Table:
        """Some of the rows, which keep the lines they stand on."""
        kept = rows if self.kept is None else self.kept[rows]
        return replace(self, cells=self.cells.take(pa.array(rows)), kept=kept)

    @cached_property
    def _lines(self) -> np.ndarray:
        last = self.text.rstrip(b"\n").count(b"\n") + 1
        if self.kept is None and last - self.start + 1 == len(self) and not self.ragged:
            return np.arange(self.start, last + 1)
        ragged = set(self.ragged)
        numbers = [
            number
            for number, line in enumerate(self.text.decode("utf-8", "replace").split("\n"), 1)
            if number >= self.start and line not in ragged and CONTENT.search(line)
        ]
        return np.array(numbers, dtype=np.int64)

    def where_is(self, text: str) -> str:
        """The first line with this text as ``file line n``."""
        lines = self.text.decode("utf-8", "replace").split("\n")
        return f"{self.file} line {lines.index(text) + 1 if text in lines else 0}"

    def where(self, row: int) -> str:
        """A row as ``file line n``."""
        return f"{self.file} {'line' if self.text else 'row'} {self.line(row)}"


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
