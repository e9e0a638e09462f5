"""When bars close, when they can be known, and when there are none.

A calendar belongs to a feed: a market's sessions, cut into bars of one length. All instants are
UTC; a *day* is a local date of the market. Arrays of instants are NumPy's zoneless
``datetime64[us]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

import holidays
import numpy as np
from numpy.typing import NDArray

from fx_assets.doors import CALENDARS
from fx_assets.errors import SpecError

if TYPE_CHECKING:
    import pandas as pd

Instants = NDArray[Any]
"""UTC instants as NumPy's zoneless ``datetime64[us]``."""
Frequency = Literal["1min", "5min", "15min", "30min", "1h", "4h", "1d"]
FREQUENCIES: Final[tuple[Frequency, ...]] = ("1min", "5min", "15min", "30min", "1h", "4h", "1d")
BAR_LENGTHS: Final[dict[str, timedelta]] = {
    "1min": timedelta(minutes=1),
    "5min": timedelta(minutes=5),
    "15min": timedelta(minutes=15),
    "30min": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
}
"""The length of a bar by frequency."""
DAY: Final = timedelta(days=1)
FRANKFURT: Final = ZoneInfo("Europe/Berlin")
NEW_YORK: Final = ZoneInfo("America/New_York")
PUBLICATION_MOVED: Final = date(2016, 7, 1)
FX_CLOSE: Final = time(17, 0)
DAY_CLOSES: Final = {
    "24x7": "00:00 UTC",
    "24x5": "17:00 America/New_York",
    **dict.fromkeys(("NYSE", "XNYS", "XNAS"), "16:00 America/New_York"),
    **dict.fromkeys(("TSX", "XTSE"), "16:00 America/Toronto"),
    **dict.fromkeys(("LSE", "XLON"), "16:30 Europe/London"),
    **dict.fromkeys(("XETR", "XFRA"), "17:30 Europe/Berlin"),
    **dict.fromkeys(("SIX", "XSWX"), "17:30 Europe/Zurich"),
    **dict.fromkeys(("JPX", "XJPX", "TSE"), "15:30 Asia/Tokyo"),
    **dict.fromkeys(("ASX", "XASX"), "16:00 Australia/Sydney"),
    **dict.fromkeys(("HKEX", "SEHK", "XHKG"), "16:00 Asia/Hong_Kong"),
}
"""When a daily bar closes, unless the feed says otherwise; midnight ends the day. Calendars that
are not here have no custom."""
OWN_CALENDARS: Final = ("target", "24x5", "24x7")
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, eq=False)
class Calendar:
    """A market's sessions, cut into bars.

    Parameters
    ----------
    key
        The calendar as text, from which :func:`calendar` makes it again.
    timezone
        Decides which day an instant belongs to.
    bar
        Length of a bar.
    closed_reason
        Says why a day has no bar, or ``None`` on an open day.
    quiet
        Whether an open day may do without bars, as Christmas does in currency markets.
    last_close
        When the last bar of a day closes.
    publication
        When the bar becomes known that closes at an instant.
    by_custom
        Whether that is told by a custom of the market, rather than by a delay.
    """

    key: str
    timezone: ZoneInfo
    bar: timedelta
    closed_reason: Callable[[date], str | None]
    quiet: Callable[[date], bool]
    last_close: Callable[[date], datetime]
    publication: Callable[[datetime], datetime]
    _sessions: Callable[[int], Instants]
    """All closes of the open days of a year, quiet days included."""
    by_custom: bool = False

    @property
    def daily(self) -> bool:
        """Whether a day has one bar."""
        return self.bar == DAY

    @property
    def _half_hours(self) -> Calendar:
        name = self.key.partition("|")[0]
        return calendar(f"{name}|30min||0")

    @cached_property
    def bars_a_year(self) -> int:
        """How many bars a year has at the mean of twelve years, counted on the calendar.

        256 fixings of the ECB, 259 days and 6,226 hours of currencies, 365 days and 8,766 hours of
        coins. Bars that are shorter than half an hour are counted as parts of one.
        """
        if self.bar < _HALF_HOUR:
            return self._half_hours.bars_a_year * (_HALF_HOUR // self.bar)
        first, end = _TYPICAL
        return round(sum(len(_due_in(self, year)) for year in range(first, end)) / (end - first))

    @cached_property
    def bars_a_day(self) -> int:
        """How many bars most days have that have any: 24 hours of currencies.

        Bars that are shorter than half an hour are counted as parts of one.
        """
        if self.daily:
            return 1
        if self.bar < _HALF_HOUR:
            return self._half_hours.bars_a_day * (_HALF_HOUR // self.bar)
        _, bars = np.unique(self.days(_due_in(self, _TYPICAL[0])), return_counts=True)
        return int(np.bincount(bars).argmax())

    def is_open(self, day: date) -> bool:
        """Whether the day can have a bar."""
        return self.closed_reason(day) is None

    def day_of(self, instant: datetime) -> date:
        """The market's local date at an instant."""
        return instant.astimezone(self.timezone).date()

    def bar_day(self, event_time: datetime) -> date:
        """The day that the bar belongs to which closes at ``event_time``; midnight ends a day."""
        return self.day_of(event_time - _TICK)

    def day_index(self, event_times: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """The days of many bars, as midnights without a zone."""
        local = (event_times - _TICK).tz_convert(str(self.timezone))
        return local.tz_localize(None).normalize()

    def label(self, event_time: datetime) -> str:
        """A bar's name for people: its day, or of an intraday bar its close in UTC."""
        if self.daily:
            return self.bar_day(event_time).isoformat()
        return f"{event_time.astimezone(UTC):%Y-%m-%d %H:%M}"

    def closes(self, first: date, last: date) -> Instants:
        """Every close that is due on the days from ``first`` to ``last``, both included."""
        due = self._due(first.year, last.year)
        start, end = self._bounds(first)[0], self._bounds(last)[1]
        return due[np.searchsorted(due, start, "right") : np.searchsorted(due, end, "right")]

    def possible(self, event_times: Instants) -> NDArray[np.bool_]:
        """Whether each instant is one at which a bar of this market may close."""
        known = event_times[~np.isnat(event_times)]
        if not len(known):
            return np.zeros(len(event_times), dtype=bool)
        closes = _sessions_between(self, _year(known.min()) - 1, _year(known.max()) + 1)
        at = np.minimum(np.searchsorted(closes, event_times), len(closes) - 1)
        return np.asarray(closes[at] == event_times)

    def next_closes(self, event_times: Instants, bars: int = 1) -> Instants:
        """The close that is due ``bars`` bars after each instant; ``bars`` is at least 1."""
        if not len(event_times):
            return event_times
        ahead = 1 + bars // max(1, self.bars_a_year // 2)
        due = self._due(_year(event_times.min()), _year(event_times.max()) + ahead)
        after: Instants = due[np.searchsorted(due, event_times, side="right") + bars - 1]
        return after

    def next_close(self, event_time: datetime, bars: int = 1) -> datetime:
        """The close that is due ``bars`` bars after an instant, in UTC."""
        return instant_of(self.next_closes(np.array([moment(event_time)]), bars)[0])

    def published(self, event_times: Instants) -> Instants:
        """When each bar becomes known."""
        if self.by_custom:
            return self._looked_up(event_times, _publications, self._publication)
        delay = self.publication(_EPOCH) - _EPOCH
        return event_times + np.timedelta64(delay)

    def days(self, event_times: Instants) -> NDArray[np.int64]:
        """The day of each bar, in days since 1970-01-01; as :meth:`bar_day`."""
        return self._looked_up(event_times, _bar_days, self._bar_day).astype(np.int64)

    def _looked_up(
        self,
        event_times: Instants,
        known: Callable[[Calendar, int, int], NDArray[Any]],
        otherwise: Callable[[np.datetime64], Any],
    ) -> NDArray[Any]:
        """Facts of bars from a table of all closes; of other instants one by one."""
        if not len(event_times):
            return known(self, 1970, 1970)[:0]
        years = _year(event_times.min()) - 1, _year(event_times.max()) + 1
        closes = _sessions_between(self, *years)
        at = np.minimum(np.searchsorted(closes, event_times), len(closes) - 1)
        found = known(self, *years)[at]
        for place in np.flatnonzero(closes[at] != event_times):
            found[place] = otherwise(event_times[place])
        return found

    def _publication(self, event_time: np.datetime64) -> np.datetime64:
        return moment(self.publication(instant_of(event_time)))

    def _bar_day(self, event_time: np.datetime64) -> np.datetime64:
        return np.datetime64(self.bar_day(instant_of(event_time)), "D")

    def event_times(self, day: date) -> list[datetime]:
        """When the bars of an open day close, in UTC; empty on a quiet day."""
        return [instant_of(value) for value in self.closes(day, day)]

    def event_time(self, day: date) -> datetime:
        """When the last bar of a day closes, in UTC; on a closed day, when it would."""
        return self.last_close(day)

    def available_at(self, day: date) -> datetime:
        """The earliest moment at which the last bar of a day can be known, in UTC."""
        return self.publication(self.event_time(day))

    def open_days(self, first: date, last: date) -> list[date]:
        """Every day from ``first`` to ``last``, both included, on which bars are due."""
        span = (last - first).days
        days = (first + timedelta(days=i) for i in range(span + 1))
        return [day for day in days if self.is_open(day) and not self.quiet(day)]

    def following(self, day: date, days: int) -> date:
        """The day that is ``days`` days with bars after ``day``; ``days`` is at least 1."""
        while days > 0:
            day += DAY
            days -= self.is_open(day) and not self.quiet(day)
        return day

    def _due(self, first_year: int, last_year: int) -> Instants:
        return _due_between(self, first_year - 1, last_year + 1)

    def _bounds(self, day: date) -> tuple[np.datetime64, np.datetime64]:
        """The local midnights that begin and end a day."""
        start, end = (
            datetime.combine(d, time(), tzinfo=self.timezone).astimezone(UTC)
            for d in (day, day + DAY)
        )
        return moment(start), moment(end)


@lru_cache(maxsize=16)
def _sessions_between(market: Calendar, first_year: int, last_year: int) -> Instants:
    return np.concatenate([market._sessions(year) for year in range(first_year, last_year + 1)])


@lru_cache(maxsize=16)
def _publications(market: Calendar, first_year: int, last_year: int) -> Instants:
    closes = _sessions_between(market, first_year, last_year)
    return np.array([market._publication(value) for value in closes], dtype="datetime64[us]")


@lru_cache(maxsize=16)
def _bar_days(market: Calendar, first_year: int, last_year: int) -> NDArray[Any]:
    closes = _sessions_between(market, first_year, last_year)
    return np.array([market._bar_day(value) for value in closes], dtype="datetime64[D]")


@lru_cache(maxsize=16)
def _due_between(market: Calendar, first_year: int, last_year: int) -> Instants:
    return np.concatenate([_due_in(market, year) for year in range(first_year, last_year + 1)])


@lru_cache(maxsize=512)
def _due_in(market: Calendar, year: int) -> Instants:
    sessions = market._sessions(year)
    days = (date(year, 1, 1) + timedelta(days=i) for i in range(366))
    keep = np.ones(len(sessions), dtype=bool)
    for day in days:
        if day.year == year and market.is_open(day) and market.quiet(day):
            start, end = market._bounds(day)
            keep &= ~((sessions > start) & (sessions <= end))
    return sessions[keep]


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(instant: datetime) -> np.datetime64:
    """An instant as NumPy's zoneless UTC."""
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")


def instant_of(value: np.datetime64) -> datetime:
    """NumPy's zoneless UTC as an instant."""
    naive: datetime = value.astype("datetime64[us]").item()
    return naive.replace(tzinfo=UTC)


def _year(value: np.datetime64) -> int:
    return int(value.astype("datetime64[Y]").astype(np.int64)) + 1970


@cache
def calendar(key: str) -> Calendar:
    """The calendar that a key names: ``name``, or ``name|frequency|day close|delay in minutes``.

    ``target``: TARGET business days with the ECB's fixing at 14:15 in Frankfurt, published at about
    14:30 before 1 July 2016 and at about 16:00 since (ECB, *Euro foreign exchange reference rates:
    new framework*, 7 December 2015). Closing days come from the ``holidays`` library.

    ``24x7``: no pause. ``24x5``: from Sunday 17:00 to Friday 17:00 in New York, daylight saving
    included; bars on 25 December and 1 January are kept where a source has them, and not missed
    where it has none. Intraday bars of both lie on a grid that starts at midnight UTC, and their
    days are UTC days; a daily bar closes at ``day close``, such as ``17:00 America/New_York``.

    Every exchange and country of the ``holidays`` library (``NYSE``, ``XLON``, ``US``, ``JP``, a
    region as ``DE-BY``): its weekdays without its holidays, daily bars only. A holiday of a country
    that falls on a Saturday and is observed on the Friday before is a quiet day: central banks
    often are open then. Early closes count as the usual one.

    Raises
    ------
    KeyError
        No calendar has that name, or it has no custom for the close of a day and none is given.
    """
    name, frequency, day_close, delay = (*key.split("|"), "1d", "", "0")[:4]
    definition = definition_of(name)
    after = timedelta(minutes=float(delay))

    def publication(event_time: datetime) -> datetime:
        return event_time + after

    known = (definition and definition.publication) or publication
    if frequency == "1d":
        close, zone = _close_and_zone(name, day_close or custom_close(name) or DAY_CLOSES[name])
        week = _holiday_week(name) if definition is None else _week_of(definition)
        return _daily(key, week, close, zone, known)
    if definition is None:
        raise KeyError(name)
    return _intraday(key, definition, BAR_LENGTHS[frequency], known)


def _close_and_zone(name: str, day_close: str) -> tuple[time, ZoneInfo]:
    close, _, zone = day_close.partition(" ")
    try:
        return time.fromisoformat(close), ZoneInfo(zone)
    except (ValueError, KeyError, OSError) as error:
        raise SpecError(
            f"The calendar {name} has the day_close {day_close!r}, which is no local time and zone "
            f"({error}).",
            remedy="Say it as '16:00 Asia/Dubai'.",
        ) from error


@dataclass(frozen=True)
class _Week:
    closed_reason: Callable[[date], str | None]
    quiet: Callable[[date], bool]


class CalendarDefinition:
    """Base of calendars, ours and other people's.

    A class states ``name``, as a feed's ``calendar`` says it, and ``day_close``, when a daily bar
    closes: a local time and a zone, such as ``16:00 Asia/Dubai``; midnight ends the day. One that
    is for shorter bars, too, names their ``frequencies`` and says which are ``in_session``.
    """

    door: ClassVar[str] = CALENDARS.group
    name: ClassVar[str]
    day_close: ClassVar[str]
    frequencies: ClassVar[tuple[Frequency, ...]] = ("1d",)
    """The bars that it is for."""
    publication: ClassVar[Callable[[datetime], datetime] | None] = None
    """When a bar is known by a custom of the market; unset means after the feed's delay."""

    @classmethod
    def closed_reason(cls, day: date) -> str | None:
        """Why a day has no bar, such as ``weekend``; ``None`` on an open day."""
        raise NotImplementedError

    @classmethod
    def quiet(cls, day: date) -> bool:  # noqa: ARG003
        """Whether an open day may do without a bar, so that it is not missed."""
        return False

    @classmethod
    def in_session(cls, closes: Instants, bar: timedelta) -> NDArray[np.bool_]:
        """(n,) whether each close, of a grid that starts at midnight UTC, is one of a bar."""
        raise NotImplementedError


def definition_of(name: str) -> type[CalendarDefinition] | None:
    """What came in through the door by that name; ``None`` where the ``holidays`` library tells."""
    if name not in CALENDARS or (name not in OWN_CALENDARS and name in _names()):
        return None
    found: type[CalendarDefinition] = CALENDARS[name]
    return found


def frequencies_of(name: str) -> tuple[Frequency, ...]:
    """The bars that a calendar is for."""
    definition = definition_of(name)
    return ("1d",) if definition is None else definition.frequencies


def custom_close(name: str) -> str | None:
    """When a daily bar of a calendar closes by custom, if there is one."""
    definition = None if name in DAY_CLOSES else definition_of(name)
    return DAY_CLOSES.get(name) if definition is None else definition.day_close


def _week_of(definition: type[CalendarDefinition]) -> _Week:
    return _Week(definition.closed_reason, definition.quiet)


@cache
def _names() -> dict[str, list[str]]:
    """Names of calendars in the library, with their regions."""
    return {**holidays.list_supported_countries(), **holidays.list_supported_financial()}


def is_calendar(name: str) -> bool:
    """Whether a calendar has that name."""
    if definition_of(name) is not None:
        return True
    country, mark, region = name.partition("-")
    regions = _names().get(country)
    return regions is not None and (not mark or region in regions)


def rests_at_weekends(name: str) -> bool:
    """Whether a calendar has no daily bars on Saturdays and Sundays, and only then every week."""
    definition = definition_of(name)
    if definition is not None:
        monday = date(2015, 1, 5)
        week = [definition.closed_reason(monday + timedelta(days=i)) for i in range(28)]
        return all((reason is not None) == (i % 7 >= 5) for i, reason in enumerate(week))
    return _holidays_of(name, _TYPICAL[0])[1] == {5, 6}


def calendars_like(name: str) -> list[str]:
    """Names of calendars that are spelt nearly so."""
    known = [*CALENDARS, *_names()]
    upper = name.upper()
    exact = [each for each in known if each.upper() == upper]
    return exact or get_close_matches(upper, known, n=3)


@lru_cache(maxsize=1024)
def _holidays_of(name: str, year: int) -> tuple[dict[date, str], frozenset[int]]:
    """The holidays of a year by name, and the weekdays that are no working days."""
    if name in holidays.list_supported_financial():
        found = holidays.financial_holidays(name, years=year)
    else:
        country, _, region = name.partition("-")
        found = holidays.country_holidays(country, subdiv=region or None, years=year)
    return dict(found), frozenset(found.weekend)


@cache
def _holiday_week(name: str) -> _Week:
    if not is_calendar(name):
        raise KeyError(name)
    country = name not in holidays.list_supported_financial()

    def closed_reason(day: date) -> str | None:
        off, weekend = _holidays_of(name, day.year)
        if day.weekday() in weekend:
            return "weekend"
        return None if day not in off or quiet(day) else off[day]

    def quiet(day: date) -> bool:
        if not country or day.weekday() != _FRIDAY:
            return False
        after = day + DAY
        observed = _holidays_of(name, day.year)[0].get(day)
        holiday = _holidays_of(name, after.year)[0].get(after)
        return bool(observed and holiday and observed.startswith(holiday))

    return _Week(closed_reason, quiet)


_FRIDAY: Final = 4
_TYPICAL: Final = (2013, 2025)
"""Years over which the bars of a calendar are counted; the last is not among them."""
_HALF_HOUR: Final = timedelta(minutes=30)


@lru_cache(maxsize=256)
def _target_holidays(year: int) -> dict[date, str]:
    return dict(holidays.financial_holidays("ECB", years=year))


@lru_cache(maxsize=20_000)
def _target_publication(event_time: datetime) -> datetime:
    day = event_time.astimezone(FRANKFURT).date()
    local = time(16, 0) if day >= PUBLICATION_MOVED else time(14, 30)
    return datetime.combine(day, local, tzinfo=FRANKFURT).astimezone(UTC)


class Target(CalendarDefinition):
    """TARGET business days, with the ECB's fixing at 14:15 in Frankfurt."""

    name = "target"
    day_close = "14:15 Europe/Berlin"
    publication = staticmethod(_target_publication)

    @classmethod
    def closed_reason(cls, day: date) -> str | None:
        """Weekends and the ECB's holidays."""
        return "weekend" if day.weekday() >= 5 else _target_holidays(day.year).get(day)


class EveryDay(CalendarDefinition):
    """No pause."""

    name = "24x7"
    day_close = DAY_CLOSES["24x7"]
    frequencies = FREQUENCIES

    @classmethod
    def closed_reason(cls, day: date) -> str | None:  # noqa: ARG003
        """Never."""
        return None

    @classmethod
    def in_session(cls, closes: Instants, bar: timedelta) -> NDArray[np.bool_]:  # noqa: ARG003
        """Always."""
        return np.ones(len(closes), dtype=bool)


class CurrencyWeek(CalendarDefinition):
    """From Sunday 17:00 to Friday 17:00 in New York."""

    name = "24x5"
    day_close = DAY_CLOSES["24x5"]
    frequencies = FREQUENCIES

    @classmethod
    def closed_reason(cls, day: date) -> str | None:
        """Weekends."""
        return "weekend" if day.weekday() >= 5 else None

    @classmethod
    def quiet(cls, day: date) -> bool:
        """Christmas and New Year."""
        return (day.month, day.day) in ((12, 25), (1, 1))

    @classmethod
    def in_session(cls, closes: Instants, bar: timedelta) -> NDArray[np.bool_]:
        """Bars that begin in the week; the last ends after it where it does not fit."""
        found = np.zeros(len(closes), dtype=bool)
        if not len(closes):
            return found
        first, last = (closes[i].astype("datetime64[D]").item() for i in (0, -1))
        sunday = first - timedelta(days=first.isoweekday() % 7 + 7)
        while sunday <= last:
            begin, end = (
                moment(datetime.combine(day, FX_CLOSE, tzinfo=NEW_YORK))
                for day in (sunday, sunday + timedelta(days=5))
            )
            found |= (closes > begin) & (closes < end + np.timedelta64(bar))
            sunday += timedelta(days=7)
        return found


def _daily(
    key: str,
    week: _Week,
    close: time,
    zone: ZoneInfo,
    publication: Callable[[datetime], datetime],
) -> Calendar:
    ahead = DAY if close == time() else timedelta()

    def last_close(day: date) -> datetime:
        return datetime.combine(day + ahead, close, tzinfo=zone).astimezone(UTC)

    @lru_cache(maxsize=128)
    def sessions(year: int) -> Instants:
        days = (date(year, 1, 1) + timedelta(days=i) for i in range(366))
        open_days = (d for d in days if d.year == year and week.closed_reason(d) is None)
        return np.array([moment(last_close(day)) for day in open_days], dtype="datetime64[us]")

    return Calendar(
        key=key,
        timezone=zone,
        bar=DAY,
        closed_reason=week.closed_reason,
        quiet=week.quiet,
        last_close=last_close,
        publication=publication,
        _sessions=sessions,
        by_custom=getattr(definition_of(key.partition("|")[0]), "publication", None) is not None,
    )


def _intraday(
    key: str,
    definition: type[CalendarDefinition],
    bar: timedelta,
    publication: Callable[[datetime], datetime],
) -> Calendar:
    step = np.timedelta64(bar)

    def bars_of(day: date) -> Instants:
        at = np.datetime64(day, "us")
        inside = sessions(day.year)
        first, last = np.searchsorted(inside, [at, at + np.timedelta64(DAY)], side="right")
        return inside[first:last]

    def closed_reason(day: date) -> str | None:
        return None if len(bars_of(day)) else definition.closed_reason(day) or "no session"

    def last_close(day: date) -> datetime:
        inside = bars_of(day)
        return instant_of(inside[-1] if len(inside) else np.datetime64(day + DAY, "us"))

    @lru_cache(maxsize=128)
    def sessions(year: int) -> Instants:
        first, last = (np.datetime64(f"{y}-01-01", "us") for y in (year, year + 1))
        grid: Instants = np.arange(first + step, last + step, step)
        inside: Instants = grid[definition.in_session(grid, bar)]
        return inside

    return Calendar(
        key=key,
        timezone=ZoneInfo("UTC"),
        bar=bar,
        closed_reason=closed_reason,
        quiet=definition.quiet,
        last_close=last_close,
        publication=publication,
        _sessions=sessions,
        by_custom=definition.publication is not None,
    )
