"""From one text to a day or a time of day."""

from __future__ import annotations

import re
from datetime import date

import numpy as np

NAT = np.datetime64("NaT", "us")
NO_OFFSET = np.timedelta64("NaT", "us")
_DAY_US = 86_400_000_000
_YEAR_FIRST = re.compile(r"(\d{4})([-./ ])(\d{1,2})\2(\d{1,2})\.?|(\d{4})(\d{2})(\d{2})")
YEAR_LAST = re.compile(r"(\d{1,2})([-./ ])(\d{1,2})\2(\d{4})\.?")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:[a-z]{3,9},? )?(?P<month>[a-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})",
        r"(?:[a-z]{3,9},? )?(?P<day>\d{1,2})[-. ](?P<month>[a-z]{3,9})[-.,]* ?(?P<year>\d{4})",
        r"(?P<year>\d{4})[- ](?P<month>[a-z]{3,9})[- ](?P<day>\d{1,2})",
        r"(?P<day>\d{1,2})[-. /](?P<month>[a-z]{3})[-. /]'?(?P<year>\d{2})",
    )
)
_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([ap])?\.?(?:m\.?)?"
    r"\s*(z|utc|gmt|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?)?",
    re.IGNORECASE,
)
_CENTURY = 69
"""Years of two digits below this one are of this century, as POSIX has it."""
_CLOCK_HOUR = re.compile(r"(\d{1,2})[- ]?([ap])m", re.IGNORECASE)
_CLOCK_COMPACT = re.compile(r"(\d{2})(\d{2})(?:(\d{2})(\d{3})?)?")


def day_of_text(text: str | None, day_first: bool | None) -> np.datetime64:
    """The day of a text; NaT where there is none."""
    clean = (text or "").strip()
    if match := _YEAR_FIRST.fullmatch(clean):
        year, month, day = (match[1], match[3], match[4]) if match[1] else match.groups()[4:7]
        return _date(int(year), int(month), int(day))
    if match := YEAR_LAST.fullmatch(clean):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        return _date(year, second, first) if day_first else _date(year, first, second)
    for pattern in _NAMED:
        match = pattern.fullmatch(clean)
        name = match["month"][:3].lower() if match else ""
        if match and name in MONTHS:
            year = int(match["year"])
            if len(match["year"]) == 2:
                year += 2000 if year < _CENTURY else 1900
            return _date(year, MONTHS.index(name) + 1, int(match["day"]))
    return NAT


def _date(year: int, month: int, day: int) -> np.datetime64:
    try:
        return np.datetime64(date(year, month, day), "us")
    except ValueError:
        return NAT


def clock_of_text(text: str | None) -> tuple[np.timedelta64, np.timedelta64]:
    """Microseconds since midnight and the offset that is stated; NaT where it cannot be read."""
    clean = (text or "").strip()
    unread = np.timedelta64("NaT", "us")
    match = _CLOCK.fullmatch(clean)
    compact = _CLOCK_COMPACT.fullmatch(clean)
    hourly = _CLOCK_HOUR.fullmatch(clean)
    if match:
        hour, minute, second, fraction, half, zone = match.groups()
    elif compact:
        hour, minute, second, fraction = compact.groups()
        half = zone = None
    elif hourly:
        hour, half = hourly.groups()
        minute, second, fraction, zone = "0", None, None, None
    else:
        return unread, NO_OFFSET
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if half:
        if not 1 <= hours <= 12:
            return unread, NO_OFFSET
        hours = hours % 12 + (12 if half.lower() == "p" else 0)
    micro = int((fraction or "0").ljust(6, "0")[:6])
    value = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micro
    if minutes > 59 or seconds > 59 or value > _DAY_US:
        return unread, NO_OFFSET
    return np.timedelta64(value, "us"), _offset(zone)


def _offset(zone: str | None) -> np.timedelta64:
    if zone is None:
        return NO_OFFSET
    match = re.search(r"([+-])(\d{1,2}):?(\d{2})?$", zone)
    if not match:
        return np.timedelta64(0, "us")
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return np.timedelta64((-minutes if match[1] == "-" else minutes) * 60_000_000, "us")
