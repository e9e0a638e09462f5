"""From the local times of one file to the UTC instants at which its bars close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fx_assets.calendars import DAY, Calendar, moment
from fx_assets.errors import SourceError
from fx_assets.sources.files_dates import Times
from fx_assets.sources.files_formats import Layout, time_text
from fx_assets.sources.files_tables import Table
from fx_assets.sources.files_texts import NAT
from fx_assets.sources.files_zones import to_utc
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
    """

    utc: np.ndarray
    undecided: np.ndarray
    skipped: np.ndarray
    between: np.ndarray


def _refuse_other_frequency(table: Table, layout: Layout, times: Times, feed: FeedSpec) -> None:
    """Refuse rows that are further apart, or closer, than the feed's bars."""
    bar = np.timedelta64(feed.market.bar)
    if layout.format == "coingecko":
        return
    example = f"{table.file} has rows such as {time_text(table, layout, 0)!r}"
    if times.dated and not feed.market.daily:
        raise SourceError(
            f"{example}, a date without a time, and the feed {feed.name} has bars of "
            f"{feed.frequency}.",
            remedy="Set frequency: 1d, or take the daily files out of source.path.",
        )
    steps = np.abs(np.diff(times.local))
    steps = steps[steps > np.timedelta64(0)]
    if len(steps) < 3 or (steps == bar).mean() > 0.1:
        return
    sizes, counts = np.unique(steps, return_counts=True)
    usual = sizes[counts.argmax()]
    if usual == bar or (feed.market.daily and np.timedelta64(20, "h") < usual < 2 * bar):
        return
    raise SourceError(
        f"{example} that are mostly {_length(usual)} apart, and the feed {feed.name} has bars of "
        f"{feed.frequency}.",
        remedy=f"Set frequency to what the files hold, or take {table.file} out of source.path.",
    )


def _length(step: np.timedelta64) -> str:
    seconds = float(step / np.timedelta64(1, "s"))
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} seconds"


def closes_of(
    table: Table, layout: Layout, times: Times, feed: FeedSpec, source: FilesSource
) -> Closes:
    """When the rows of a file close.

    Raises
    ------
    SourceError
        The zone, or whether an instant is an open or a close, is not known, or the rows are not
        bars of the feed's frequency and calendar.
    """
    _refuse_other_frequency(table, layout, times, feed)
    nowhere = np.zeros(len(times.local), dtype=bool)
    zone = source.timezone or layout.zone
    stated = ~np.isnat(times.offset)
    if zone is None and layout.zone_matters:
        raise _zone_needed(table, layout)
    if feed.market.daily and _are_labels(layout, times, source):
        return Closes(_label_closes(times, feed), nowhere, nowhere, nowhere)
    if zone is None and not stated.all():
        raise _zone_needed(table, layout)
    stamp = source.stamp or layout.stamp
    if stamp is None:
        example = time_text(table, layout, 0)
        raise SourceError(
            f"{table.file}: {example!r} can be the open or the close of a bar of "
            f"{feed.frequency}, and the file does not tell.",
            remedy="Set source.stamp: open or close.",
        )
    ahead = np.timedelta64(DAY) if stamp == "open" and feed.market.daily else np.timedelta64(0)
    utc = times.local - np.where(stated, times.offset, np.timedelta64(0))
    undecided, skipped = nowhere, nowhere
    if not stated.all():
        instants = to_utc(times.local + ahead, str(zone))
        utc = np.where(stated, utc + ahead, instants.utc)
        undecided, skipped = instants.undecided & ~stated, instants.skipped & ~stated
    else:
        utc = utc + ahead
    if stamp == "open" and not feed.market.daily:
        utc = utc + np.timedelta64(feed.market.bar)
    elif stamp == "close":
        utc = _whole(utc)
    if layout.format == "coingecko":
        at_close = _points(utc, feed.market)
        return Closes(at_close, undecided, skipped, np.isnat(at_close) & ~np.isnat(utc))
    _refuse_other_grid(table, layout, utc, feed)
    return Closes(utc, undecided, skipped, nowhere)


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


def _zone_needed(table: Table, layout: Layout) -> SourceError:
    example = time_text(table, layout, 0)
    return SourceError(
        f"{table.file} has instants such as {example!r}, and does not say of which time zone.",
        remedy=f"Set source.timezone. {layout.help}".strip(),
    )


def _are_labels(layout: Layout, times: Times, source: FilesSource) -> bool:
    """Whether a daily row's date names the bar's day, so that the feed says when it closes."""
    if layout.zone_matters:
        return False
    if layout.labels or times.dated:
        return True
    unsaid = source.timezone is None and layout.zone is None and source.stamp is None
    return unsaid and times.at_midnight and bool(np.isnat(times.offset).all())


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


def _refuse_other_grid(table: Table, layout: Layout, utc: np.ndarray, feed: FeedSpec) -> None:
    """Refuse a file most of whose bars close when no bar of the feed does."""
    market, known = feed.market, utc[~np.isnat(utc)]
    if market.daily:
        days, place = np.unique(known.astype("datetime64[D]"), return_inverse=True)
        around = [{moment(market.event_time(d.item())) for d in (day - 1, day)} for day in days]
        on_grid = np.array([value in around[i] for value, i in zip(known, place, strict=True)])
    else:
        on_grid = (known - known.astype("datetime64[D]")) % np.timedelta64(market.bar) == 0
    if not len(known) or 2 * on_grid.sum() > len(known):
        return
    i = int(np.flatnonzero(~on_grid)[0])
    close = str(known[i].astype("datetime64[m]")).replace("T", " ")
    if market.daily:
        due = str(moment(market.event_time(market.bar_day(pd.Timestamp(known[i], tz="UTC")))))
        expected = f"daily bars of the feed {feed.name} close at {due[11:16]} UTC on such a day"
        remedy = (
            "Set day_close of the feed to when the files' days end, such as 00:00 UTC or "
            "00:00 Europe/Athens, or correct source.timezone or source.stamp."
        )
    else:
        expected = f"bars of {feed.frequency} close on a grid that starts at midnight UTC"
        remedy = (
            "Correct source.timezone or source.stamp; bars of 4h in another zone than UTC do not "
            "fit: use files of 1h and frequency: 1h."
        )
    raise SourceError(
        f"{table.file}: {time_text(table, layout, i)!r} closes at {close} UTC, and {expected}.",
        remedy=remedy,
    )
