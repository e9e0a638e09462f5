"""Compaction, and deletion of files that no version worth keeping needs."""

from __future__ import annotations

from datetime import timedelta

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from fx_assets.lake.commits import RUN_ID, CompactionResult
from fx_assets.lake.delta import DeltaStore

GRACE = timedelta(days=30)


def compact(
    store: DeltaStore,
    table: str,
    name: str,
    *,
    pinned_versions: set[int] | None = None,
    grace: timedelta = GRACE,
    run_id: str = "",
) -> CompactionResult:
    """Put a table's small files together; see :meth:`fx_assets.lake.Lake.compact`."""
    retrying = Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        stop=stop_after_attempt(10),
        wait=wait_random_exponential(multiplier=0.05, max=2.0),
        reraise=True,
    )
    properties = CommitProperties(custom_metadata={RUN_ID: run_id})

    def optimize() -> tuple[DeltaTable, int]:
        source = store.require(table, name)
        before = len(source.file_uris())
        if before > 1:
            source.optimize.compact(commit_properties=properties)
        return source, before

    source, before = retrying(optimize)
    deleted: list[str] = []
    if pinned_versions is not None:
        deleted = source.vacuum(
            retention_hours=int(grace.total_seconds() // 3600),
            enforce_retention_duration=False,
            dry_run=False,
            full=True,
            keep_versions=sorted(pinned_versions),
            commit_properties=properties,
        )
    source = store.require(table, name)
    after = len(source.file_uris())
    return CompactionResult(table, name, source.version(), before, after, len(deleted))
