"""From a frame of bars to a feature frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.calendars import Calendar
from fx_assets.errors import FxAssetsError
from fx_assets.features import base
from fx_assets.features.arrays import OPTIONAL_COLUMNS, bars_from_columns
from fx_assets.features.base import Bars, FeatureSet


def build_features(bars: pd.DataFrame, feature_set: str, calendar: Calendar) -> pd.DataFrame:
    """The features of every bar, the newest included.

    Parameters
    ----------
    bars
        Bars of one feed: at least ``event_time`` and ``available_at`` (UTC) and a positive
        ``close``, sorted by ``event_time``, which is unique; further prices, volume and market
        capitalisation where the feature set reads them.
    feature_set
        Name of a feature set.
    calendar
        The feed's; says how long a bar is and which day comes next.

    Returns
    -------
    DataFrame
        ``event_time``, ``available_at``, ``close``, ``log_return``, then the columns of the
        feature set (float64; NaN in its warm-up only). A row depends on no later bar, and is equal
        to the last bit however many bars follow.

    Raises
    ------
    SpecError
        No feature set has that name, or it is not for bars of this length.
    FxAssetsError
        Bars are not sorted, come twice, have a close that is not a positive number, or lack what
        the feature set reads.
    """
    return feature_frame(bars, base.feature_set(feature_set, calendar.bar), calendar)


def feature_frame(
    bars: pd.DataFrame, features: FeatureSet, calendar: Calendar, feed: str = ""
) -> pd.DataFrame:
    """As :func:`build_features`, with the feature set itself, and the feed's name for errors."""
    times = pd.DatetimeIndex(bars["event_time"])
    unsorted = np.flatnonzero(times[1:] <= times[:-1])
    if len(unsorted):
        at = int(unsorted[0])
        raise FxAssetsError(
            f"Bars must be sorted by event_time without repetition, but {times[at + 1]} follows "
            f"{times[at]}.",
            remedy="Read bars with the lake's as-of view, which sorts and keeps one a time.",
        )
    arrays = bars_of(bars, calendar, feed)
    # The matrix becomes the frame's memory; columns of other types are put beside it.
    frame = pd.DataFrame(features.compute(arrays), columns=list(features.columns), copy=False)
    frame.insert(0, "event_time", bars["event_time"].array)
    frame.insert(1, "available_at", bars["available_at"].array)
    frame.insert(2, "close", arrays.close)
    frame.insert(3, "log_return", arrays.log_return)
    return frame


def bars_of(bars: pd.DataFrame, calendar: Calendar, feed: str = "") -> Bars:
    """The arrays that features are computed from."""
    prices = [name for name in ("close", *OPTIONAL_COLUMNS) if name in bars]
    columns = {name: bars[name].to_numpy(dtype=np.float64) for name in prices}
    return bars_from_columns({"event_time": naive(bars["event_time"]), **columns}, calendar, feed)


def naive(times: pd.Series | pd.DatetimeIndex) -> NDArray[Any]:
    """UTC instants as NumPy's zoneless ones."""
    index = pd.DatetimeIndex(times).tz_convert("UTC").tz_localize(None)
    return index.to_numpy("datetime64[us]")
