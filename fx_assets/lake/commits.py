"""What the lake says about a commit, and how that is kept in Delta's commit information."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fx_assets.errors import LakeError

RUN_ID = "run_id"
COMMIT_ID = "fx_assets.commit_id"
CONTENT_HASH = "fx_assets.content_hash"
ROWS = "fx_assets.rows"
_DELTA = {
    "clientVersion", "engineInfo", "isBlindAppend", "isolationLevel", "operation",
    "operationMetrics", "operationParameters", "readVersion", "tags", "timestamp", "txnId",
    "userId", "userMetadata", "userName", "version",
}  # fmt: skip
_RESERVED = _DELTA | {RUN_ID, COMMIT_ID, CONTENT_HASH, ROWS}


@dataclass(frozen=True)
class Commit:
    """The outcome of one write: the table's version after it, and how many rows it wrote.

    ``rows`` is 0 and ``version`` is the one from before when there was nothing to write; the
    version is -1 when there was nothing to write and there is no such table. ``committed`` says
    whether there was a commit: one that only empties a range has no rows.
    """

    table: str
    name: str
    version: int
    rows: int
    committed: bool = False


@dataclass(frozen=True)
class CommitInfo:
    """One entry of a table's history; ``metadata`` is what the writer gave with the commit."""

    version: int
    timestamp: datetime
    operation: str
    run_id: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CompactionResult:
    """Files before and after compaction, and how many old files were deleted."""

    table: str
    name: str
    version: int
    files_before: int
    files_after: int
    files_deleted: int


def labels(run_id: str, metadata: dict[str, str] | None, commit_id: str) -> dict[str, str]:
    """The entries that a commit carries.

    Raises
    ------
    LakeError
        ``metadata`` uses a key that Delta or the lake keeps for itself.
    """
    given = {key: str(value) for key, value in (metadata or {}).items()}
    taken = sorted(_RESERVED & given.keys())
    if taken:
        raise LakeError(
            f"Commit metadata may not use {', '.join(taken)}.",
            remedy="Choose other keys; the run has its own argument.",
        )
    return given | {RUN_ID: run_id, COMMIT_ID: commit_id}


def parse(entry: dict[str, Any]) -> CommitInfo:
    """An entry of Delta's history."""
    return CommitInfo(
        version=int(entry["version"]),
        timestamp=datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
        operation=str(entry["operation"]),
        run_id=str(entry.get(RUN_ID, "")),
        metadata={
            key: value
            for key, value in entry.items()
            if key not in _RESERVED and isinstance(value, str)
        },
    )
