"""Which checks the bars of a feed fail because their severity was lowered: what has to be said."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.lake.panel import numbered
from fx_assets.quality.overrides import OF_BATCHES, failing_bars
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.tables import PRICES, QUALITY

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def standing_overrides(store: Lake, feed: FeedSpec, now: datetime) -> tuple[str, ...]:
    """Checks that would have refused the feed's bars, had they not been lowered; sorted.

    A failure stands while the bars that are stored fail, whatever the check's severity is now. One
    of the batch itself, such as bars that come twice, stands until a later batch of the same span,
    or of a wider one, has passed.
    """
    quality = numbered(store.read_or_empty(QUALITY.name, feed.name))
    if quality.empty or "overridden" not in quality:
        return ()
    marked = quality["overridden"].eq(True)
    refused = quality.loc[(quality["severity"] == "block") & ~quality["passed"], "batch"]
    failed = quality[marked & ~quality["batch"].isin(refused)]
    if failed.empty:
        return ()
    checks = sorted(failed["check"].unique())
    bars = store.read_or_empty(PRICES.name, feed.name)
    bars = bars.reindex(columns=list(BAR_DTYPES)).astype(BAR_DTYPES)
    standing = set(failing_bars(checks, bars, feed, feed.market, now))
    passed = quality[quality["passed"] & ~marked]
    standing |= {c for c in checks if c in OF_BATCHES and _uncovered(c, failed, passed)}
    return tuple(sorted(standing))


def _uncovered(check: str, failed: pd.DataFrame, passed: pd.DataFrame) -> bool:
    """Whether a batch failed a check and no later one of its span passed it."""
    good = passed[passed["check"] == check]
    for row in failed[failed["check"] == check].itertuples():
        later = good[good["batch"] > row.batch]
        wide = (later["window_start"] <= row.window_start) & (later["window_end"] >= row.window_end)
        if not wide.any():
            return True
    return False
