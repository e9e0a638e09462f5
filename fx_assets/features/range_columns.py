"""Columns of open, high and low: range-based volatilities, average true range, candles.

Sources: M. Parkinson, *The extreme value method for estimating the variance of the rate of return*
(1980); M. B. Garman and M. J. Klass, *On the estimation of security price volatilities from
historical data* (1980), their practical estimator; L. C. G. Rogers and S. E. Satchell, *Estimating
variance from high, low and closing prices* (1991); J. W. Wilder, *New Concepts in Technical Trading
Systems* (1978), for the average true range, by TA-Lib.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from math import log

import numpy as np
import talib

from fx_assets.features.base import Bars, Feature, Floats
from fx_assets.features.close_columns import root_mean, share, shifted
from fx_assets.features.prices import Ohlc
from fx_assets.features.rolling import ratio
from fx_assets.features.spans import LONGEST_RECURSIVE, used
from fx_assets.features.windows import Source, slices

PARKINSON = ("4h", "24h", "7d")
GARMAN_KLASS = ("24h", "7d", "30d")
ROGERS_SATCHELL = ("7d",)
ATR = ("24h", "14d")


def range_columns(bar: timedelta) -> list[Feature]:
    """The features of bars with open, high and low, of length ``bar``."""
    return [
        _newest("open_gap", "log of the open over the close before", "log return", 1, _open_gap),
        _newest("close_open", "log of close over open", "log return", 0, _close_open),
        _newest("high_low", "log of high over low", "log return", 0, _high_low),
        _newest(
            "candle_position",
            "position of the close between low (0) and high (1)",
            "share",
            0,
            lambda b, o, rows: share(b.close[rows] - o.low[rows], o.high[rows] - o.low[rows]),
        ),
        _newest(
            "body_share",
            "close minus open over high minus low, negative for a falling bar",
            "share, -1 to 1",
            0,
            lambda b, o, rows: ratio(b.close[rows] - o.open[rows], o.high[rows] - o.low[rows]),
        ),
        _newest(
            "upper_wick_share",
            "high minus the higher of open and close, over high minus low",
            "share",
            0,
            lambda b, o, rows: ratio(
                o.high[rows] - np.maximum(o.open[rows], b.close[rows]), o.high[rows] - o.low[rows]
            ),
        ),
        _newest(
            "lower_wick_share",
            "the lower of open and close minus low, over high minus low",
            "share",
            0,
            lambda b, o, rows: ratio(
                np.minimum(o.open[rows], b.close[rows]) - o.low[rows], o.high[rows] - o.low[rows]
            ),
        ),
        *(_volatility("parkinson", "Parkinson", _parkinson, s, n) for s, n in used(PARKINSON, bar)),
        *(
            _volatility("garman_klass", "Garman-Klass", _garman_klass, s, n)
            for s, n in used(GARMAN_KLASS, bar)
        ),
        *(
            _volatility("rogers_satchell", "Rogers-Satchell", _rogers_satchell, s, n)
            for s, n in used(ROGERS_SATCHELL, bar)
        ),
        *(_atr(span, n) for span, n in used(ATR, bar, LONGEST_RECURSIVE)),
    ]


def _newest(
    name: str,
    meaning: str,
    unit: str,
    warm_up: int,
    compute: Callable[[Bars, Ohlc, slice], Floats],
) -> Feature:
    def pieces(b: Bars) -> Iterator[Floats]:
        ohlc = b.derived(Ohlc)
        for rows in slices(len(b)):
            yield compute(b, ohlc, rows)

    return Feature(name, meaning, unit, warm_up, pieces)


def _open_gap(b: Bars, ohlc: Ohlc, rows: slice) -> Floats:
    return np.log(ohlc.open[rows] / shifted(b.close, 1, rows))


def _close_open(b: Bars, ohlc: Ohlc, rows: slice) -> Floats:
    return np.log(b.close[rows] / ohlc.open[rows])


def _high_low(_b: Bars, ohlc: Ohlc, rows: slice) -> Floats:
    return np.log(ohlc.high[rows] / ohlc.low[rows])


def _parkinson(b: Bars, ohlc: Ohlc, rows: slice) -> Floats:
    return np.square(_high_low(b, ohlc, rows)) / (4 * log(2))


def _garman_klass(b: Bars, ohlc: Ohlc, rows: slice) -> Floats:
    ranges, moves = np.square(_high_low(b, ohlc, rows)), np.square(_close_open(b, ohlc, rows))
    return ranges / 2 - (2 * log(2) - 1) * moves


def _rogers_satchell(b: Bars, ohlc: Ohlc, rows: slice) -> Floats:
    opens, high, low, close = ohlc.open[rows], ohlc.high[rows], ohlc.low[rows], b.close[rows]
    above = np.log(high / close) * np.log(high / opens)
    below = np.log(low / close) * np.log(low / opens)
    variance: Floats = above + below
    return variance


def _volatility(
    name: str, person: str, variance: Callable[[Bars, Ohlc, slice], Floats], span: str, n: int
) -> Feature:
    def terms(b: Bars) -> Source:
        ohlc = b.derived(Ohlc)
        return lambda rows: variance(b, ohlc, rows)

    return root_mean(
        f"{name}_{span}", f"volatility over {span} from ranges ({person})", n, terms, first=0
    )


def _atr(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        ohlc = b.derived(Ohlc)
        average = talib.ATR(ohlc.high, ohlc.low, b.close, n)
        for rows in slices(len(b)):
            yield average[rows] / b.close[rows]

    return Feature(
        f"atr_{span}",
        f"average true range of {span} over the close, Wilder's smoothing",
        "ratio",
        n,
        compute,
    )
