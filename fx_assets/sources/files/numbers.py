"""From the texts of export files to numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.tables import Table, plain, texts
from fx_assets.specs.sources import FilesSource

EMPTY = ("", "-", "--", "null", "none", "nan", "n/a", "na", "#n/a", ".")
"""Texts that say that there is no number, in lower case."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_POINT_THEN_COMMA = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d*,\d{1,2}|[+-]?\d*,\d{4,}|0,\d+")
_COMMA_THEN_POINT = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+|[+-]?\d{1,3}(,\d{3}){2,}")
_POINT = r"^\s*\d+\.(\d{1,2}|\d{4,})\s*$"
_EITHER_WAY = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True)
class Numbers:
    """The numbers of one column: NaN where a cell is empty or ``unread``."""

    values: np.ndarray
    unread: np.ndarray


@dataclass(frozen=True)
class Writing:
    """How a table writes numbers."""

    decimal: str = "."
    thousands: str | None = None


def writing_of(
    table: Table, columns: list[str], source: FilesSource, skipped: int, asked: Asked
) -> Writing:
    """How the numbers of a table are written: as declared, or as its cells show.

    Where a comma can separate decimals as well as thousands, it is asked.
    """
    if source.decimal != "." or source.thousands is not None:
        return Writing(source.decimal, source.thousands)
    unclear = ""
    written = {
        name: plain(table.cells[name]).slice(skipped)
        for name in columns
        if texts(table.cells[name])
    }
    for name, cells in written.items():
        with_comma = pc.unique(cells.filter(pc.match_substring(cells, ",")))
        for text in map(str.strip, with_comma.slice(0, 10_000).to_pylist()):
            if _COMMA_THEN_POINT.fullmatch(text):
                return Writing(".", ",")
            if _POINT_THEN_COMMA.fullmatch(text):
                return Writing(",", "." if "." in text else None)
            if _EITHER_WAY.fullmatch(text):
                unclear = unclear or f"{text} in the column {name!r}"
    if unclear and any(
        pc.any(pc.match_substring_regex(cells, _POINT)).as_py() for cells in written.values()
    ):
        return Writing(".", ",")
    if unclear:
        text = unclear.split(" ")[0]
        as_decimal, as_thousands = text.replace(",", "."), text.replace(",", "")
        asked.ask(
            "source.decimal",
            f"{table.file}: {unclear} can be {as_decimal} or {as_thousands}.",
            'Set source.decimal: "," or source.thousands: ",".',
            (
                Option({"source.decimal": ","}, f"{text} is {as_decimal}"),
                Option({"source.thousands": ","}, f"{text} is {as_thousands}"),
            ),
        )
        return Writing(",")
    return Writing()


def numbers_of(table: Table, name: str, writing: Writing, skipped: int) -> Numbers:
    """The numbers of a column."""
    column = plain(table.cells[name]).slice(skipped)
    if not texts(table.cells[name]):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return Numbers(np.array(values, dtype=np.float64), np.zeros(len(column), dtype=bool))
    if writing == Writing():
        try:
            values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            return Numbers(np.array(values), np.zeros(len(column), dtype=bool))
        except pa.ArrowInvalid:
            pass
    return _carefully(column, writing)


def _carefully(column: pa.Array, writing: Writing) -> Numbers:
    clean = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
    if writing.thousands:
        group = r"[\s\x{a0}\x{202f}]" if writing.thousands == " " else re.escape(writing.thousands)
        clean = pc.replace_substring_regex(clean, rf"(\d){group}", r"\1")
    if writing.decimal != ".":
        clean = pc.replace_substring(clean, writing.decimal, ".")
    clean = pc.replace_substring_regex(clean, r"^[$€£¥]\s*", "")
    empty = pc.is_in(pc.utf8_lower(clean), pa.array(EMPTY))
    suffixed = pc.match_substring_regex(clean, r"\d[KMBTkmbt]$")
    factor = np.ones(len(clean))
    if pc.any(suffixed).as_py():
        letters = pc.if_else(suffixed, pc.utf8_lower(pc.utf8_slice_codeunits(clean, -1)), "")
        factor = np.array([_FACTORS.get(letter, 1.0) for letter in letters.to_pylist()])
        clean = pc.replace_substring_regex(clean, r"(\d)[KMBTkmbt]$", r"\1")
    read = pc.match_substring_regex(clean, _NUMBER)
    numbers = pc.cast(pc.if_else(read, clean, None), pa.float64())
    values = np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64) * factor
    unread = ~read.to_numpy(zero_copy_only=False) & ~empty.to_numpy(zero_copy_only=False)
    return Numbers(values, unread)
