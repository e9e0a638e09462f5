"""Parquet and Feather, and the kinds of files that are not read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pyarrow as pa

from fx_assets.errors import SourceError
from fx_assets.sources.files.access import FileBytes
from fx_assets.sources.files.tables import Table

_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "Save it as .xlsx or CSV."),
    (b"\x89HDF", "HDF5", "Write Parquet or CSV from it, such as with pandas.read_hdf."),
    (b"ORC", "ORC", "Write Parquet or CSV from it, such as with pyarrow.orc."),
    (b"SQLite format 3", "an SQLite database", "Write a table of it as CSV or Parquet."),
    (b"%PDF", "a PDF", "Export the table as CSV."),
    (b"Rar!", "a RAR archive", "Unpack it, or pack it as .zip."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it, or pack it as .zip."),
    (b"\x80\x04\x95", "a pickle", "Write Parquet or CSV from it."),
    (b"\x80\x05\x95", "a pickle", "Write Parquet or CSV from it."),
    (b"\x93NUMPY", "a NumPy array", "Write Parquet or CSV from it."),
)


def refuse_foreign(file: FileBytes) -> None:
    """Refuse kinds of files that are not read.

    Raises
    ------
    SourceError
        Says what the file is, and what to make of it.
    """
    for magic, what, remedy in _FOREIGN:
        if file.content.startswith(magic) and (magic != b"ORC" or b"\0" in file.content):
            raise SourceError(f"{file.name} is {what}, which is not read.", remedy=remedy)


def from_parquet(file: FileBytes) -> Table | None:
    """The cells of a Parquet file.

    Raises
    ------
    SourceError
        It is damaged, or cut off.
    """
    import pyarrow.parquet as pq

    return _read(file, "Parquet", pq.read_table)


def from_feather(file: FileBytes) -> Table | None:
    """The cells of a Feather file, which is one of Arrow.

    Raises
    ------
    SourceError
        It is damaged, or cut off.
    """
    import pyarrow.feather

    return _read(file, "Feather", partial(pyarrow.feather.read_table, memory_map=False))


def _read(file: FileBytes, kind: str, read: Callable[[pa.BufferReader], pa.Table]) -> Table | None:
    try:
        return _typed(file, read(pa.BufferReader(file.content)))
    except (pa.ArrowException, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise SourceError(
            f"{file.name} is not a readable {kind} file ({len(file.content):,} bytes): {said}",
            remedy="Copy or write it again; it is damaged or cut off.",
        ) from error


def _typed(file: FileBytes, cells: pa.Table) -> Table | None:
    """Columns of one value a cell; dictionaries are resolved."""
    columns: list[pa.ChunkedArray] = []
    names: list[str] = []
    for name, column in zip(cells.column_names, cells.columns, strict=True):
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_decimal(kind):
            column = column.cast(pa.float64())
        elif pa.types.is_string_view(kind):
            column = column.cast(pa.string())
        elif pa.types.is_nested(kind) or pa.types.is_null(kind):
            continue
        columns.append(column)
        names.append(name if name not in names else f"{name}#{len(names) + 1}")
    if not cells.num_rows or not columns:
        return None
    table = pa.table(columns, names=names)
    return Table(file.name, file.sha256, table, True, ", ".join(names))
