"""Closes over time as a small SVG: drawn at each ingest, where starting Matplotlib takes longer."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 800, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 30, 44
_BUCKETS = 400
_MOST_DATES = 8
_BLUE, _GREY, _GRID, _INK = "#0072B2", "#6E6E6E", "#E3E3E3", "#222222"
_SPACINGS = (
    ("h", 1 / 24, "%H:%M"),
    ("3h", 1 / 8, "%d %b %H:%M"),
    ("12h", 1 / 2, "%d %b %H:%M"),
    ("D", 1, "%d %b"),
    ("7D", 7, "%d %b"),
    ("MS", 28, "%b %Y"),
    ("3MS", 90, "%b %Y"),
    ("YS", 365, "%Y"),
    ("2YS", 730, "%Y"),
    ("5YS", 1826, "%Y"),
    ("10YS", 3652, "%Y"),
)
"""Distances of dates on the axis, their least length in days, and how the dates are written."""


def price_svg(times: pd.Series[Any], close: pd.Series[Any], instrument: str) -> str:
    """The closes of all bars, none of their extremes left out, with axes and units.

    Parameters
    ----------
    times : Series
        UTC, sorted, as many as ``close``; at least one.
    close : Series
        In quote currency per unit of base.
    """
    values = close.to_numpy(float)
    seconds = _seconds(pd.DatetimeIndex(times))
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.05 * (high - low) or 0.01 * abs(high) or 1.0
    low, high = low - pad, high + pad
    span = seconds[-1] - seconds[0] or 1.0

    def x(at: Any) -> Any:
        return _LEFT + (at - seconds[0]) / span * (WIDTH - _LEFT - _RIGHT)

    def y(value: Any) -> Any:
        return _TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    shown = _extremes(values)
    line = " ".join(
        f"{a:.1f},{b:.1f}" for a, b in zip(x(seconds[shown]), y(values[shown]), strict=True)
    )
    levels = [(y(value), text) for value, text in _levels(low, high)]
    dates = [(x(at), text) for at, text in _dates(times.iloc[0], times.iloc[-1])]
    unit = f"{instrument[3:]} per {instrument[:3]}" if len(instrument) == 6 else "price"
    bottom = HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="11" fill="{_INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">{escape(instrument)}</text>',
        f'<text x="{WIDTH - _RIGHT}" y="18" text-anchor="end" fill="{_GREY}">{escape(unit)}</text>',
        *(
            f'<path d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}" stroke="{_GRID}"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>'
            for at, text in levels
        ),
        *(
            f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="{_GRID}"/>'
            f'<text x="{at:.1f}" y="{bottom + 15}" text-anchor="middle">{text}</text>'
            for at, text in dates
        ),
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{WIDTH - _RIGHT}" fill="none" stroke="{_GREY}"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle" fill="{_GREY}">'
        "event time (UTC)</text>",
        f'<polyline points="{line}" fill="none" stroke="{_BLUE}" stroke-width="1.1" '
        'stroke-linejoin="round"/>',
        f'<circle cx="{x(seconds[shown[-1]]):.1f}" cy="{y(values[shown[-1]]):.1f}" r="2.5" '
        f'fill="{_BLUE}"/>',
        "</svg>",
    ]
    return "".join(parts)


def _extremes(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Positions to draw: of many values the least and greatest of each bucket, and both ends."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) <= 2 * _BUCKETS:
        return known
    buckets = np.array_split(known, _BUCKETS)
    found = [bucket[pick(values[bucket])] for bucket in buckets for pick in (np.argmin, np.argmax)]
    return np.unique([known[0], *found, known[-1]])


def _levels(low: float, high: float) -> list[tuple[float, str]]:
    rough = (high - low) / 5
    size = 10.0 ** np.floor(np.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [(i * step, f"{i * step:,.{decimals}f}") for i in range(first, last + 1)]


def _dates(first: pd.Timestamp, last: pd.Timestamp) -> list[tuple[float, str]]:
    for spacing, days, form in _SPACINGS:
        if (last - first) > pd.Timedelta(days=2 * _MOST_DATES * days):
            continue
        start = first.floor("h") if spacing.endswith("h") else first.normalize()
        dates = pd.date_range(start, last, freq=spacing)
        dates = dates[dates >= first]
        if 0 < len(dates) <= _MOST_DATES:
            return list(zip(_seconds(dates), dates.strftime(form), strict=True))
    return []


def _seconds(times: pd.DatetimeIndex) -> np.ndarray[Any, Any]:
    return (times - pd.Timestamp(0, tz="UTC")).total_seconds().to_numpy(float)
