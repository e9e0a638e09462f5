"""From a frame of bars to a feature frame."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.errors import FxAssetsError
from fx_assets.features import base
from fx_assets.features.base import Bars, FeatureSet


def build_features(bars: pd.DataFrame, feature_set: str, calendar: Calendar) -> pd.DataFrame:
    """The features of every bar, the newest included.

    Parameters
    ----------
    bars
        Bars of one feed: at least ``event_time`` and ``available_at`` (UTC) and a positive
        ``close``, sorted by ``event_time``, which is unique.
    feature_set
        Name of a feature set.
    calendar
        The feed's; says which day comes next.

    Returns
    -------
    DataFrame
        ``event_time``, ``available_at``, ``close``, ``log_return``, then the columns of the
        feature set (float64; NaN in its warm-up only). A row depends on no later bar, and is equal
        to the last bit however many bars follow.

    Raises
    ------
    SpecError
        No feature set has that name.
    FxAssetsError
        Bars are not sorted, come twice, or have a close that is not a positive number.
    """
    return feature_frame(bars, base.feature_set(feature_set), calendar)


def feature_frame(bars: pd.DataFrame, features: FeatureSet, calendar: Calendar) -> pd.DataFrame:
    """As :func:`build_features`, with the feature set itself."""
    times = pd.DatetimeIndex(bars["event_time"])
    unsorted = np.flatnonzero(times[1:] <= times[:-1])
    if len(unsorted):
        at = int(unsorted[0])
        raise FxAssetsError(
            f"Bars must be sorted by event_time without repetition, but {times[at + 1]} follows "
            f"{times[at]}.",
            remedy="Read bars with the lake's as-of view, which sorts and keeps one a time.",
        )
    arrays = bars_of(bars, calendar)
    known = pd.DataFrame(
        {
            "event_time": bars["event_time"].reset_index(drop=True),
            "available_at": bars["available_at"].reset_index(drop=True),
            "close": arrays.close,
            "log_return": arrays.log_return,
        }
    )
    return pd.concat(
        [known, pd.DataFrame(features.compute(arrays), columns=features.columns)], axis=1
    )


def bars_of(bars: pd.DataFrame, calendar: Calendar) -> Bars:
    """The arrays that features are computed from."""
    days = calendar.day_index(pd.DatetimeIndex(bars["event_time"]))
    return Bars(
        close=bars["close"].to_numpy(dtype=np.float64, copy=True),
        day=ordinals(days),
        next_day=ordinals([calendar.following(day, 1) for day in days.date]),
    )


def ordinals(days: object) -> np.ndarray:
    """Dates as days since 1970-01-01."""
    return np.asarray(days, dtype="datetime64[D]").astype(np.int64)
