"""The ways in which a frame enters a table, each as a plan made from the newest version.

Tables of bars are written in files that each hold a span of time, so that an update writes the
files of the spans that changed and not all of history.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from fx_assets.errors import LakeError
from fx_assets.lake.arrow import content_hash, to_arrow
from fx_assets.lake.commits import CONTENT_HASH
from fx_assets.lake.delta import Plan, Write, dataset_of, schema_of
from fx_assets.lake.reader import conform

Choice = Callable[[pd.DataFrame], "pd.Series[bool]"]
"""Which of a table's rows are chosen, in their order."""
AtHand = Callable[[DeltaTable, list[str]], pd.DataFrame | None]

TIME = "event_time"
SPAN_BYTES = 128 * 1024
"""About how large the files of a table of bars are."""
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
    """Make the frame the whole content, unless the table was last written with the same.

    Of a frame with one row for each time, in their order, only what follows the last row that
    stays is written.
    """
    data = to_arrow(frame, where=where)
    digest = content_hash(data)
    by_time = _in_order_of_time(frame)
    size = SPAN_BYTES if by_time else None

    def plan(source: DeltaTable | None) -> Write | None:
        if source is not None and _last_content(source) == digest:
            return None
        said = {CONTENT_HASH: digest}
        since = _changed_since(source, data) if source is not None and by_time else None
        if since is None:
            return Write(data, "overwrite", "overwrite", metadata=said, file_bytes=size)
        later = data.filter(pc.greater_equal(data[TIME], since))
        predicate = f'"{TIME}" >= {_literal(since.as_py())}'
        return Write(later, "overwrite", predicate=predicate, metadata=said, file_bytes=size)

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

    inside = (ds.field(column) >= pa.scalar(start)) & (ds.field(column) < pa.scalar(end))
    quoted = _quoted(column)
    predicate = f"{quoted} >= {_literal(start)} AND {quoted} < {_literal(end)}"
    return _replacing_part(frame, column, inside, predicate, where)


def replacing_values(frame: pd.DataFrame, column: str, values: Collection[str], where: str) -> Plan:
    """Make the frame the content of the rows with these values, unless it is that already.

    Where rows only came to those that are there, these are not written again.
    """
    ours = sorted(values)
    if not set(frame[column]) <= set(ours):
        raise LakeError(
            f"{where}: the frame has rows of other {column}s than those that are replaced.",
            remedy="Write only rows of what is replaced.",
        )
    inside = ds.field(column).isin(ours)
    predicate = f"{_quoted(column)} IN ({', '.join(map(_literal, ours))})"
    whole = _replacing_part(frame, column, inside, predicate, where)

    def plan(source: DeltaTable | None) -> Write | None:
        write = whole(source)
        if source is None or write is None or write.mode == "append":
            return write
        added = _added(dataset_of(source).to_table(filter=inside), write.data, [column, TIME])
        if added is None:
            return write
        return Write(added, "append") if added.num_rows else None

    return plan


def thinning(stay: Choice) -> Plan:
    """Keep the rows that are to stay, if those are not all."""

    def plan(source: DeltaTable | None) -> Write | None:
        if source is None:
            return None
        data = dataset_of(source).to_table()
        chosen = stay(data.to_pandas()).to_numpy(dtype=bool)
        gone = int((~chosen).sum())
        return Write(data.filter(pa.array(chosen)), "overwrite", rows=gone) if gone else None

    return plan


def _added(present: pa.Table, data: pa.Table, keys: list[str]) -> pa.Table | None:
    """What follows the rows that are there, where none of these has changed; else ``None``."""
    names = set(present.column_names)
    if not set(keys) <= names or names != set(data.column_names) or not present.num_rows:
        return None
    known, given = present.select(keys).to_pandas(), data.select(keys).to_pandas()
    if known.duplicated().any() or given.duplicated().any():
        return None
    there = given.merge(known, on=keys, how="left", indicator="_there")["_there"] == "both"
    kept = conform(data.filter(pa.array(there.to_numpy())), present.schema)
    order = [(key, "ascending") for key in keys]
    if not kept.sort_by(order).equals(present.sort_by(order)):
        return None
    return data.filter(pa.array(~there.to_numpy()))


def _replacing_part(
    frame: pd.DataFrame, column: str, inside: ds.Expression, predicate: str, where: str
) -> Plan:
    """Make the frame the content of what lies inside, unless it is that already."""
    size = SPAN_BYTES if column == TIME else None

    def plan(source: DeltaTable | None) -> Write | None:
        if source is None:
            return Write(to_arrow(frame, where=where), "append", file_bytes=size)
        stored = schema_of(source)
        data = to_arrow(frame, where=where, stored=stored)
        if column not in stored.names:
            return Write(data, "append")
        present = dataset_of(source).to_table(filter=inside)
        if set(data.column_names) <= set(stored.names) and conform(data, present.schema).equals(
            present
        ):
            return None
        return Write(data, "overwrite", predicate=predicate, file_bytes=size)

    return plan


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _in_order_of_time(frame: pd.DataFrame) -> bool:
    times = frame.get(TIME)
    return times is not None and bool(times.is_monotonic_increasing and times.is_unique)


def _changed_since(source: DeltaTable, data: pa.Table) -> pa.Scalar | None:
    """The time from which on a table has to be written for ``data`` to be its content.

    It is where a file begins; rows that follow are put together with the newest file until that is
    full. None where all of it has to be: another schema, an earlier change, or files that say
    nothing of their times.
    """
    if not schema_of(source).equals(data.schema) or not data.num_rows:
        return None
    spans = _spans(source)
    if spans is None:
        return None
    stored = dataset_of(source).to_table().sort_by(TIME)
    same = _equal_rows(stored, data)
    if not same:
        return None
    # Also where rows are taken away from the end: what is no longer there has to go.
    firsts = [table[TIME][same] for table in (stored, data) if same < table.num_rows]
    changed = min((first.as_py() for first in firsts), default=None)
    if changed is None:
        return None
    newest = max(high for _, high, _ in spans)
    begun = (
        low
        for low, high, size in spans
        if high >= changed or (high == newest and size < SPAN_BYTES)
    )
    since = min([changed, *begun])
    return None if since <= data[TIME][0].as_py() else pa.scalar(since, data[TIME].type)


def _equal_rows(stored: pa.Table, data: pa.Table) -> int:
    """How many rows two tables of one schema begin with in common, the bits of NaN included."""
    equal: int = min(stored.num_rows, data.num_rows)
    for name in data.column_names:
        ours, theirs = (_bits(table[name].combine_chunks()) for table in (data, stored))
        low, high = 0, equal
        while low < high:
            middle = (low + high + 1) // 2
            if ours.slice(0, middle).equals(theirs.slice(0, middle)):
                low = middle
            else:
                high = middle - 1
        equal = low
    return equal


def _bits(column: pa.Array) -> pa.Array:
    """A column whose equal values are equal, which NaN is not."""
    return column.view(pa.int64()) if column.type == pa.float64() else column


def _spans(source: DeltaTable) -> list[tuple[datetime, datetime, int]] | None:
    """The first and the last time in each file, and its bytes; None where a file does not say."""
    actions = pa.table(source.get_add_actions(flatten=True))
    names = (f"min.{TIME}", f"max.{TIME}")
    if any(name not in actions.column_names for name in names):
        return None
    lows, highs = (actions[name].to_pylist() for name in names)
    if not lows or None in lows or None in highs:
        return None
    return [
        (low.replace(tzinfo=UTC), high.replace(tzinfo=UTC), size)
        for low, high, size in zip(lows, highs, actions["size_bytes"].to_pylist(), strict=True)
    ]


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
