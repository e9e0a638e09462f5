"""Prices of the same instrument from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.quality.times import bar_times, days_of


@dataclass(frozen=True, eq=False)
class Reference:
    """Another history of a feed's instrument.

    Parameters
    ----------
    name
        What a finding calls it.
    times
        When its bars close, ``datetime64[us]`` in order.
    days
        The market's days that they belong to, ``datetime64[D]``.
    log_close
        Log prices in the feed's direction.
    daily
        Whether a day has one bar.
    """

    name: str
    times: np.ndarray
    days: np.ndarray
    log_close: np.ndarray
    daily: bool


def reference_of(
    name: str, bars: pd.DataFrame, calendar: Calendar, *, inverse: bool = False
) -> Reference:
    """A declared feed's bars as a reference.

    Parameters
    ----------
    bars
        ``event_time`` and ``close``, one row a bar.
    calendar
        Of that feed.
    inverse
        Whether it prices the inverse instrument, such as USDEUR for a feed of EURUSD.
    """
    known = bars[bars["close"] > 0].sort_values("event_time")
    times = bar_times(known)
    log_close = np.log(known["close"].to_numpy(np.float64))
    return Reference(
        name=name,
        times=times,
        days=days_of(times, calendar),
        log_close=-log_close if inverse else log_close,
        daily=calendar.daily,
    )
