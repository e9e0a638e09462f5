"""Compaction, and deletion of files that no version worth keeping needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from fx_assets.lake.commits import RUN_ID, CompactionResult
from fx_assets.lake.delta import TABLE_PROPERTIES, DeltaStore

GRACE = timedelta(days=30)


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
        before = len(source.file_uris())
        if before > 1:
            source.optimize.compact(commit_properties=_by(run_id))
        return before

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


def _by(run_id: str) -> CommitProperties:
    return CommitProperties(custom_metadata={RUN_ID: run_id})
