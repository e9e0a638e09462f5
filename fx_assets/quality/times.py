"""Event times as arrays, the days they belong to, and what people call them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar


def bar_times(bars: pd.DataFrame) -> np.ndarray:
    """Event times of bars as UTC ``datetime64[us]`` without a zone."""
    index = pd.DatetimeIndex(bars["event_time"])
    return np.asarray(index.tz_convert(None).to_numpy("datetime64[us]"))


def days_of(times: np.ndarray, calendar: Calendar) -> np.ndarray:
    """The days that bars belong to, ``datetime64[D]``; NaT where the time is."""
    index = calendar.day_index(pd.DatetimeIndex(times).tz_localize("UTC"))
    return np.asarray(index.to_numpy("datetime64[D]"))


def labels(times: np.ndarray, calendar: Calendar) -> np.ndarray:
    """The day of each daily bar, or the UTC minute in which an intraday bar closes."""
    if calendar.daily:
        return np.datetime_as_string(days_of(times, calendar)).astype(object)
    minutes = np.datetime_as_string(times.astype("datetime64[m]"))
    return np.array([text.replace("T", " ") for text in minutes.tolist()], dtype=object)
