"""The ways in which a frame enters a table, each as a plan made from the newest version."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from fx_assets.errors import LakeError
from fx_assets.lake.arrow import conform, content_hash, to_arrow
from fx_assets.lake.commits import CONTENT_HASH
from fx_assets.lake.delta import Plan, Write, dataset_of, schema_of

AtHand = Callable[[DeltaTable, list[str]], pd.DataFrame | None]

_UPKEEP = {"OPTIMIZE", "VACUUM START", "VACUUM END", "FSCK", "SET TBLPROPERTIES"}


def appending(frame: pd.DataFrame, where: str) -> Plan:
    """Add all rows. An empty frame creates the table or adds its new columns, else nothing."""

    def plan(source: DeltaTable | None) -> Write | None:
        stored = None if source is None else schema_of(source)
        data = to_arrow(frame, where=where, stored=stored)
        return Write(data, "append") if _changes(data, stored) else None

    return plan


def inserting(
    frame: pd.DataFrame, keys: list[str], where: str, at_hand: AtHand = lambda _source, _keys: None
) -> Plan:
    """Add the rows whose key is not in the table; of equal keys in the frame, the first.

    A key column that the table lacks is empty in its rows, which no row of the frame is.

    ``at_hand`` may save reading the table's keys: it returns them, or None.
    """
    absent = [key for key in keys if key not in frame.columns]
    if not keys or absent:
        raise LakeError(
            f"{where}: rows are inserted by key, and the frame has no column {absent or keys}.",
            remedy="Name key columns that the frame has.",
        )
    for key in keys:
        if frame[key].isna().any():
            raise LakeError(
                f"{where}: key column {key!r} has missing values.",
                remedy="Drop or fill these rows before inserting.",
            )

    def plan(source: DeltaTable | None) -> Write | None:
        stored = None if source is None else schema_of(source)
        data = to_arrow(frame, where=where, stored=stored)
        given = data.select(keys).to_pandas()
        new = ~given.duplicated()
        if source is not None and data.num_rows:
            new &= ~_contained(given, source, data, where, at_hand)
        data = data.filter(pa.array(new.to_numpy()))
        return Write(data, "append") if _changes(data, stored) else None

    return plan


def replacing(frame: pd.DataFrame, where: str) -> Plan:
    """Make the frame the whole content, unless the table was last written with the same."""
    data = to_arrow(frame, where=where)
    digest = content_hash(data)

    def plan(source: DeltaTable | None) -> Write | None:
        if source is not None and _last_content(source) == digest:
            return None
        return Write(data, "overwrite", "overwrite", metadata={CONTENT_HASH: digest})

    return plan


def replacing_range(frame: pd.DataFrame, column: str, start: Any, end: Any, where: str) -> Plan:
    """Make the frame the content of ``start <= column < end``, unless it is that already."""
    for bound in (start, end):
        if isinstance(bound, datetime) and bound.utcoffset() is None:
            raise LakeError(
                f"{where}: the bound {bound.isoformat()} of {column!r} has no time zone.",
                remedy="Pass bounds in UTC.",
            )
    if column not in frame.columns:
        raise LakeError(
            f"{where}: the frame has no column {column!r} to replace a range of.",
            remedy="Name a column of the frame.",
        )
    outside = ~((frame[column] >= start) & (frame[column] < end))
    if outside.any():
        raise LakeError(
            f"{where}: {int(outside.sum())} rows are outside {start} <= {column} < {end}, the first"
            f" has {frame.loc[outside, column].iloc[0]}.",
            remedy="Write only rows of the range that is replaced.",
        )

    def plan(source: DeltaTable | None) -> Write | None:
        if source is None:
            return Write(to_arrow(frame, where=where), "append")
        stored = schema_of(source)
        data = to_arrow(frame, where=where, stored=stored)
        if column not in stored.names:
            return Write(data, "append")
        inside = (ds.field(column) >= pa.scalar(start)) & (ds.field(column) < pa.scalar(end))
        present = dataset_of(source).to_table(filter=inside)
        if set(data.column_names) <= set(stored.names) and conform(data, present.schema).equals(
            present
        ):
            return None
        quoted = '"' + column.replace('"', '""') + '"'
        predicate = f"{quoted} >= {_literal(start)} AND {quoted} < {_literal(end)}"
        return Write(data, "overwrite", predicate=predicate)

    return plan


def _changes(data: pa.Table, stored: pa.Schema | None) -> bool:
    return stored is None or data.num_rows > 0 or not set(data.column_names) <= set(stored.names)


def _contained(
    given: pd.DataFrame, source: DeltaTable, data: pa.Table, where: str, at_hand: AtHand
) -> pd.Series:
    """Which of the given keys the table has; the first key's range limits what is read."""
    keys = list(given.columns)
    absent = [key for key in keys if key not in schema_of(source).names]
    if len(absent) == len(keys):
        raise LakeError(
            f"{where}: the table has no key column {', '.join(absent)}.",
            remedy="Insert by columns that the table has, or replace the whole table.",
        )
    if absent:  # a column that is added now is empty in every stored row, and equal to nothing
        return pd.Series(False, index=given.index)
    present = at_hand(source, keys)
    if present is None:
        first = ds.field(keys[0])
        lowest, highest = given[keys[0]].min(), given[keys[0]].max()
        kind = data.schema.field(keys[0]).type
        within = (first >= pa.scalar(lowest, kind)) & (first <= pa.scalar(highest, kind))
        present = source.to_pyarrow_dataset().to_table(columns=keys, filter=within).to_pandas()
    marked = given.merge(present.drop_duplicates(), on=keys, how="left", indicator="_present")
    return marked["_present"] == "both"


def _last_content(source: DeltaTable) -> str | None:
    """The content hash of the newest commit that changed rows, if that commit has one."""
    for limit in (1, 10):
        for entry in source.history(limit):
            if entry["operation"] not in _UPKEEP:
                return entry.get(CONTENT_HASH)
    return None


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"'{value.astimezone(UTC).isoformat()}'"
    if isinstance(value, date):
        return f"'{value.isoformat()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
