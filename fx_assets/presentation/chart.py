"""Small plots as SVG: round numbers or dates on the axes, lines, points, bars and notes.

Drawn at each ingest and for each candidate, where Matplotlib would take most of the time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array: TypeAlias = np.ndarray[Any, Any]
Ends: TypeAlias = tuple[float, float]

WIDTH, HEIGHT = 800, 350
LEFT, RIGHT = 64, 14
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#6E6E6E"
"""Okabe and Ito's palette, which the common kinds of colour blindness keep apart."""

_TOP, _BOTTOM = 30, 44
_GRID, _INK = "#E3E3E3", "#222222"
_BUCKETS = 400
_MOST_DATES = 8
_MOST_DECIMALS = 5
_LEGEND_GAP = 150
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


class Chart:
    """A plot whose axes are known; what is drawn lies in their units.

    Parameters
    ----------
    x, y : (float, float)
        The ends of the axes.
    left : int
        Pixels for what is written left of the vertical axis.
    """

    def __init__(
        self, title: str, x: Ends, y: Ends, *, height: int = HEIGHT, left: int = LEFT
    ) -> None:
        self._x, self._y = x, y
        self._left, self._bottom, self.height = left, height - _BOTTOM, height
        self._entries = 0
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11" '
            f'fill="{_INK}">',
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        ]
        self._write(left, 18, title, size=13)

    def across(self, value: Any) -> Any:
        """Pixels from the left."""
        first, last = self._x
        return self._left + (value - first) / (last - first) * (WIDTH - self._left - RIGHT)

    def down(self, value: Any) -> Any:
        """Pixels from the top."""
        low, high = self._y
        return _TOP + (high - value) / (high - low) * (self._bottom - _TOP)

    def unit(self, text: str) -> None:
        """What the vertical axis counts, above its upper end."""
        self._write(WIDTH - RIGHT, 18, text, "end", GREY)

    def levels(self) -> None:
        """Round numbers on the vertical axis, with a grid."""
        for value, text in _levels(*self._y):
            at = self.down(value)
            self._draw(f"M{self._left} {at:.1f}H{WIDTH - RIGHT}", _GRID)
            self._write(self._left - 6, at + 4, text, "end")

    def numbers(self, label: str) -> None:
        """Round numbers on the horizontal axis, with a grid."""
        self._marks(_levels(*self._x), label)

    def dates(self) -> None:
        """Dates on the horizontal axis, which counts seconds since 1970."""
        self._marks(_dates(*self._x), "event time (UTC)")

    def line(
        self,
        x: Array,
        y: Array,
        colour: str,
        *,
        width: float = 1.1,
        dashed: bool = False,
        label: str = "",
    ) -> None:
        """A line through points in the order of x; of many, none of the extremes is left out."""
        shown = _extremes(y)
        across, down = self.across(x[shown]), self.down(y[shown])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-linejoin="round"{dashes}/>'
        )
        if label:
            self._entry(label, colour)

    def dot(
        self, x: float, y: float, colour: str, reach: Ends | None = None, *, hollow: bool = False
    ) -> None:
        """A point, with the interval above and below it if there is one."""
        across = self.across(x)
        if reach is not None:
            low, high = self.down(reach[0]), self.down(reach[1])
            self._draw(f"M{across:.1f} {low:.1f}V{high:.1f}", colour)
            for end in (low, high):
                self._draw(f"M{across - 3:.1f} {end:.1f}h6", colour)
        self._parts.append(
            f'<circle cx="{across:.1f}" cy="{self.down(y):.1f}" r="2.5" stroke="{colour}" '
            f'fill="{"white" if hollow else colour}"/>'
        )

    def span(self, place: float, reach: Ends, colour: str) -> None:
        """An interval from left to right."""
        first, last = self.across(reach[0]), self.across(reach[1])
        self._draw(f"M{first:.1f} {self.down(place):.1f}H{last:.1f}", colour)

    def bar(self, place: float, length: float, colour: str) -> None:
        """A bar from zero to the right."""
        top, zero = self.down(place + 0.4), self.across(0)
        self._parts.append(
            f'<rect x="{zero:.1f}" y="{top:.1f}" width="{self.across(length) - zero:.1f}" '
            f'height="{self.down(place - 0.4) - top:.1f}" fill="{colour}"/>'
        )

    def name(self, place: float, text: str) -> None:
        """What stands at a place of the vertical axis."""
        self._write(self._left - 6, self.down(place) + 3, text, "end", size=9)

    def zero(self) -> None:
        """A line upwards from zero."""
        self._draw(f"M{self.across(0):.1f} {_TOP}V{self._bottom}", GREY)

    def note(self, x: float, y: float, text: str, anchor: str = "middle", *, drop: int = 0) -> None:
        """A text at a place, or some pixels below it."""
        self._write(self.across(x), self.down(y) + drop, text, anchor, GREY, 9)

    def corner(self, text: str, *, top: bool) -> None:
        """A text beside the vertical axis, at its upper or lower end."""
        self._write(self._left + 6, _TOP + 12 if top else self._bottom - 6, text, colour=GREY)

    def svg(self) -> str:
        """The plot as an SVG document."""
        frame = f"M{self._left} {_TOP}V{self._bottom}H{WIDTH - RIGHT}"
        return "".join([*self._parts, f'<path d="{frame}" fill="none" stroke="{GREY}"/>', "</svg>"])

    @staticmethod
    def stacked(charts: Sequence[Chart]) -> str:
        """Charts below each other as one document."""
        tops = np.cumsum([0, *(chart.height for chart in charts)])
        parts = [
            chart.svg().replace("<svg ", f'<svg y="{top}" ', 1)
            for chart, top in zip(charts, tops, strict=False)
        ]
        box = f'viewBox="0 0 {WIDTH} {tops[-1]}" width="{WIDTH}" height="{tops[-1]}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{"".join(parts)}</svg>'

    def _marks(self, marks: list[tuple[float, str]], label: str) -> None:
        for value, text in marks:
            at = self.across(value)
            self._draw(f"M{at:.1f} {_TOP}V{self._bottom}", _GRID)
            self._write(at, self._bottom + 15, text, "middle")
        self._write(WIDTH / 2, self.height - 8, label, "middle", GREY)

    def _entry(self, label: str, colour: str) -> None:
        at = self._left + 10 + _LEGEND_GAP * self._entries
        self._entries += 1
        self._draw(f"M{at} {_TOP + 8}h18", colour, 2)
        self._write(at + 24, _TOP + 12, label)

    def _draw(self, path: str, colour: str, width: float = 1) -> None:
        self._parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="{width}"/>')

    def _write(
        self,
        x: float,
        y: float,
        text: str,
        anchor: str = "start",
        colour: str = _INK,
        size: int = 11,
    ) -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}">{escape(text)}</text>'
        )


def ends(*values: Array, pad: float = 0.05) -> Ends:
    """The ends of an axis on which all finite values lie, with room on both sides."""
    known = np.concatenate([each[np.isfinite(each)] for each in values])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    room = pad * (high - low) or 0.01 * abs(high) or 1.0
    return low - room, high + room


def seconds(times: pd.DatetimeIndex) -> Array:
    """Seconds since 1970 of instants with a zone."""
    return (times - pd.Timestamp(0, tz="UTC")).total_seconds().to_numpy(float)


def _extremes(values: Array) -> Array:
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
    form = f",.{decimals}f" if decimals <= _MOST_DECIMALS else ".3g"
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [(i * step, format(i * step, form)) for i in range(first, last + 1)]


def _dates(start: float, end: float) -> list[tuple[float, str]]:
    first, last = (pd.Timestamp(at, unit="s", tz="UTC") for at in (start, end))
    for spacing, days, form in _SPACINGS:
        if (last - first) > pd.Timedelta(days=2 * _MOST_DATES * days):
            continue
        begin = first.floor("h") if spacing.endswith("h") else first.normalize()
        dates = pd.date_range(begin, last, freq=spacing)
        dates = dates[dates >= first]
        if 0 < len(dates) <= _MOST_DATES:
            return list(zip(seconds(dates), dates.strftime(form), strict=True))
    return []


def as_png(figure: Figure) -> bytes:
    """A figure of Matplotlib's as a PNG file."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=100)
    return target.getvalue()
