"""Columns of the close alone: returns, distances from averages, RSI, volatilities.

Windows are stated in time; ``n`` is always the number of bars. Everything is a logarithm or a ratio
of prices, so that no column depends on their scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np
import talib

from fx_assets.features.base import Bars, Compute, Feature, Floats
from fx_assets.features.prices import Ohlc
from fx_assets.features.rolling import FLAT, ratio
from fx_assets.features.spans import LONGEST_RECURSIVE, used, used_pairs
from fx_assets.features.windows import (
    Source,
    known_from,
    located,
    rolling_extreme,
    rolling_mean,
    rolling_moments,
    slices,
)

LAGS = (1, 2, 3)
RETURNS = ("15min", "1h", "4h", "24h", "7d", "30d", "90d")
MOMENTA = ("24h", "30d")
DEVIATIONS = ("4h", "7d", "30d")
EMA = ("24h", "14d")
ZSCORES = ("24h", "30d", "90d")
RSI = ("4h", "24h", "14d")
VOLATILITIES = ("1h", "4h", "24h", "7d", "30d", "90d")
VOLATILITY_PAIRS = (("1h", "24h"), ("24h", "7d"), ("7d", "30d"), ("30d", "90d"))
STANDARDISED = ("24h", "30d")
UP_SHARES = ("24h", "7d")
POSITIONS = ("24h", "7d", "30d", "90d")


def close_columns(bar: timedelta, ranges: bool = False) -> list[Feature]:
    """The features of closes ``bar`` apart.

    With ``ranges`` the position of the close is among the lows and highs of a window, otherwise
    among its closes.
    """
    return [
        Feature("return_1", "log return of the newest bar", "log return", 1, _change(1)),
        *map(lag, LAGS),
        *(_return(span, n) for span, n in used(RETURNS, bar)),
        *(_deviation(span, n) for span, n in used(DEVIATIONS, bar)),
        *(_ema_ratio(span, n) for span, n in used(EMA, bar, LONGEST_RECURSIVE)),
        *(
            zscore("zscore", "close", span, n, lambda b: b.log_close.__getitem__)
            for span, n in used(ZSCORES, bar)
        ),
        *(_rsi(span, n) for span, n in used(RSI, bar, LONGEST_RECURSIVE)),
        *(_position(span, n, ranges) for span, n in used(POSITIONS, bar)),
        *(_up_share(span, n) for span, n in used(UP_SHARES, bar)),
        *(_volatility(span, n) for span, n in used(VOLATILITIES, bar)),
        *(_realised_ratio(short, long, n) for (short, _), (long, n) in _volatility_pairs(bar)),
        *(_standardised(span, n) for span, n in used(STANDARDISED, bar)),
        *(_momentum(span, n) for span, n in used(MOMENTA, bar)),
    ]


def _volatility_pairs(bar: timedelta) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    return used_pairs(VOLATILITY_PAIRS, bar)


def shifted(x: Floats, back: int, rows: slice) -> Floats:
    """``x`` of ``back`` rows before each row; NaN where there is none."""
    start = rows.start - back
    if start >= 0:
        return x[start : rows.stop - back]
    there = x[: max(rows.stop - back, 0)]
    return np.concatenate([np.full(rows.stop - rows.start - len(there), np.nan), there])


def _change(n: int) -> Compute:
    def compute(b: Bars) -> Iterator[Floats]:
        for rows in slices(len(b)):
            yield b.log_close[rows] - shifted(b.log_close, n, rows)

    return compute


def _return(span: str, n: int) -> Feature:
    return Feature(f"return_{span}", f"log return over {span}", "log return", n, _change(n))


def lag(bars: int) -> Feature:
    """The return of one bar, some bars before the newest."""

    def compute(b: Bars) -> Iterator[Floats]:
        for rows in slices(len(b)):
            yield shifted(b.log_return, bars, rows)

    plural = "s" if bars > 1 else ""
    return Feature(
        f"return_lag_{bars}",
        f"log return of one bar, {bars} bar{plural} before the newest",
        "log return",
        bars + 1,
        compute,
    )


def _deviation(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        for moments in rolling_moments(b.log_close.__getitem__, len(b), n):
            yield moments.distance

    return Feature(
        f"log_price_deviation_{span}",
        f"log close minus its mean over {span}",
        "log price",
        n - 1,
        compute,
    )


def _ema_ratio(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        mean = talib.EMA(b.close, n)
        for rows in slices(len(b)):
            yield b.close[rows] / mean[rows] - 1

    return Feature(
        f"ema_ratio_{span}",
        f"close over its exponential moving average of {span}, minus 1",
        "ratio",
        n - 1,
        compute,
    )


def zscore(name: str, of: str, span: str, n: int, logarithm: Callable[[Bars], Source]) -> Feature:
    """How unusual a logarithm is within its window; 0 where it is not known."""

    def compute(b: Bars) -> Iterator[Floats]:
        moments = rolling_moments(logarithm(b), len(b), n)
        return known_from((ratio(m.distance, m.std) for m in moments), n - 1)

    return Feature(
        f"{name}_{span}",
        f"distance of the log {of} from its mean over {span}, in standard deviations",
        "standard deviations",
        n - 1,
        compute,
    )


def _rsi(span: str, n: int) -> Feature:
    # RSI = 50 + CMO / 2, and CMO is 0 where nothing moves, where TA-Lib's RSI would say 0.
    def compute(b: Bars) -> Iterator[Floats]:
        momentum = talib.CMO(b.close, n)
        for rows in slices(len(b)):
            yield 50 + momentum[rows] / 2

    return Feature(
        f"rsi_{span}",
        f"relative strength index of {span}, Wilder's smoothing",
        "points, 0 to 100",
        n,
        compute,
    )


def _position(span: str, n: int, ranges: bool) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        low, high = (b.derived(Ohlc).low, b.derived(Ohlc).high) if ranges else (b.close, b.close)
        lowest = rolling_extreme(low.__getitem__, len(b), n, np.minimum)
        highest = rolling_extreme(high.__getitem__, len(b), n, np.maximum)
        for (rows, bottom), top in zip(located(lowest), highest, strict=True):
            yield share(b.close[rows] - bottom, top - bottom)

    name, kind = ("range", "price") if ranges else ("close", "close")
    return Feature(
        f"{name}_position_{span}",
        f"position of the close between the lowest (0) and highest (1) {kind} of {span}",
        "share",
        n - 1,
        compute,
    )


def share(part: Floats, of: Floats) -> Floats:
    """``part / of``, and 1/2 where there is nothing to share."""
    flat = of == 0
    return np.where(flat, 0.5, part / np.where(flat, 1.0, of))


def _up_share(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        return rolling_mean(
            lambda rows: (b.log_return[rows] > 0).astype(np.float64), len(b), n, first=1
        )

    return Feature(f"up_share_{span}", f"share of rising bars over {span}", "share", n, compute)


def root_mean(
    name: str, meaning: str, n: int, terms: Callable[[Bars], Source], first: int
) -> Feature:
    """The root of a moving mean of variances; 0 where below ``FLAT``."""

    def compute(b: Bars) -> Iterator[Floats]:
        for mean in rolling_mean(terms(b), len(b), n, first):
            volatility = np.sqrt(mean)
            volatility[volatility < FLAT] = 0.0
            yield volatility

    return Feature(name, meaning, "log return per bar", n - 1 + first, compute)


def _volatility(span: str, n: int) -> Feature:
    return root_mean(
        f"realised_volatility_{span}",
        f"realised volatility over {span}: root of the mean squared log return",
        n,
        lambda b: lambda rows: np.square(b.log_return[rows]),
        first=1,
    )


def _realised_ratio(short: str, long: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        numerator, denominator = (
            b.columns[f"realised_volatility_{span}"] for span in (short, long)
        )
        for rows in slices(len(b)):
            yield ratio(numerator[rows], denominator[rows])

    return Feature(
        f"realised_volatility_ratio_{short}_{long}",
        f"realised volatility over {short} over that over {long}",
        "ratio",
        n,
        compute,
    )


def _standardised(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        volatility = b.columns[f"realised_volatility_{span}"]
        for rows in slices(len(b)):
            yield ratio(b.log_return[rows], volatility[rows])

    return Feature(
        f"standardised_return_{span}",
        f"log return of the newest bar over the realised volatility over {span}",
        "standard deviations",
        n,
        compute,
    )


def _momentum(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        change, volatility = b.columns[f"return_{span}"], b.columns[f"realised_volatility_{span}"]
        for rows in slices(len(b)):
            yield ratio(change[rows], volatility[rows] * np.sqrt(n))

    return Feature(
        f"momentum_{span}",
        f"log return over {span}, over the realised volatility of as many bars",
        "standard deviations",
        n,
        compute,
    )
