"""Schedules of five fields, or a word such as ``@daily``: if one makes sense, and when it came."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: i for i, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: i for i, name in enumerate(_WEEKDAYS)}),
)
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _cron(text: str) -> str:
    if text.lower() in WORDS:
        return text
    parts = text.split()
    if len(parts) != 5:
        raise ValueError(
            f"a schedule has five fields, such as 10 17 * * 1-5, or is one of {', '.join(WORDS)}; "
            f"this has {len(parts)}"
        )
    values = _fields(parts)
    days, months = values[2], values[3]
    if min(days) > max(_LONGEST[month - 1] for month in months):
        raise ValueError(f"no month {parts[3]} has a day {parts[2]}: it would never come")
    return text


def last_tick(cron: str, now: datetime, zone: ZoneInfo) -> datetime:
    """When a schedule last came, at ``now`` or before (UTC)."""
    parts = WORDS.get(cron.lower(), cron).split()
    minutes, hours, _, _, _ = _fields(parts)
    local = now.astimezone(zone)
    day = local.date()
    while True:
        if _comes_on(day, parts):
            at = (time(h, m) for h in sorted(hours)[::-1] for m in sorted(minutes)[::-1])
            ticks = (datetime.combine(day, each, tzinfo=zone).astimezone(UTC) for each in at)
            found = next((tick for tick in ticks if tick <= now), None)
            if found is not None:
                return found
        day -= timedelta(days=1)


def _comes_on(day: date, parts: list[str]) -> bool:
    """Whether a day is one of the schedule's; of two rules about days one is enough."""
    _, _, _, months, weekdays = _fields(parts)
    if day.month not in months:
        return False
    last = (day + timedelta(days=1)).day == 1
    dates = [part for part in parts[2].split(",") if part not in ("l", "L")]
    by_date = (last and len(dates) <= parts[2].count(",")) or (
        bool(dates) and day.day in _values(",".join(dates), *_FIELDS[2])
    )
    by_weekday = day.isoweekday() % 7 in {number % 7 for number in weekdays}
    if "*" in (parts[2], parts[4]):
        return by_date and by_weekday
    return by_date or by_weekday


def _fields(parts: list[str]) -> list[set[int]]:
    return [_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]


def _values(text: str, name: str, low: int, high: int, words: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        if part in ("l", "L") and high == 31:
            found.add(28)  # the last day, which every month has
            continue
        match = _PART.fullmatch(part.lower())
        if match is None:
            raise ValueError(f"{part!r} is no {name}; use {_allowed(low, high, words)}")
        every, first, last, step = match.groups()
        start = low if every else _number(first, name, low, high, words)
        end = high if every or (step and not last) else start
        if last:
            end = _number(last, name, low, high, words)
            end = 7 if high == 7 and end == 0 < start else end  # Sunday ends the week, too
        if end < start or (step is not None and not 0 < int(step) <= high):
            raise ValueError(
                f"{part!r} is no range of the {name}; use {_allowed(low, high, words)}"
            )
        found |= set(range(start, end + 1, int(step or 1)))
    return found


def _number(text: str, name: str, low: int, high: int, words: dict[str, int]) -> int:
    value = words.get(text, int(text) if text.isascii() and text.isdigit() else -1)
    if not low <= value <= high:
        raise ValueError(f"{text!r} is no {name}; use {_allowed(low, high, words)}")
    return value


def _allowed(low: int, high: int, words: dict[str, int]) -> str:
    named = f" or {', '.join(words)}" if words else ""
    return f"{low} to {high}{named}, with * , - and /"


Cron = Annotated[str, AfterValidator(_cron)]
"""A schedule: minute, hour, day of the month, month, day of the week."""
