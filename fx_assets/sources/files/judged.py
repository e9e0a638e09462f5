"""Whether the closes that were read are closes of the feed, and what would make them so."""

from __future__ import annotations

import numpy as np

from fx_assets.errors import SourceError
from fx_assets.sources.files.clock import Body, Clock
from fx_assets.sources.files.evidence import ZONES, all_closes, day_close_options, fit
from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.zones import to_utc
from fx_assets.specs import FeedSpec
from fx_assets.specs.sources import FilesSource


def judge_closes(
    body: Body,
    utc: np.ndarray,
    marks: np.ndarray,
    clock: Clock,
    feed: FeedSpec,
    source: FilesSource,
    asked: Asked,
) -> None:
    """Ask about closes of a file that are none of the feed's, where a setting would mend them.

    A few rows off the calendar, which no setting explains, are left to the quality gate.

    Parameters
    ----------
    utc
        The closes.
    marks
        Of daily rows the instants that must be an end of a day: opens where those are stated, else
        the closes.

    Raises
    ------
    SourceError
        Most rows close when no bar of the feed does, and no setting is known that mends it.
    """
    if feed.market.daily:
        _judge_days(body, utc, marks, clock, feed, source, asked)
    else:
        _judge_grid(body, utc, feed)
        if feed.calendar == "24x5":
            _judge_hours(body, utc, clock, feed, asked)


def _judge_days(
    body: Body,
    utc: np.ndarray,
    marks: np.ndarray,
    clock: Clock,
    feed: FeedSpec,
    source: FilesSource,
    asked: Asked,
) -> None:
    market, known, times = feed.market, ~np.isnat(utc), body.times
    off = known & ~np.isin(utc, all_closes(market, utc))
    count, size = int(off.sum()), int(known.sum())
    if not count:
        return
    all_stated = bool(clock.stated.all())
    zone, opens = None if all_stated else clock.zone, all_stated and clock.stamp != "close"
    options = list(day_close_options(marks, feed, zone, opens))
    dates = times.dated or (times.at_midnight and not clock.stated.any())
    if dates and source.timezone:
        options.append(Option({"source.timezone": None}, "the dates name the bars' days"))
    if 2 * count <= size and (count < 2 or not options):
        return
    i = int(np.flatnonzero(off)[0])
    due = all_closes(market, utc[i : i + 1])
    expected = due[np.abs((due - utc[i]).astype(np.int64)).argmin()]
    fitting = "; ".join(map(str, options))
    remedy = (
        f"Set what fits: {fitting}."
        if options
        else "Set day_close of the feed to when the files' days end, such as 00:00 UTC or 00:00 "
        "Europe/Athens, or correct source.timezone or source.stamp."
    )
    how_many = "" if count == size else f" ({count:,} of {size:,} rows are so)"
    asked.ask(
        "day_close",
        f"{body.where(i)}: {body.text(i)!r} closes at "
        f"{_shown(utc[i])} UTC, and daily bars of the feed {feed.name} close at "
        f"{str(expected)[11:16]} UTC on such a day{how_many}.",
        remedy,
        tuple(options),
    )


def _judge_grid(body: Body, utc: np.ndarray, feed: FeedSpec) -> None:
    known = utc[~np.isnat(utc)]
    on_grid = (known - known.astype("datetime64[D]")) % np.timedelta64(feed.market.bar) == 0
    if not len(known) or 2 * on_grid.sum() > len(known):
        return
    i = int(np.flatnonzero(~np.isnat(utc))[np.flatnonzero(~on_grid)[0]])
    raise SourceError(
        f"{body.where(i)}: {body.text(i)!r} closes at "
        f"{_shown(utc[i])} UTC, and bars of {feed.frequency} close on a grid that starts at "
        "midnight UTC.",
        remedy=(
            "Correct source.timezone or source.stamp; bars of 4h in another zone than UTC do not "
            "fit: use files of 1h and frequency: 1h."
        ),
    )


def _judge_hours(
    body: Body,
    utc: np.ndarray,
    clock: Clock,
    feed: FeedSpec,
    asked: Asked,
) -> None:
    """A wrong zone shows at the weekend: each week has bars on closed hours, at one end of it.

    Where another zone would put all on open ones, the weeks count in which the two clocks differ:
    those of Athens and of New York's midnight do so four weeks a year.
    """
    if clock.stated.any() or feed.gate.closed_days.severity != "block":
        return
    known = ~np.isnat(utc)
    off = known & ~feed.market.possible(utc)
    week = (utc - np.timedelta64(3, "D")).astype("datetime64[W]")
    weeks = np.unique(week[off])
    if off.sum() < 2:
        return
    ahead = np.timedelta64(0) if clock.stamp == "close" else np.timedelta64(feed.market.bar)
    better = []
    for zone in ZONES:
        other = to_utc(body.times.local, zone).utc + ahead
        found = fit(feed.market, other)
        differs = np.unique(week[known & (other != utc)])
        if found.inside == found.of and 2 * len(weeks) >= len(differs):
            better.append(Option({"source.timezone": zone}, str(found)))
    if not better:
        return
    i = int(np.flatnonzero(off)[0])
    asked.ask(
        "source.timezone",
        f"{body.where(i)}: {body.text(i)!r} closes at "
        f"{_shown(utc[i])} UTC when it is read as {clock.zone}, when the market is closed; so do "
        f"{int(off.sum()):,} of {int(known.sum()):,} rows.",
        f"Set the zone of the files: {'; '.join(map(str, better[:4]))}. Where {clock.zone} is "
        "right, set gate: {closed_days: {severity: warn}}, which keeps these rows out.",
        (*better, Option({"gate.closed_days": {"severity": "warn"}}, "keeps these rows out")),
    )


def _shown(utc: np.datetime64) -> str:
    return str(utc.astype("datetime64[m]")).replace("T", " ")
