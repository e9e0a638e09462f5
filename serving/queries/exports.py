"""Pages of rows as JSON, CSV or Parquet; runs in the child."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from serving.queries.formats import Form, Page

Row = Mapping[str, Any]


def paged(rows: list[dict[str, Any]], columns: Sequence[str], further: bool, form: Form) -> Page:
    """The page in the form that was asked for."""
    oldest = rows[-1]["event_time"] if rows and further else None
    if form == "csv":
        return Page(_to_csv(rows, columns), oldest)
    if form == "parquet":
        return Page(_to_parquet(rows, columns), oldest)
    return Page(msgspec.json.encode(rows), oldest)


def _to_csv(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """A header line and a line a row; instants as ISO 8601, null as nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return out.getvalue().encode()


def _to_parquet(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """One row group; instants are timestamps in UTC."""
    table = pa.table({name: _array([row[name] for row in rows]) for name in columns})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _array(values: list[Any]) -> pa.Array:
    if any(isinstance(value, datetime) for value in values):
        return pa.array(values, pa.timestamp("us", "UTC"))
    return pa.array(values)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return msgspec.json.encode(value).decode()
    return value
