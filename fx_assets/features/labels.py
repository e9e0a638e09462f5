"""What a row is asked to predict, when that became known, and what was known before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fx_assets.calendars import Calendar
from fx_assets.features.frame import build_features
from fx_assets.specs.forecast import ForecastSpec, TargetSpec

Floats = NDArray[np.float64]


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
    values = _targets(frame, target)
    known = _label_available_at(frame, horizon, every_bar=target.kind == "volatility")
    late = np.zeros(len(frame), dtype=bool)
    if as_of is not None:
        late = known > np.datetime64(pd.Timestamp(as_of).tz_convert("UTC").tz_localize(None))
    mean, last = _known_before(frame, values, known, calendar)
    return frame.assign(
        target=np.where(late, np.nan, values),
        target_time=_target_time(frame, horizon, calendar),
        label_available_at=_utc(np.where(late, np.datetime64("NaT"), known)),
        baseline_mean=mean,
        last_target=last,
    )


def labelled_frame(
    bars: pd.DataFrame, spec: ForecastSpec, calendar: Calendar
) -> pd.DataFrame:
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


def _targets(frame: pd.DataFrame, target: TargetSpec) -> Floats:
    horizon = target.horizon
    out = np.full(len(frame), np.nan)
    if len(frame) <= horizon:
        return out
    close = frame["close"].to_numpy()
    if target.kind == "direction":
        out[:-horizon] = close[horizon:] > close[:-horizon]
    elif target.kind == "return":
        out[:-horizon] = np.log(close[horizon:] / close[:-horizon])
    else:
        squares = np.log(close[1:] / close[:-1]) ** 2
        out[:-horizon] = sum(squares[k : len(close) - horizon + k] for k in range(horizon))
    return out


def _label_available_at(frame: pd.DataFrame, horizon: int, *, every_bar: bool) -> NDArray[Any]:
    """Latest ``available_at`` of the first and last bar of a label, or of every bar between."""
    available = _naive(frame["available_at"])
    out = np.full(len(frame), np.datetime64("NaT"), dtype=available.dtype)
    if len(frame) > horizon:
        if every_bar:
            out[:-horizon] = sliding_window_view(available, horizon + 1).max(axis=1)
        else:
            out[:-horizon] = np.maximum(available[:-horizon], available[horizon:])
    return out


def _target_time(frame: pd.DataFrame, horizon: int, calendar: Calendar) -> pd.DatetimeIndex:
    times = pd.DatetimeIndex(frame["event_time"])
    newest = calendar.day_index(times[-horizon:]).date
    ahead = [calendar.event_time(calendar.following(day, horizon)) for day in newest]
    return _utc(np.concatenate([_naive(times[horizon:]), _naive(ahead)]))


def _known_before(
    frame: pd.DataFrame, values: Floats, known: NDArray[Any], calendar: Calendar
) -> tuple[Floats, Floats]:
    """Expanding mean and newest of the labels known at each row."""
    rows = np.arange(len(frame))
    labelled = np.flatnonzero(~np.isnan(values))
    days = calendar.day_index(pd.DatetimeIndex(frame["event_time"])).date
    published = _naive([calendar.available_at(day) for day in days])
    first_row = np.searchsorted(published, known[labelled])
    order = np.argsort(first_row, kind="stable")
    count = np.searchsorted(first_row[order], rows, side="right")
    mean, last = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    some = count > 0
    # cumsum adds one after the other, so that a row's mean is the same however many rows follow.
    mean[some] = np.cumsum(values[labelled[order]])[count[some] - 1] / count[some]
    newest = np.maximum.accumulate(labelled[order])
    last[some] = values[newest[count[some] - 1]]
    return mean, last


def _naive(times: pd.Series | pd.DatetimeIndex | list[datetime]) -> NDArray[Any]:
    """UTC instants as NumPy's zoneless ones."""
    index = pd.DatetimeIndex(pd.to_datetime(times, utc=True))
    return index.tz_localize(None).to_numpy("datetime64[us]")


def _utc(times: NDArray[Any]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times).tz_localize("UTC")
