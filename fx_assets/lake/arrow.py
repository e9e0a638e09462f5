"""Between pandas frames and what Delta can store."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pandas as pd
import pyarrow as pa

from fx_assets.errors import LakeError

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


def to_arrow(frame: pd.DataFrame, *, where: str, stored: pa.Schema | None = None) -> pa.Table:
    """The frame as an Arrow table that Delta can store; the index is left behind.

    Instants become microseconds in UTC, NaN becomes null, categories become their values. A column
    without any value takes the type that the table already has, else string.

    Parameters
    ----------
    frame : DataFrame
        Columns have unique string names; datetimes have a time zone.
    where : str
        The table, for error messages.
    stored : Schema, optional
        The table's present schema; columns in both are cast to it.

    Raises
    ------
    LakeError
        Names the column: a datetime without time zone, mixed types, or values that do not fit the
        type in the table.
    """
    names = list(frame.columns)
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise LakeError(
            f"{where}: column names must be unique strings, found {names}.",
            remedy="Rename the columns before writing.",
        )
    if not names:
        raise LakeError(
            f"{where}: a frame without columns cannot be stored.",
            remedy="Write an empty frame with the table's columns.",
        )
    known = {} if stored is None else {field.name: field.type for field in stored}
    columns = [_column(frame[name], name, known.get(name), where) for name in names]
    return pa.table(columns, names=names)


def content_hash(data: pa.Table) -> str:
    """SHA-256 over schema and rows, in order."""
    digest = _Digest()
    with (
        pa.PythonFile(digest, mode="w") as sink,
        pa.ipc.new_stream(sink, data.schema) as stream,
    ):
        stream.write_table(data.combine_chunks())
    return digest.hash.hexdigest()


class _Digest(io.RawIOBase):
    """Hashes what is written and keeps none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.hash = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return len(data)


def _column(series: pd.Series, name: str, stored: pa.DataType | None, where: str) -> pa.Array:
    try:
        array = pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise LakeError(
            f"{where}: column {name!r} does not have one type: {error}",
            remedy="Give the column one type before writing.",
        ) from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_timestamp(array.type) and array.type.tz is None:
        raise LakeError(
            f"{where}: column {name!r} holds datetimes without a time zone.",
            remedy="Localize them, for example with Series.dt.tz_localize('UTC').",
        )
    target = _storable(array.type) if stored is None else stored
    try:
        # Delta keeps microseconds, so dropping nanoseconds is meant.
        return array.cast(target, safe=not pa.types.is_timestamp(array.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _misfit(where, name, array.type, target) from error


def _storable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_null(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return UTC_MICROSECONDS
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    return kind


def _misfit(where: str, name: str, found: pa.DataType, expected: pa.DataType) -> LakeError:
    return LakeError(
        f"{where}: column {name!r} is {found}, the table holds {expected}.",
        remedy="Cast the column, or replace the whole table if its type is meant to change.",
    )
