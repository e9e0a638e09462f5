"""Features of a series that has only closes, such as a central bank's fixings.

Every column is causal and free of scale: multiplying all prices by 100 changes nothing. Where a
price does not move (a pegged currency), ratios over its dispersion are 0 and RSI is 50.
Sources: TA-Lib for moving averages, MACD, RSI, rate of change and extremes; J. W. Wilder, *New
Concepts in Technical Trading Systems* (1978), for RSI; J. Bollinger, *Bollinger on Bollinger Bands*
(2001), on log prices here; J. P. Morgan, *RiskMetrics Technical Document* (1996), for EWMA.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import talib
from numpy.typing import NDArray

from fx_assets.features.base import Bars, Feature, FeatureSetDefinition
from fx_assets.features.close_columns import lag
from fx_assets.features.rolling import ratio, rolling_skew

Floats = NDArray[np.float64]

EWMA_BARS = 32
"""TA-Lib's EMA of 32 bars keeps 31/33 = 0.939 of yesterday: RiskMetrics' 0.94."""
LEAST_VARIANCE = 1e-12
"""Keeps the logarithm of a variance finite where the price stands still."""


def _return(bars: int) -> Feature:
    return Feature(
        f"return_{bars}",
        f"log return over the last {bars} bars" if bars > 1 else "log return of the newest bar",
        "log return",
        bars,
        lambda b: b.change(bars),
    )


def _average_ratio(name: str, word: str, bars: int) -> Feature:
    return Feature(
        f"{name.lower()}_ratio_{bars}",
        f"close over its {word} moving average of {bars} bars, minus 1",
        "ratio",
        bars - 1,
        lambda b: b.close / getattr(talib, name)(b.close, bars) - 1,
    )


def _rate_of_change(bars: int) -> Feature:
    return Feature(
        f"rate_of_change_{bars}",
        f"relative change of the close over {bars} bars (TA-Lib ROCP)",
        "ratio",
        bars,
        lambda b: talib.ROCP(b.close, bars),
    )


def _macd(name: str, part: int, meaning: str) -> Feature:
    return Feature(name, meaning, "ratio", 33, lambda b: talib.MACD(b.close)[part] / b.close)


def _rsi(bars: int) -> Feature:
    # RSI = 50 + CMO / 2, and CMO is 0 where nothing moves, where TA-Lib's RSI would say 0.
    return Feature(
        f"rsi_{bars}",
        f"relative strength index of {bars} bars, Wilder's smoothing",
        "points, 0 to 100",
        bars,
        lambda b: 50 + talib.CMO(b.close, bars) / 2,
    )


def _zscore(bars: int) -> Feature:
    def compute(b: Bars) -> Floats:
        moments = b.moments("log_close", bars)
        return ratio(moments.distance, moments.std)

    return Feature(
        f"zscore_{bars}",
        f"distance of the log close from its mean of {bars} bars, in standard deviations",
        "standard deviations",
        bars - 1,
        compute,
    )


def _percent_b(b: Bars) -> Floats:
    moments = b.moments("log_close", 20)
    return 0.5 + ratio(moments.distance, 4 * moments.std)


def _volatility(bars: int) -> Feature:
    return Feature(
        f"volatility_{bars}",
        f"standard deviation of the last {bars} log returns",
        "log return per bar",
        bars,
        lambda b: b.moments("log_return", bars).std,
    )


def _volatility_ratio(short: int, long: int) -> Feature:
    return Feature(
        f"volatility_ratio_{short}_{long}",
        f"volatility of {short} bars over that of {long} bars",
        "ratio",
        long,
        lambda b: ratio(b.moments("log_return", short).std, b.moments("log_return", long).std),
    )


def _log_variance(mean_square: Floats) -> Floats:
    logarithm: Floats = np.log(np.maximum(mean_square, LEAST_VARIANCE))
    return logarithm


def _mean_square_21(b: Bars) -> Floats:
    distance, std = b.moments("log_return", 21)
    mean_square: Floats = std**2 + (b.log_return - distance) ** 2
    return mean_square


def _up_share(b: Bars) -> Floats:
    return talib.SMA(np.where(np.isnan(b.log_return), np.nan, b.log_return > 0), 21)


def _return_zscore(b: Bars) -> Floats:
    return ratio(b.log_return, b.moments("log_return", 21).std)


def _weekday_angle(b: Bars) -> Floats:
    # Day 0, 1970-01-01, was a Thursday; Monday is angle 0.
    weekday = ((b.day + 3) % 7).astype(np.float64)
    return weekday * (2 * np.pi / 7)


def _days_to_month_end(b: Bars) -> Floats:
    day = b.day.astype("datetime64[D]")
    next_month = (day.astype("datetime64[M]") + 1).astype("datetime64[D]")
    days: Floats = (next_month - day).astype(np.float64) - 1
    return days


def _month_turns(b: Bars) -> Floats:
    day, next_day = (x.astype("datetime64[D]").astype("datetime64[M]") for x in (b.day, b.next_day))
    turns: Floats = (day != next_day).astype(np.float64)
    return turns


def _gap_days(b: Bars) -> Floats:
    out = np.full(len(b.day), np.nan)
    out[1:] = np.diff(b.day)
    return out


FEATURES: tuple[Feature, ...] = (
    *map(_return, (1, 5, 10, 21, 63, 126, 252)),
    *map(lag, (1, 2, 3, 5)),
    *(_average_ratio("SMA", "simple", bars) for bars in (5, 10, 21, 50, 200)),
    *(_average_ratio("EMA", "exponential", bars) for bars in (10, 50)),
    _rate_of_change(42),
    _macd("macd", 0, "MACD(12, 26) over the close"),
    _macd("macd_histogram", 2, "MACD(12, 26) minus its signal line of 9 bars, over the close"),
    *map(_rsi, (7, 14, 28)),
    Feature(
        "bollinger_percent_b",
        "position of the log close between its Bollinger bands of 20 bars (0 lower, 1 upper)",
        "ratio",
        19,
        _percent_b,
    ),
    Feature(
        "bollinger_bandwidth",
        "distance between the Bollinger bands of 20 bars: 4 standard deviations of the log close",
        "log price",
        19,
        lambda b: 4 * b.moments("log_close", 20).std,
    ),
    *map(_zscore, (63, 252)),
    Feature(
        "return_zscore_21",
        "log return of the newest bar over the volatility of 21 bars",
        "standard deviations",
        21,
        _return_zscore,
    ),
    *map(_volatility, (5, 10, 21, 63)),
    _volatility_ratio(5, 21),
    _volatility_ratio(21, 63),
    Feature(
        "log_variance_21",
        "logarithm of the mean of the last 21 squared log returns (at least 1e-12)",
        "log variance per bar",
        21,
        lambda b: _log_variance(_mean_square_21(b)),
    ),
    Feature(
        "ewma_log_variance",
        "logarithm of the exponentially weighted squared log returns, decay 0.939 (RiskMetrics)",
        "log variance per bar",
        EWMA_BARS,
        lambda b: _log_variance(talib.EMA(b.log_return**2, EWMA_BARS)),
    ),
    Feature(
        "skew_63",
        "skewness of the last 63 log returns",
        "1",
        63,
        lambda b: rolling_skew(b.log_return, 63, b.moments("log_return", 63).std),
    ),
    Feature("up_share_21", "share of rising bars among the last 21", "share", 21, _up_share),
    Feature(
        "drawdown_252",
        "log distance of the close below its highest of 252 bars (0 at the high)",
        "log price",
        251,
        lambda b: np.log(b.close / talib.MAX(b.close, 252)),
    ),
    Feature(
        "above_low_252",
        "log distance of the close above its lowest of 252 bars (0 at the low)",
        "log price",
        251,
        lambda b: np.log(b.close / talib.MIN(b.close, 252)),
    ),
    Feature(
        "weekday_sin",
        "day of the week on a circle of 7 days, Monday at angle 0: sine",
        "1",
        0,
        lambda b: np.sin(_weekday_angle(b)),
        calendar=True,
    ),
    Feature(
        "weekday_cos",
        "day of the week on a circle of 7 days, Monday at angle 0: cosine",
        "1",
        0,
        lambda b: np.cos(_weekday_angle(b)),
        calendar=True,
    ),
    Feature(
        "days_to_month_end",
        "days left in the month after this one",
        "days",
        0,
        _days_to_month_end,
        calendar=True,
    ),
    Feature(
        "last_bar_of_month",
        "1 where the calendar's next open day is in another month",
        "0 or 1",
        0,
        _month_turns,
        calendar=True,
    ),
    Feature("gap_days", "days since the bar before", "days", 1, _gap_days, calendar=True),
    Feature(
        "days_to_next_bar",
        "days until the calendar's next open day",
        "days",
        0,
        lambda b: (b.next_day - b.day).astype(np.float64),
        calendar=True,
    ),
)


class FxCloseFeatures(FeatureSetDefinition):
    """Features of daily closes, fixings among them."""

    name = "fx_close"
    reads = ("close",)
    frequencies = ("1d",)

    @classmethod
    def features(cls, bar: timedelta) -> tuple[Feature, ...]:  # noqa: ARG003
        """The columns."""
        return FEATURES
