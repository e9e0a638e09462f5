"""Files of bars as vendors export them: CSV, Parquet, JSON, Excel; local or on S3."""

from __future__ import annotations

from fx_assets.sources.files.source import fetch

__all__ = ["fetch"]
