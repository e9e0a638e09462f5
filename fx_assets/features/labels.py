"""What a row is asked to predict, when that became known, and what was known before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.calendars import Calendar, moment
from fx_assets.features.base import feature_set
from fx_assets.features.frame import feature_frame, naive
from fx_assets.features.label_arrays import labels
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
        The feed's: at which close each label ends, and when a row's bar is normally published.
    as_of
        Labels that became known later than this instant (UTC) are left unknown.

    Returns
    -------
    DataFrame
        The frame with these columns added; what was there before is shared, not copied:

        - ``target``: the label (float64), NaN while unknown, and for good where the bar at which
          it ends is missing;
        - ``target_time``: when by the calendar the bar closes at which the label ends (UTC);
        - ``label_available_at``: when the last of the bars that the label is made of, the row's own
          included, became known (UTC), NaT while unknown;
        - ``baseline_mean``: mean of all labels that were known when the row's bar was published,
          NaN before the first;
        - ``last_target``: the newest of those labels.

        "When the row's bar was published" is the calendar's publication time. A row
        whose bar was revised later therefore keeps the baseline of its day, and a label that a
        revision made late counts from the first row published after the revision.
    """
    event_times = naive(frame["event_time"])
    made = labels(
        frame["close"].to_numpy(), naive(frame["available_at"]), target, event_times, calendar
    )
    values, known = made.target, made.available_at
    if as_of is not None:
        late = known > moment(as_of)
        values, known = np.where(late, np.nan, values), np.where(late, np.datetime64("NaT"), known)
    # A shallow copy, to which columns are added one by one: millions of rows of features stay where
    # they are.
    out = frame.copy(deep=False)
    out["target"] = values
    out["target_time"] = _utc(calendar.next_closes(event_times, target.horizon))
    out["label_available_at"] = _utc(known)
    out["baseline_mean"] = made.baseline_mean
    out["last_target"] = made.last_target
    return out


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

    Raises
    ------
    FxAssetsError
        As :func:`fx_assets.features.build_features`.
    """
    features = feature_set(spec.features, calendar.bar)
    return add_labels(feature_frame(bars, features, calendar, spec.feed), spec.target, calendar)


def _utc(times: NDArray[Any]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times).tz_localize("UTC")
