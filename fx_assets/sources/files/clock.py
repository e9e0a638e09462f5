"""Which clock the instants of a file are read on, and what they are of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fx_assets.sources.files.dates import Times
from fx_assets.sources.files.evidence import fit, zone_options
from fx_assets.sources.files.formats import Layout, time_text
from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.tables import Table
from fx_assets.sources.files.zones import offsets_of, to_utc
from fx_assets.specs import FeedSpec
from fx_assets.specs.sources import FilesSource

_NO_TIME = np.timedelta64(0, "us")


@dataclass(frozen=True)
class Body:
    """The rows of a file that may be bars, with their times.

    Parameters
    ----------
    rows
        Their positions in the table, counted without the rows that are header.
    """

    table: Table
    layout: Layout
    times: Times
    rows: np.ndarray

    def text(self, i: int) -> str:
        """What the file says about the time of a row."""
        return time_text(self.table, self.layout, int(self.rows[i])) if len(self.rows) else ""

    def where(self, i: int) -> str:
        """A row as ``file line n``."""
        return self.table.where(int(self.rows[i]) + self.layout.skipped)


@dataclass(frozen=True)
class Clock:
    """How the instants of a file are read.

    Parameters
    ----------
    zone
        Of instants that do not state their offset; ``None`` where it is not known.
    stamp
        Whether an instant is the bar's open or its close; ``None`` where it is not known.
    stated
        Which rows state their instant: an epoch, or an offset from UTC.
    label
        Whether a row's date names the bar's day, so that the feed says when it closes.
    """

    zone: str | None
    stamp: Literal["open", "close"] | None
    stated: np.ndarray
    label: bool = False


def read_clock(body: Body, feed: FeedSpec, source: FilesSource, asked: Asked) -> Clock:
    """The clock of a file's instants; what is not known, or contradictory, is asked."""
    layout, times = body.layout, body.times
    stated = ~np.isnat(times.offset)
    if source.offsets == "local":
        stated = np.zeros(len(stated), dtype=bool)
    zone, stamp = source.timezone or layout.zone, source.stamp or layout.stamp
    if feed.market.daily and _are_labels(layout, times, feed, source):
        return Clock(zone, stamp, stated, label=True)
    if times.dated and feed.market.daily and zone is not None:
        stamp = "open"
    clock = Clock(zone, stamp, stated)
    if zone is None and (layout.zone_matters or not stated.all()):
        _ask_zone(body, clock, feed, asked)
    elif source.timezone:
        _ask_about_contradictions(body, clock, feed, source, asked)
    if stamp is None:
        _ask_stamp(body, clock, feed, asked)
    return clock


def _are_labels(layout: Layout, times: Times, feed: FeedSpec, source: FilesSource) -> bool:
    """Whether a daily row's date names the bar's day, so that the feed says when it closes."""
    if layout.zone_matters:
        return False
    if times.dated:
        return source.timezone in (None, str(feed.market.timezone))
    unsaid = source.timezone is None and layout.zone is None and bool(np.isnat(times.offset).all())
    return unsaid and times.at_midnight and (layout.labels or source.stamp is None)


def _ahead(clock: Clock, feed: FeedSpec) -> np.timedelta64:
    return _NO_TIME if clock.stamp == "close" else np.timedelta64(feed.market.bar)


def _ask_zone(body: Body, clock: Clock, feed: FeedSpec, asked: Asked) -> None:
    layout, times = body.layout, body.times
    local = times.local[~clock.stated]
    options = zone_options(local, feed, clock.stamp)
    likely = "; ".join([str(option) for option in options if option.evidence][:4])
    if layout.custom_zone:
        options = _with_custom(layout.custom_zone, options, local, feed)
    asked.ask(
        "source.timezone",
        f"{body.table.file} has instants such as {body.text(0)!r}, and does not say of which time "
        "zone.",
        f"Set source.timezone. {layout.help}".strip()
        + (f" By the calendar: {likely}." if likely else ""),
        options,
    )


def _with_custom(
    custom: tuple[Option, ...], options: tuple[Option, ...], local: np.ndarray, feed: FeedSpec
) -> tuple[Option, ...]:
    """The zones with those that only a format has: first where they fit the calendar."""
    if feed.market.daily or feed.calendar != "24x5":
        return (*custom, *options)
    ours = {"histdata": "Etc/GMT+5", "dukascopy": "UTC"}
    fits = [
        fit(
            feed.market,
            to_utc(local, ours.get(str(option.settings.get("source.format")), "UTC")).utc
            + np.timedelta64(feed.market.bar),
        )
        for option in custom
    ]
    told = [
        Option(option.settings, f"{option.evidence}: {found}")
        for option, found in zip(custom, fits, strict=True)
    ]
    if all(found.inside == found.of for found in fits):
        return (*told, *options)
    return (*options, *told)


def _ask_stamp(body: Body, clock: Clock, feed: FeedSpec, asked: Asked) -> None:
    asked.ask(
        "source.stamp",
        f"{body.table.file}: {body.text(0)!r} can be the open or the close of a bar of "
        f"{feed.frequency}, and the file does not tell.",
        "Set source.stamp: open or close.",
        _stamp_options(body, clock, feed),
    )


def _stamp_options(body: Body, clock: Clock, feed: FeedSpec) -> tuple[Option, ...]:
    """Open and close, the one first by which more bars fall on open hours."""
    plain = (Option({"source.stamp": "open"}), Option({"source.stamp": "close"}))
    if feed.calendar != "24x5" or feed.market.daily:
        return plain
    if clock.zone is None and not clock.stated.all():
        return plain
    times = body.times
    utc = times.local - np.where(clock.stated, times.offset, _NO_TIME)
    if not clock.stated.all():
        utc = np.where(clock.stated, utc, to_utc(times.local, str(clock.zone)).utc)
    as_open = fit(feed.market, utc + np.timedelta64(feed.market.bar))
    as_close = fit(feed.market, utc)
    if as_open.inside == as_close.inside:
        return plain
    told = (
        Option({"source.stamp": "open"}, str(as_open)),
        Option({"source.stamp": "close"}, str(as_close)),
    )
    return told if as_open.inside > as_close.inside else told[::-1]


def _ask_about_contradictions(
    body: Body, clock: Clock, feed: FeedSpec, source: FilesSource, asked: Asked
) -> None:
    """A declared zone that the file contradicts is neither ignored nor believed."""
    layout, times = body.layout, body.times
    declared, stated = str(source.timezone), clock.stated
    if layout.zone_in_header and layout.zone and "time" not in source.columns:
        here = to_utc(times.local, declared).utc != to_utc(times.local, layout.zone).utc
        if here.any():
            column = layout.columns["time"]
            asked.ask(
                "source.timezone",
                f"{body.table.file} calls its instants {column!r}, which says {layout.zone}, and "
                f"source.timezone is {declared}.",
                f"Remove source.timezone; where the header is wrong, keep it and set "
                f"source.columns: {{time: {column}}}.",
                (
                    Option({"source.timezone": None}),
                    Option({"source.columns.time": column}),
                ),
            )
        return
    if not stated.all() or not len(stated):
        return
    utc = times.local - times.offset
    other = offsets_of(utc, declared) != times.offset
    other &= ~np.isnat(utc)
    if not other.any():
        return
    i = int(np.flatnonzero(other)[0])
    ahead, market = _ahead(clock, feed), feed.market
    as_stated, as_local = "", ""
    if not market.daily:
        as_stated = str(fit(market, utc + ahead))
        as_local = str(fit(market, to_utc(times.local, declared).utc + ahead))
    kind = "is an epoch, which counts from 1970 in UTC" if times.epochs else "states its offset"
    read = f" ({as_stated})" if as_stated else ""
    local = f" ({as_local})" if as_local else ""
    asked.ask(
        "source.offsets",
        f"{body.where(i)}: {body.text(i)!r} {kind}, and "
        f"source.timezone is {declared}, which has another one there.",
        f"Remove source.timezone{read}; where the file writes the clock of {declared} as if it "
        f"were UTC, as exports of MetaTrader's API do, set source.offsets: local{local}.",
        (
            Option({"source.timezone": None}, as_stated),
            Option({"source.offsets": "local"}, as_local),
        ),
    )
