"""From the local times of one file to the UTC instants at which its bars close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fx_assets.calendars import BAR_LENGTHS, DAY, DAY_CLOSES, Calendar, moment
from fx_assets.errors import SourceError
from fx_assets.sources.files.clock import Body, read_clock
from fx_assets.sources.files.dates import Times
from fx_assets.sources.files.evidence import all_closes
from fx_assets.sources.files.judged import judge_closes
from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.texts import NAT
from fx_assets.sources.files.zones import to_utc
from fx_assets.specs import FeedSpec
from fx_assets.specs.sources import FilesSource

POINT_REACH = np.timedelta64(1, "h")
"""The last point no longer than this before a close is the price at the close."""


@dataclass(frozen=True)
class Closes:
    """When the rows of a file close.

    Parameters
    ----------
    utc
        ``datetime64[us]``; NaT where the other three say why.
    undecided
        Local times that come twice, where the rows do not tell which is meant.
    skipped
        Local times that the zone's clocks jump over.
    between
        Points that are not the last one shortly before a close.
    unfinished
        Daily rows whose instant is in the middle of a bar, after all others.
    """

    utc: np.ndarray
    undecided: np.ndarray
    skipped: np.ndarray
    between: np.ndarray
    unfinished: np.ndarray | None = None


def _of_its_frequency(body: Body, feed: FeedSpec, asked: Asked) -> FeedSpec:
    """The feed, or where the rows are further apart or closer than its bars one of their frequency.

    Raises
    ------
    SourceError
        No feed has bars as far apart as the rows.
    """
    table, layout, times = body.table, body.layout, body.times
    bar = np.timedelta64(feed.market.bar)
    if layout.format == "coingecko":
        return feed
    example = f"{table.file} has rows such as {body.text(0)!r}"
    if times.dated and not feed.market.daily:
        asked.ask(
            "frequency",
            f"{example}, a date without a time, and the feed {feed.name} has bars of "
            f"{feed.frequency}.",
            "Set frequency: 1d, or take the daily files out of source.path.",
            (Option({"frequency": "1d"}),),
        )
        return feed.model_copy(update={"frequency": "1d"})
    steps = np.diff(np.sort(times.local[~np.isnat(times.local)]))
    steps = steps[steps > np.timedelta64(0)]
    if len(steps) < 3 or (steps == bar).mean() > 0.1:
        return feed
    sizes, counts = np.unique(steps, return_counts=True)
    usual = sizes[counts.argmax()]
    if usual == bar or (feed.market.daily and np.timedelta64(20, "h") < usual < 2 * bar):
        return feed
    message = (
        f"{example} that are mostly {_length(usual)} apart, and the feed {feed.name} has bars of "
        f"{feed.frequency}."
    )
    for name, length in BAR_LENGTHS.items():
        if usual == np.timedelta64(length) and feed.calendar in DAY_CLOSES:
            asked.ask(
                "frequency",
                message,
                f"Set frequency: {name}, or take {table.file} out of source.path.",
                (Option({"frequency": name}),),
            )
            return feed.model_copy(update={"frequency": name, "day_close": None})
    raise SourceError(
        message,
        remedy=f"Bars are of {', '.join(BAR_LENGTHS)}: export those, or take {table.file} out of "
        "source.path.",
    )


def _length(step: np.timedelta64) -> str:
    seconds = float(step / np.timedelta64(1, "s"))
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} seconds"


def closes_of(body: Body, feed: FeedSpec, source: FilesSource, asked: Asked) -> Closes:
    """When the rows of a file close.

    What is not known, such as the zone, is asked, and the closes are provisional then.

    Raises
    ------
    SourceError
        The rows are not bars of the feed's frequency and calendar.
    """
    layout, times = body.layout, body.times
    open_questions = len(asked.questions)
    feed = _of_its_frequency(body, feed, asked)
    nowhere = np.zeros(len(times.local), dtype=bool)
    clock = read_clock(body, feed, source, asked)
    if clock.label:
        return Closes(_label_closes(times, feed), nowhere, nowhere, nowhere)
    stated, zone = clock.stated, clock.zone or "UTC"
    stamp = clock.stamp or "open"
    daily_open = stamp == "open" and feed.market.daily
    ahead = np.timedelta64(DAY) if daily_open else np.timedelta64(0)
    utc = times.local - np.where(stated, times.offset, np.timedelta64(0))
    marks = utc
    if daily_open:
        utc = _closes_after(utc, feed)
    undecided, skipped = nowhere, nowhere
    if not stated.all():
        instants = to_utc(times.local + ahead, zone)
        utc = np.where(stated, utc, instants.utc)
        undecided, skipped = instants.undecided & ~stated, instants.skipped & ~stated
    if stamp == "open" and not feed.market.daily:
        utc = utc + np.timedelta64(feed.market.bar)
    elif stamp == "close":
        utc = _whole(utc)
    if layout.format == "coingecko":
        at_close = _points(utc, feed.market)
        return Closes(at_close, undecided, skipped, np.isnat(at_close) & ~np.isnat(utc))
    if len(asked.questions) > open_questions:
        return Closes(utc, undecided, skipped, nowhere)
    unfinished = nowhere
    if feed.market.daily:
        unfinished = _newest_quote(utc, feed) if stamp == "open" else nowhere
        utc = np.where(unfinished, NAT, utc)
    marks = marks if daily_open and stated.all() else utc
    judge_closes(body, utc, np.where(np.isnat(utc), NAT, marks), clock, feed, source, asked)
    return Closes(utc, undecided, skipped, nowhere, unfinished)


def _closes_after(opens: np.ndarray, feed: FeedSpec) -> np.ndarray:
    """The closes of daily bars that open at these instants: the next after the one they open at.

    An instant at which no bar of the feed opens is taken 24 hours on, and fits no close either.
    """
    ends = all_closes(feed.market, opens)
    if not len(ends):
        return opens
    place = np.minimum(np.searchsorted(ends, opens), len(ends) - 2)
    return np.where(ends[place] == opens, ends[place + 1], opens + np.timedelta64(DAY))


def _newest_quote(utc: np.ndarray, feed: FeedSpec) -> np.ndarray:
    """The newest row where it alone does not begin at an open: a price of the unfinished day."""
    off = ~np.isin(utc, all_closes(feed.market, utc)) & ~np.isnat(utc)
    alone = len(utc) > 2 and off.sum() == 1 and utc[off][0] == utc[~np.isnat(utc)].max()
    return off if alone else np.zeros(len(utc), dtype=bool)


def _points(utc: np.ndarray, market: Calendar) -> np.ndarray:
    """The closes of the last points before them, NaT for every other point.

    A bar is finished when a point at its close or after it exists.
    """
    known = utc[~np.isnat(utc)]
    closes = np.full(len(utc), NAT)
    if not len(known):
        return closes
    first, last = (pd.Timestamp(t).date() for t in (known.min(), known.max()))
    due = market.closes(first - DAY, last + DAY)
    order = np.argsort(utc, kind="stable")[: len(known)]
    place = np.minimum(np.searchsorted(due, utc[order], side="left"), len(due) - 1)
    is_last = np.append(place[1:] != place[:-1], True)
    reach = min(POINT_REACH, np.timedelta64(market.bar))
    near = (due[place] - utc[order] < reach) & (due[place] >= utc[order])
    chosen = is_last & near & (due[place] <= known.max())
    closes[order[chosen]] = due[place[chosen]]
    return closes


def _label_closes(times: Times, feed: FeedSpec) -> np.ndarray:
    days, place = np.unique(times.local.astype("datetime64[D]"), return_inverse=True)
    closes = [moment(feed.market.event_time(day.item())) for day in days]
    return np.asarray(np.array(closes, dtype="datetime64[us]")[place])


def _whole(utc: np.ndarray) -> np.ndarray:
    """Closes that are written as the last second or millisecond of the bar are those of the bar."""
    rest = -utc.astype(np.int64) % 60_000_000
    known = ~np.isnat(utc)
    if known.any() and (rest[known] <= 1_000_000).all():
        return np.asarray(np.where(known, utc + rest.astype("timedelta64[us]"), NAT))
    return utc
