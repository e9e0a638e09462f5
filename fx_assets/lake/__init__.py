"""Delta tables under one root, a folder or ``s3://bucket/prefix``, with DuckDB to query them.

Loaded on first use: who reads files (:mod:`blobs`) or Arrow tables (:mod:`reader`) needs neither
pandas nor DuckDB.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fx_assets.lake.bitemporal import as_known_at, known_rows
    from fx_assets.lake.commits import Commit, CommitInfo, CompactionResult
    from fx_assets.lake.lake import Lake

__all__ = ["Commit", "CommitInfo", "CompactionResult", "Lake", "as_known_at", "known_rows"]

_HOMES = {
    "Commit": "commits",
    "CommitInfo": "commits",
    "CompactionResult": "commits",
    "Lake": "lake",
    "as_known_at": "bitemporal",
    "known_rows": "bitemporal",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
