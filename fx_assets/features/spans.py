"""Windows stated in time, and how many bars of a frequency they are.

Time counts while there are bars: where a market closes, 7 days are seven days' bars.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

DAY: Final = timedelta(days=1)
SPANS: Final[dict[str, timedelta]] = {
    "15min": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "14d": timedelta(days=14),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
LEAST_BARS: Final = 2
"""A window of fewer bars says nothing that the newest bar does not."""
LONGEST_INTRADAY: Final = timedelta(days=30)
"""Longer windows are for daily bars: their warm-up would be most of what vendors give."""
LONGEST_RECURSIVE: Final = timedelta(hours=24)
"""Of intraday averages that never forget, so that the longest warm-up outlasts how they began."""

_FORMER = {
    "range_position": "close_position",
    "sma_ratio": "log_price_deviation",
    "volatility": "realised_volatility",
    "volatility_ratio": "realised_volatility_ratio",
    "return_zscore": "standardised_return",
}
_OF_SPANS = re.compile(rf"({'|'.join(_FORMER)})((?:_(?:{'|'.join(SPANS)}))+)")


def present_name(column: str) -> str:
    """The name of a column that its set calls otherwise since 0.1: some had two formulas."""
    found = _OF_SPANS.fullmatch(column)
    return f"{_FORMER[found[1]]}{found[2]}" if found else column


def bars_in(span: str, bar: timedelta) -> int:
    """How many whole bars of length ``bar`` a span has: 24 hourly bars are ``24h``."""
    return SPANS[span] // bar


def used(
    spans: Iterable[str], bar: timedelta, longest: timedelta = LONGEST_INTRADAY
) -> list[tuple[str, int]]:
    """The spans that make windows of bars of this length, with their number of bars.

    ``longest`` holds for intraday bars only.
    """
    return [
        (span, bars_in(span, bar))
        for span in spans
        if bars_in(span, bar) >= LEAST_BARS and (bar >= DAY or SPANS[span] <= longest)
    ]


def used_pairs(
    pairs: Iterable[tuple[str, str]], bar: timedelta
) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """The pairs of spans of which both make windows."""
    known = dict(used(SPANS, bar))
    return [
        ((short, known[short]), (long, known[long]))
        for short, long in pairs
        if short in known and long in known
    ]
