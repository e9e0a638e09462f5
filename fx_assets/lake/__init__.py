"""Delta tables under one root, a folder or ``s3://bucket/prefix``, with DuckDB to query them."""

from fx_assets.lake.bitemporal import as_known_at, known_rows
from fx_assets.lake.commits import Commit, CommitInfo, CompactionResult
from fx_assets.lake.lake import Lake

__all__ = ["Commit", "CommitInfo", "CompactionResult", "Lake", "as_known_at", "known_rows"]
