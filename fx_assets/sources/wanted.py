"""Which bars to ask a provider for."""

from __future__ import annotations

from datetime import UTC, datetime, time

import numpy as np
import pandas as pd

from fx_assets.calendars import instant_of, moment
from fx_assets.sources.bars import Wanted
from fx_assets.specs import FeedSpec

REVISABLE_BARS = 3
"""Newest stored bars that are asked for again, because providers correct them."""
MOST_GAPS = 20
"""Gaps that are asked for again at once, the newest first."""


def feed_start(feed: FeedSpec) -> datetime:
    """The instant at which a feed begins, in UTC."""
    return datetime.combine(feed.start, time(), tzinfo=feed.market.timezone).astimezone(UTC)


def wanted_bars(
    stored: pd.DatetimeIndex, feed: FeedSpec, window: tuple[datetime, datetime], now: datetime
) -> Wanted:
    """The gaps in a window, its newest bars once more, and what has come since.

    Parameters
    ----------
    stored
        Event times of the bars that are stored already (UTC).
    window
        Start and end (UTC) of the partitions that a run covers. A window that ends before the last
        stored bar is asked for whole: a person wants it again.
    now
        The clock's time (UTC).
    """
    after, until = max(window[0], feed_start(feed)), min(window[1], now)
    have = np.sort(stored.tz_convert(None).to_numpy("datetime64[us]"))
    inside = have[(have >= moment(window[0])) & (have < moment(window[1]))]
    if not len(inside) or inside[-1] != have[-1]:
        return Wanted(((after, until),))
    market = feed.market
    again = instant_of(inside[-1] - REVISABLE_BARS * np.timedelta64(market.bar))
    due = market.closes(market.day_of(after), market.day_of(until))
    # What lies before the first bar is no gap: the provider has nothing older.
    due = due[(due > max(moment(after), have[0])) & (due <= moment(again))]
    gaps = _runs(due, ~np.isin(due, inside))[-MOST_GAPS:]
    step = market.bar
    spans = [(instant_of(first) - step, instant_of(last)) for first, last in gaps]
    return Wanted((*spans, (max(after, again), until)))


def _runs(due: np.ndarray, absent: np.ndarray) -> list[tuple[np.datetime64, np.datetime64]]:
    """First and last close of each unbroken run of absent bars."""
    edges = np.diff(np.concatenate([[False], absent, [False]]).astype(np.int8))
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [(due[a], due[b]) for a, b in zip(first, last, strict=True)]
