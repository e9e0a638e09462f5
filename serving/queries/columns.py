"""Columns and rows of Arrow tables as NumPy and Python values; runs in the child."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def numbers(table: pa.Table, column: str) -> np.ndarray:
    """A column as float64; null is NaN."""
    if column not in table.column_names:
        return np.full(table.num_rows, np.nan)
    values: np.ndarray = table[column].cast(pa.float64()).fill_null(np.nan).to_numpy()
    return values


def instants(table: pa.Table, column: str) -> np.ndarray:
    """A column of UTC instants as microseconds since 1970; null is the smallest integer."""
    whole = table[column].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    values: np.ndarray = whole.fill_null(np.iinfo(np.int64).min).to_numpy()
    return values


def texts(table: pa.Table, column: str) -> list[str]:
    """A column of texts."""
    values: list[str] = table[column].to_pylist()
    return values


def row_of(table: pa.Table, index: int) -> dict[str, Any]:
    """One row as Python values; instants are in UTC."""
    return {name: _scalar(table[name], index) for name in table.column_names}


def instant(microseconds: int) -> datetime:
    """An instant from microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


def newest_first(table: pa.Table, column: str) -> np.ndarray:
    """Indices that sort by a column of instants, the latest first."""
    return np.argsort(-instants(table, column), kind="stable")


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with NaN as null."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}


def _scalar(column: pa.ChunkedArray, index: int) -> Any:
    if pa.types.is_timestamp(column.type):
        whole = column.slice(index, 1).cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        value = whole[0].as_py()
        return None if value is None else instant(value)
    return column[index].as_py()


def finite(value: float) -> float | None:
    """The number, or None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None
