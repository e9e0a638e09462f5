"""Columns of volume, free of its unit: changes, ratios, and with which moves it came.

Before the first bar with a volume they are 0; a bar without volume keeps the last logarithm.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from fx_assets.features.base import Bars, Feature, Floats
from fx_assets.features.close_columns import shifted, zscore
from fx_assets.features.prices import Ohlc, Volume
from fx_assets.features.rolling import ratio
from fx_assets.features.spans import used, used_pairs
from fx_assets.features.windows import (
    Pieces,
    known_from,
    located,
    rolling_mean,
    slices,
    whole,
)

ZSCORES = ("24h", "30d")
PAIRS = (("1h", "24h"), ("24h", "7d"), ("7d", "30d"), ("30d", "90d"))
SIGNED = ("24h", "7d")
VWAP = ("24h", "7d")


def volume_columns(bar: timedelta) -> list[Feature]:
    """The features of bars with a volume, of length ``bar``."""
    return [
        Feature(
            "volume_change",
            "logarithm of the newest bar's volume over that of the bar before",
            "log ratio",
            1,
            _change,
        ),
        *(
            zscore("volume_zscore", "volume", span, n, lambda b: b.derived(Volume).log.__getitem__)
            for span, n in used(ZSCORES, bar)
        ),
        *(_ratio(short, long) for short, long in used_pairs(PAIRS, bar)),
        *(_signed(span, n) for span, n in used(SIGNED, bar)),
    ]


def vwap_columns(bar: timedelta) -> list[Feature]:
    """The features of bars with open, high, low and volume."""
    return [_vwap_ratio(span, n) for span, n in used(VWAP, bar)]


def _change(b: Bars) -> Pieces:
    log_volume = b.derived(Volume).log
    changes = (log_volume[rows] - shifted(log_volume, 1, rows) for rows in slices(len(b)))
    return known_from(changes, 1)


def _ratio(short: tuple[str, int], long: tuple[str, int]) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        volume = b.derived(Volume).value.__getitem__
        newer = whole(rolling_mean(volume, len(b), short[1]), len(b))
        for rows, mean in located(rolling_mean(volume, len(b), long[1])):
            yield ratio(newer[rows], mean)

    return Feature(
        f"volume_ratio_{short[0]}_{long[0]}",
        f"mean volume over {short[0]} over that over {long[0]}",
        "ratio",
        long[1] - 1,
        compute,
    )


def _signed(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        volume = b.derived(Volume).value
        signed = rolling_mean(
            lambda rows: np.sign(b.log_return[rows]) * volume[rows], len(b), n, first=1
        )
        total = rolling_mean(volume.__getitem__, len(b), n, first=1)
        for part, mean in zip(signed, total, strict=True):
            yield np.clip(ratio(part, mean), -1, 1)

    return Feature(
        f"signed_volume_{span}",
        f"volume of rising bars minus that of falling ones, over all volume of {span}",
        "share, -1 to 1",
        n,
        compute,
    )


def _vwap_ratio(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Iterator[Floats]:
        ohlc, volume = b.derived(Ohlc), b.derived(Volume).value

        def turnover(rows: slice) -> Floats:
            return (ohlc.high[rows] + ohlc.low[rows] + b.close[rows]) / 3 * volume[rows]

        money = rolling_mean(turnover, len(b), n)
        units = rolling_mean(volume.__getitem__, len(b), n)
        for (rows, spent), traded in zip(located(money), units, strict=True):
            price = ratio(spent, traded)
            yield np.where(price == 0, 0.0, b.close[rows] / np.where(price == 0, 1.0, price) - 1)

    return Feature(
        f"vwap_ratio_{span}",
        f"close over the volume-weighted average price of {span}, minus 1",
        "ratio",
        n - 1,
        compute,
    )
