"""A currency that nobody can predict, and the ECB that publishes it, with all its bad days."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from zoneinfo import ZoneInfo

import holidays
import numpy as np

from fx_assets.testing.vendors.ecb_server import EcbServer, daily_xml, ok, status

CURRENCY = "JPY"
"""Far from par, so that an inverted rate is far from the right one."""
FRANKFURT = ZoneInfo("Europe/Berlin")
CLOSE, PUBLICATION = time(14, 15), time(16, 0)
"""Local times of a fixing and of its publication, since July 2016."""
FIRST_DAY = date(2016, 7, 1)
DAILY_VOLATILITY = 0.005
DECIMALS = 2
HISTORY_PATH, DAILY_PATH = "/eurofxref-hist.zip", "/eurofxref-daily.xml"
UNAVAILABLE = 503


@lru_cache(maxsize=64)
def _closing_days(year: int) -> frozenset[date]:
    return frozenset(holidays.financial_holidays("ECB", years=year))


def is_open(day: date) -> bool:
    """Whether the ECB fixes on a day; worked out apart from the platform's own calendars."""
    return day.weekday() < 5 and day not in _closing_days(day.year)


def open_days(first: date, count: int) -> list[date]:
    """The first ``count`` open days from ``first`` on."""
    days: list[date] = []
    day = first
    while len(days) < count:
        if is_open(day):
            days.append(day)
        day += timedelta(days=1)
    return days


def at(day: date, local: time) -> datetime:
    """An instant in UTC from a local time in Frankfurt."""
    return datetime.combine(day, local, tzinfo=FRANKFURT).astimezone(UTC)


def random_walk(days: list[date], seed: int) -> dict[date, float]:
    """Rates whose log returns are independent and normal: there is nothing to learn."""
    steps = np.random.default_rng(seed).standard_normal(len(days)) * DAILY_VOLATILITY
    rates = 130.0 * np.exp(np.cumsum(steps))
    return dict(zip(days, rates.round(DECIMALS).tolist(), strict=True))


@dataclass(frozen=True)
class Distortion:
    """What the vendor says of one day instead of the truth, from one instant to another.

    ``change`` gets the true rate; ``None`` leaves the day out.
    """

    day: date
    since: datetime
    until: datetime
    change: Callable[[float], float | None]

    def applies(self, day: date, now: datetime) -> bool:
        return day == self.day and self.since <= now < self.until


@dataclass
class Vendor:
    """The ECB: publishes each fixing at its hour, except where it is told to fail."""

    rates: dict[date, float]
    clock: Callable[[], datetime]
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    distortions: list[Distortion] = field(default_factory=list)

    def serve(self, server: EcbServer) -> None:
        """Answer at both addresses of the ECB."""
        server.script(HISTORY_PATH, self._history)
        server.script(DAILY_PATH, self._daily)

    def is_down(self, now: datetime) -> bool:
        return any(since <= now < until for since, until in self.outages)

    def published(self, now: datetime) -> dict[date, float]:
        """What the files say at an instant, oldest first."""
        said: dict[date, float] = {}
        for day, rate in self.rates.items():
            if at(day, PUBLICATION) > now:
                break
            shown: float | None = rate
            for distortion in self.distortions:
                if distortion.applies(day, now):
                    shown = distortion.change(rate)
            if shown is not None:
                said[day] = shown
        return said

    def truth(self, now: datetime) -> dict[date, float]:
        """The final value of every day that should be known at an instant."""
        return {day: rate for day, rate in self.rates.items() if at(day, PUBLICATION) <= now}

    def _history(self, request: BaseHTTPRequestHandler) -> None:
        now = self.clock()
        if self.is_down(now):
            status(UNAVAILABLE)(request)
            return
        rows = [f"{day},{rate!r}," for day, rate in self.published(now).items()]
        ok(_zipped("\n".join([f"Date,{CURRENCY},", *reversed(rows)]) + "\n"))(request)

    def _daily(self, request: BaseHTTPRequestHandler) -> None:
        now = self.clock()
        if self.is_down(now):
            status(UNAVAILABLE)(request)
            return
        day, rate = list(self.published(now).items())[-1]
        ok(daily_xml(str(day), **{CURRENCY: repr(rate)}))(request)


def _zipped(text: str) -> bytes:
    """The history's zip; the same text gives the same bytes, at whatever hour."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("eurofxref-hist.csv"), text)
    return content.getvalue()
