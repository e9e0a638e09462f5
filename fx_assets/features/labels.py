"""What a row is asked to predict, when that became known, and what was known before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.calendars import Calendar
from fx_assets.features.frame import build_features
from fx_assets.features.label_arrays import known_before, label_available_at, targets
from fx_assets.specs.forecast import ForecastSpec, TargetSpec


def add_labels(
    frame: pd.DataFrame, target: TargetSpec, calendar: Calendar, as_of: datetime | None = None
) -> pd.DataFrame:
    """A feature frame with the columns of its labels.

    Parameters
    ----------
    frame
        Feature frame, newest rows included.
    target
        What is predicted, and how many bars ahead.
    calendar
        The feed's: when the bars to come close, and when a row's bar is normally published.
    as_of
        Labels that became known later than this instant (UTC) are left unknown.

    Returns
    -------
    DataFrame
        The frame with these columns added:

        - ``target``: the label (float64), NaN while unknown;
        - ``target_time``: when the bar closes at which the label ends (UTC); for the newest rows
          when it will, by the calendar;
        - ``label_available_at``: when the last of the bars that the label is made of, the row's own
          included, became known (UTC), NaT while unknown;
        - ``baseline_mean``: mean of all labels that were known when the row's bar was published,
          NaN before the first;
        - ``last_target``: the newest of those labels.

        "When the row's bar was published" is the calendar's publication time of its day. A row
        whose bar was revised later therefore keeps the baseline of its day, and a label that a
        revision made late counts from the first row published after the revision.
    """
    horizon = target.horizon
    values = targets(frame["close"].to_numpy(), target)
    known = label_available_at(_naive(frame["available_at"]), target)
    late = np.zeros(len(frame), dtype=bool)
    if as_of is not None:
        late = known > np.datetime64(pd.Timestamp(as_of).tz_convert("UTC").tz_localize(None))
    days = calendar.day_index(pd.DatetimeIndex(frame["event_time"])).date
    published = _naive([calendar.available_at(day) for day in days])
    mean, last = known_before(values, known, published)
    return frame.assign(
        target=np.where(late, np.nan, values),
        target_time=_target_time(frame, horizon, calendar),
        label_available_at=_utc(np.where(late, np.datetime64("NaT"), known)),
        baseline_mean=mean,
        last_target=last,
    )


def labelled_frame(bars: pd.DataFrame, spec: ForecastSpec, calendar: Calendar) -> pd.DataFrame:
    """A forecast's features and labels: what it is trained on, and what it predicts from.

    Parameters
    ----------
    bars
        Bars as known at the time that is asked about.
    spec
        Names the feature set and the target.
    calendar
        The feed's.
    """
    return add_labels(build_features(bars, spec.features, calendar), spec.target, calendar)


def _target_time(frame: pd.DataFrame, horizon: int, calendar: Calendar) -> pd.DatetimeIndex:
    times = pd.DatetimeIndex(frame["event_time"])
    newest = calendar.day_index(times[-horizon:]).date
    ahead = [calendar.event_time(calendar.following(day, horizon)) for day in newest]
    return _utc(np.concatenate([_naive(times[horizon:]), _naive(ahead)]))


def _naive(times: pd.Series | pd.DatetimeIndex | list[datetime]) -> NDArray[Any]:
    """UTC instants as NumPy's zoneless ones."""
    index = pd.DatetimeIndex(pd.to_datetime(times, utc=True))
    return index.tz_localize(None).to_numpy("datetime64[us]")


def _utc(times: NDArray[Any]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times).tz_localize("UTC")
