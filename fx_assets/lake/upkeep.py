"""Compaction, and deletion of files that no version worth keeping needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, Field
from deltalake.exceptions import CommitFailedError
from deltalake.schema import PrimitiveType
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from fx_assets.lake.commits import RUN_ID, CompactionResult
from fx_assets.lake.delta import TABLE_PROPERTIES, DeltaStore, schema_of
from fx_assets.tables import COUNT, INSTANT, NUMBER, TEXT, YES

GRACE = timedelta(days=30)
PARTS = 16
"""Files of a sixteenth of a table are left alone when small ones are put together: a table that
grows by the hour is not written anew every night, and has some twenty files."""
LEAST_BYTES = 65_536
_DELTA_TYPES = {
    TEXT: "string",
    NUMBER: "double",
    COUNT: "long",
    "Int64": "long",
    YES: "boolean",
    "boolean": "boolean",
    INSTANT: "timestamp",
}


def compact(store: DeltaStore, table: str, name: str, *, run_id: str = "") -> CompactionResult:
    """Put a table's small files together; see :meth:`fx_assets.lake.Lake.compact`."""
    retrying = Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        stop=stop_after_attempt(10),
        wait=wait_random_exponential(multiplier=0.05, max=2.0),
        reraise=True,
    )

    def optimize() -> int:
        source = store.require(table, name)
        sizes = pa.table(source.get_add_actions(flatten=True))["size_bytes"].to_pylist()
        if len(sizes) > 1:
            target = max(LEAST_BYTES, sum(sizes) // PARTS)
            source.optimize.compact(target_size=target, commit_properties=_by(run_id))
        return len(sizes)

    before = retrying(optimize)
    source = store.require(table, name)
    return CompactionResult(table, name, source.version(), before, len(source.file_uris()), 0)


def vacuum(
    store: DeltaStore,
    table: str,
    name: str,
    pinned_versions: set[int],
    *,
    grace: timedelta = GRACE,
    run_id: str = "",
) -> CompactionResult:
    """Delete what no version worth keeping needs; see :meth:`fx_assets.lake.Lake.vacuum`."""
    source = store.require(table, name)
    if source.metadata().configuration != TABLE_PROPERTIES:
        source.alter.set_table_properties(TABLE_PROPERTIES, commit_properties=_by(run_id))
        source = store.require(table, name)
    files = len(source.file_uris())
    how: dict[str, Any] = {
        "retention_hours": int(grace.total_seconds() // 3600),
        "enforce_retention_duration": False,
        "full": True,
        "keep_versions": sorted(pinned_versions),
    }
    deleted = source.vacuum(dry_run=True, **how)
    if deleted:
        source.vacuum(dry_run=False, commit_properties=_by(run_id), **how)
    version = store.require(table, name).version()
    return CompactionResult(table, name, version, files, files, len(deleted))


def lacking(store: DeltaStore, table: str, name: str, dtypes: Mapping[str, str]) -> list[str]:
    """Columns that a stored table was made without."""
    there = set(schema_of(store.require(table, name)).names)
    return [column for column in dtypes if column not in there]


def widen(store: DeltaStore, table: str, name: str, dtypes: Mapping[str, str]) -> None:
    """Add the columns that a stored table lacks, empty in all its rows, and today's properties."""
    source = store.require(table, name)
    fields = [
        Field(column, PrimitiveType(_DELTA_TYPES[dtypes[column]]), nullable=True)
        for column in lacking(store, table, name, dtypes)
    ]
    if fields:
        source.alter.add_columns(fields, commit_properties=_by(""))
        source = store.require(table, name)
    if source.metadata().configuration != TABLE_PROPERTIES:
        source.alter.set_table_properties(TABLE_PROPERTIES, commit_properties=_by(""))


def _by(run_id: str) -> CommitProperties:
    return CommitProperties(custom_metadata={RUN_ID: run_id})
