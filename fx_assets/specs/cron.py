"""Whether a schedule makes sense: five fields, or a word such as ``@daily``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

WORDS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
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
    values = [_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    days, months = values[2], values[3]
    if min(days) > max(_LONGEST[month - 1] for month in months):
        raise ValueError(f"no month {parts[3]} has a day {parts[2]}: it would never come")
    return text


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
