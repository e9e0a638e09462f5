"""Which settings would make a file's bars close when bars of the feed do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from fx_assets.calendars import Calendar, calendar, instant_of, moment
from fx_assets.sources.files.questions import Option
from fx_assets.sources.files.zones import offsets_of, to_utc
from fx_assets.specs import FeedSpec

ZONES = (
    *("UTC", "America/New_York+7", "Europe/Athens", "Etc/GMT+5", "America/New_York"),
    *("Europe/London", "Europe/Berlin", "Etc/GMT-2", "Etc/GMT-3", "Etc/GMT-1", "America/Chicago"),
    *("Asia/Tokyo", "Asia/Singapore", "Asia/Kolkata", "Australia/Sydney"),
)
"""Clocks that files of prices are written in, the most usual first."""
DAY_CLOSES = (
    *("17:00 America/New_York", "00:00 UTC", "00:00 Europe/London", "00:00 Europe/Athens"),
    *("00:00 America/New_York", "00:00 Europe/Berlin", "00:00 Asia/Tokyo", "00:00 Asia/Kolkata"),
    *("00:00 Etc/GMT+5", "00:00 Etc/GMT-2", "00:00 Etc/GMT-3", "00:00 Australia/Sydney"),
)
"""When the days of files of prices end, the most usual first."""
_LOCAL_ENDS = ("America/New_York", "UTC", "Europe/London", "Europe/Berlin", "Asia/Tokyo")
_OFFERED, _A_YEAR = 8, 366


@dataclass(frozen=True)
class Fit:
    """How many of some closes are closes of the feed's calendar."""

    inside: int
    of: int

    def __str__(self) -> str:
        if self.inside == self.of:
            return f"all {self.of:,} bars fall on open hours"
        return f"{self.of - self.inside:,} of {self.of:,} bars fall on closed hours"


def fit(market: Calendar, utc: np.ndarray) -> Fit:
    """How well closes fit the calendar."""
    known = utc[~np.isnat(utc)]
    return Fit(int(market.possible(known).sum()), len(known)) if len(known) else Fit(0, 0)


def zone_options(
    local: np.ndarray, feed: FeedSpec, stamp: Literal["open", "close"] | None
) -> tuple[Option, ...]:
    """The zones by how well local clocks fit the calendar.

    Parameters
    ----------
    stamp
        Whether they are of opens or of closes; where that is not known, each zone is offered with
        either, as far as the calendar tells them apart.
    """
    market = feed.market
    if market.daily:
        return tuple(Option({"source.timezone": zone}) for zone in ZONES[:_OFFERED])
    tells = market.key.startswith("24x5")
    stamps = (stamp,) if stamp else ("open", "close") if tells else ("open",)
    fits = []
    for zone in ZONES:
        utc = to_utc(local, zone).utc
        for said in stamps:
            ahead = np.timedelta64(0) if said == "close" else np.timedelta64(market.bar)
            settings = {"source.timezone": zone}
            settings |= {"source.stamp": said} if tells and stamp is None else {}
            fits.append((settings, fit(market, utc + ahead)))
    best = sorted(fits, key=lambda pair: pair[1].inside / max(1, pair[1].of), reverse=True)
    return tuple(
        Option(settings, str(found) if tells else "") for settings, found in best[:_OFFERED]
    )


def all_closes(market: Calendar, utc: np.ndarray) -> np.ndarray:
    """The close of every day around some instants, open or not."""
    known = utc[~np.isnat(utc)]
    if not len(known):
        return np.asarray(known)
    first, last = (instant_of(t).date().toordinal() for t in (known.min(), known.max()))
    return _closes_between(market.key, max(1, first - 3), last + 3)


@lru_cache(maxsize=64)
def _closes_between(key: str, first: int, last: int) -> np.ndarray:
    market = calendar(key)
    days = (date.fromordinal(number) for number in range(first, last + 1))
    return np.array([moment(market.event_time(d)) for d in days], dtype="datetime64[us]")


def marks_to_closes(marks: np.ndarray, market: Calendar, opens: bool) -> np.ndarray:
    """The closes of bars by the ends of days that they close at, or open at."""
    if not opens:
        return marks
    ends = all_closes(market, marks)
    return np.asarray(ends[np.minimum(np.searchsorted(ends, marks, "right"), len(ends) - 1)])


def day_close_options(
    utc: np.ndarray, feed: FeedSpec, zone: str | None, opens: bool
) -> tuple[Option, ...]:
    """The ``day_close`` settings under which every daily bar closes when one of the feed's does.

    Those are offered by which the most bars are of open days, and of several that mean the same
    the first one.

    Parameters
    ----------
    utc
        When bars close, or where ``opens`` when they open.
    zone
        Of the files, where that is known.
    """
    known = utc[~np.isnat(utc)]
    if not len(known):
        return ()
    own = [zone] if zone and _is_zone(zone) else []
    own += ["Europe/Berlin"] if feed.calendar == "target" else []
    candidates = [*(f"00:00 {name}" for name in own), *DAY_CLOSES]
    for name in [*own, *_LOCAL_ENDS]:
        local = known + offsets_of(known, name)
        clocks = np.unique(local - local.astype("datetime64[D]"))
        if len(clocks) == 1 and clocks[0] % np.timedelta64(1, "m") == np.timedelta64(0):
            minutes = int(clocks[0] / np.timedelta64(1, "m"))
            candidates.append(f"{minutes // 60:02d}:{minutes % 60:02d} {name}")
    of_fixings = {"calendar": "24x5"} if feed.calendar == "target" else {}
    name = of_fixings.get("calendar", feed.calendar)
    markets = {close: calendar(f"{name}|1d|{close}|0") for close in dict.fromkeys(candidates)}
    fitting = {
        close: int(market.possible(marks_to_closes(known, market, opens)).sum())
        for close, market in markets.items()
        if np.isin(known, all_closes(market, known)).all()
    }
    most = max(fitting.values(), default=0)
    last = instant_of(known.max()).date().toordinal()
    found: list[Option] = []
    alike: list[np.ndarray] = []
    for close in (close for close, inside in fitting.items() if inside == most):
        ends = _closes_between(markets[close].key, last, last + _A_YEAR)
        if not any(np.isin(ends[2:-2], other).all() for other in alike):
            alike.append(ends)
            settings = {**of_fixings, "day_close": close}
            found.append(Option(settings, f"all {len(known):,} bars close then"))
    return tuple(found)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
