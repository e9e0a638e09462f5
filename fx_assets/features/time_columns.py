"""Columns of the clock and the calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np

from fx_assets.features.base import Bars, Feature, Floats, Microseconds
from fx_assets.features.spans import DAY
from fx_assets.features.windows import slices

MINUTE = 60_000_000
MINUTES_A_DAY = 1_440


def time_columns(bar: timedelta) -> list[Feature]:
    """Day of the week, time of day of intraday bars, and the gap before each bar."""
    of_day = "time of day (UTC) of the close on a circle of 24 hours, midnight at angle 0"
    of_week = "day of the week on a circle of 7 days, Monday at angle 0"
    return [
        *(_circle("hour", of_day, MINUTES_A_DAY, _minute_of_day) if bar < DAY else ()),
        *_circle("weekday", of_week, 7, _weekday),
        Feature(
            "log_gap",
            "logarithm of the time since the bar before, in bars (0: nothing is missing)",
            "log bars",
            1,
            lambda b: _log_gap(b, bar),
            calendar=True,
        ),
    ]


def _circle(
    name: str, meaning: str, length: int, place: Callable[[Bars, slice], Microseconds]
) -> Iterator[Feature]:
    angles = np.arange(length) * (2 * np.pi / length)
    for word, table in (("sine", np.sin(angles)), ("cosine", np.cos(angles))):
        yield Feature(
            f"{name}_{word[:3]}",
            f"{meaning}: {word}",
            "1",
            0,
            lambda b, table=table: (table[place(b, rows)] for rows in slices(len(b))),  # type: ignore[misc]
            calendar=True,
        )


def _weekday(b: Bars, rows: slice) -> Microseconds:
    # Day 0, 1970-01-01, was a Thursday.
    return (b.day[rows] + 3) % 7


def _minute_of_day(b: Bars, rows: slice) -> Microseconds:
    return b.closes[rows] // MINUTE % MINUTES_A_DAY


def _log_gap(b: Bars, bar: timedelta) -> Iterator[Floats]:
    # A day of 23 or 25 hours is no gap.
    times, step = (b.day, 1) if bar == DAY else (b.closes, bar // timedelta(microseconds=1))
    for rows in slices(len(b)):
        out = np.full(rows.stop - rows.start, np.nan)
        first = max(rows.start, 1)
        gaps = times[first : rows.stop] - times[first - 1 : rows.stop - 1 if rows.stop else 0]
        out[first - rows.start :] = np.log(np.maximum(gaps / step, 1.0))
        yield out
