"""Where bars come from: one file a provider, payload in, bars out.

A provider of ours is a module with a function
``fetch(source, ask) -> Batch``, which its spec names. Other people's are classes
(:class:`SourcePlugin`), found through the door of sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import pandas as pd

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources.bars import Ask, Batch, ParsedBars, Provenance, Wanted
from fx_assets.sources.plugin import SourcePlugin, Tryout
from fx_assets.sources.revisions import new_rows
from fx_assets.sources.wanted import feed_start, wanted_bars
from fx_assets.specs import FeedSpec
from fx_assets.specs.sources import SourceSpec

__all__ = [
    "Ask",
    "Batch",
    "ParsedBars",
    "Provenance",
    "SourcePlugin",
    "Tryout",
    "Wanted",
    "fetch_bars",
    "new_rows",
    "wanted_bars",
]


def fetch_bars(
    feed: FeedSpec,
    settings: Settings,
    now: datetime,
    cache_dir: Path | None = None,
    wanted: Wanted | None = None,
) -> Batch:
    """Fetch a feed's bars from its provider, or from the first failover that answers.

    Parameters
    ----------
    now
        The clock's time (UTC); bars that close later are not returned, and it becomes their
        ``ingested_at``.
    cache_dir
        Folder for the last good payload and the budgets of requests, or ``None``.
    wanted
        The bars that are asked for; unset means all since the feed's start.

    Raises
    ------
    SourceError
        No provider answered with its data, and no fallback was allowed or found.
    """
    if wanted is None:
        wanted = Wanted(((feed_start(feed), now),))

    def ask(source: SourceSpec, spans: Wanted) -> Batch:
        batch: Batch = source.fetch(feed, settings, now, cache_dir, spans)
        return batch

    failures: list[SourceError] = []
    sources = (feed.source, *feed.failover)
    for place, source in enumerate(sources):
        try:
            batch = ask(source, wanted)
        except SourceError as error:
            failures.append(error)
            continue
        for other in sources[place + 1 :] if batch.unreached else ():
            batch = _with_older(batch, other.kind, partial(ask, other))
        return _after(failures, batch)
    if len(failures) == 1:
        raise failures[0]
    raise SourceError(
        f"None of the {len(failures)} providers of {feed.name} answered. "
        + " ".join(error.message for error in failures),
        remedy=" ".join(dict.fromkeys(error.remedy for error in failures if error.remedy)),
    ) from failures[0]


def _with_older(batch: Batch, kind: str, ask: Callable[[Wanted], Batch]) -> Batch:
    """The batch with the bars that another provider has from before its history."""
    if not batch.unreached:
        return batch
    try:
        older = ask(Wanted(batch.unreached))
    except SourceError as error:
        return _noted(batch, f"{kind} has nothing older: {error.message}")
    times = older.bars["event_time"]
    inside = Wanted(batch.unreached).covers(times)
    bars = older.bars[inside & ~times.isin(batch.bars["event_time"])]
    if bars.empty:
        return _noted(batch, f"{kind} has nothing older.")
    whole = pd.concat([bars, batch.bars]).sort_values("event_time", ignore_index=True)
    rejected = pd.concat([older.rejected, batch.rejected], ignore_index=True)
    said = f"{len(bars)} older bars are from {kind} (sha256 {older.provenance.sha256})."
    joined = replace(batch, bars=whole, rejected=rejected, unreached=())
    return _noted(joined, said)


def _noted(batch: Batch, said: str) -> Batch:
    notes = " ".join(filter(None, [batch.provenance.notes, said]))
    return replace(batch, provenance=batch.provenance.model_copy(update={"notes": notes}))


def _after(failures: list[SourceError], batch: Batch) -> Batch:
    """The batch of a failover says why it was asked."""
    if not failures:
        return batch
    reasons = [error.message for error in failures]
    if batch.provenance.fallback_reason:
        reasons.append(batch.provenance.fallback_reason)
    provenance = batch.provenance.model_copy(update={"fallback_reason": " ".join(reasons)})
    return replace(batch, provenance=provenance)
