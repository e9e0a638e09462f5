"""From bars to labelled features as plain arrays: :func:`labelled_frame` without pandas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fx_assets.calendars import Calendar, Instants
from fx_assets.features.base import Bars, Days, FeatureSet, Floats
from fx_assets.features.label_arrays import labels
from fx_assets.specs.forecast import TargetSpec

_EPOCH: Final = date(1970, 1, 1)
OPTIONAL_COLUMNS = ("open", "high", "low", "volume", "market_cap")


def bars_from_columns(
    columns: Mapping[str, NDArray[Any]], market: Calendar, feed: str = ""
) -> Bars:
    """Bars as features see them.

    Parameters
    ----------
    columns
        ``event_time`` (``datetime64``, UTC without a zone, ascending) and ``close``; where there
        are any also ``open``, ``high``, ``low``, ``volume`` and ``market_cap``, with NaN for what
        is unknown. Other columns are left alone.
    market
        The feed's calendar.
    feed
        Whose bars they are, for error messages.

    Raises
    ------
    FxAssetsError
        A close is not a positive number, or the columns differ in length.
    """
    times = np.asarray(columns["event_time"], dtype="datetime64[us]")
    day = days_of(times, market)
    return Bars(
        close=_floats(columns["close"]),
        day=day,
        next_day=next_days(day, market),
        **{name: _floats(columns[name]) for name in OPTIONAL_COLUMNS if name in columns},
        event_time=times.astype(np.int64),
        bar=market.bar,
        feed=feed,
    )


def days_of(event_times: Instants, market: Calendar) -> Days:
    """The market's day of each bar, in days since 1970-01-01."""
    if market.timezone.key == "UTC":
        before = event_times - np.timedelta64(timedelta(microseconds=1))
        return before.astype("datetime64[D]").astype(np.int64)
    return market.days(event_times)


def next_days(day: Days, market: Calendar) -> Days:
    """The next open day after each bar's day, in days since 1970-01-01."""
    each, place = np.unique(day, return_inverse=True)
    following = np.array([_next_day(market, one) for one in each.tolist()], dtype=np.int64)
    return following[place]


@lru_cache(maxsize=65_536)
def _next_day(market: Calendar, day: int) -> int:
    return market.following(_EPOCH + timedelta(days=day), 1).toordinal() - _EPOCH.toordinal()


def labelled_columns(
    bars: Bars,
    available: Instants,
    features: FeatureSet,
    target: TargetSpec,
    market: Calendar,
) -> dict[str, Floats]:
    """The columns that models read, each of length n, as in a labelled frame of these bars.

    Parameters
    ----------
    bars
        Consecutive bars, oldest first, made by :func:`bars_from_columns`.
    available
        (n,) when each bar was published: by the calendar, unless it is a revision.
    features
        Computed in the order of their columns.
    target
        What ``baseline_mean`` and ``last_target`` are about.
    market
        The feed's calendar, which says where a label ends.

    Raises
    ------
    FxAssetsError
        The bars lack what the features read.
    """
    times = bars.closes.astype("datetime64[us]")
    known = labels(bars.close, available, target, times, market)
    matrix = features.compute(bars)
    return {
        "close": bars.close,
        "log_return": bars.log_return,
        **{name: matrix[:, i] for i, name in enumerate(features.columns)},
        "target": known.target,
        "baseline_mean": known.baseline_mean,
        "last_target": known.last_target,
    }


def _floats(values: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)
