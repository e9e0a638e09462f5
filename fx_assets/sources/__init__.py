"""Where bars come from: one file a provider, payload in, bars out.

A provider is a module named after its ``kind`` with a function
``fetch(spec, settings, now, cache_dir) -> Batch``.
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from pathlib import Path

from fx_assets.settings import Settings
from fx_assets.sources.bars import Batch, ParsedBars, Provenance
from fx_assets.sources.revisions import new_rows
from fx_assets.specs import FeedSpec

__all__ = ["Batch", "ParsedBars", "Provenance", "fetch_bars", "new_rows"]


def fetch_bars(
    spec: FeedSpec, settings: Settings, now: datetime, cache_dir: Path | None = None
) -> Batch:
    """Fetch a feed from its provider.

    Parameters
    ----------
    now
        The clock's time (UTC); bars that close later are not returned, and it becomes their
        ``ingested_at``.
    cache_dir
        Folder for the last good payload, or ``None``.

    Raises
    ------
    SourceError
        The provider did not answer with its data, and no fallback was allowed or found.
    """
    provider = import_module(f"{__name__}.{spec.source.kind}")
    batch: Batch = provider.fetch(spec, settings, now, cache_dir)
    return batch
