"""The arithmetic of labels: what came of each bar, and what was known of that at each bar.

NumPy only, so that the server computes baselines as training does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fx_assets.calendars import Calendar
from fx_assets.specs.forecast import TargetSpec
from fx_assets.targets.base import NONE, Positions

Floats = NDArray[np.float64]
Instants = NDArray[Any]
"""UTC instants as NumPy's zoneless ``datetime64[us]``."""
_TICK = np.timedelta64(1, "us")


class Labels(NamedTuple):
    """Of each bar."""

    target: Floats
    """What came of it, NaN while or where that is unknown."""
    available_at: Instants
    """When that was known, NaT where it is not."""
    baseline_mean: Floats
    """Mean of all labels that were known when the bar was published, NaN before the first."""
    last_target: Floats
    """The newest of them."""


def labels(
    close: Floats,
    available: Instants,
    target: TargetSpec,
    event_times: Instants,
    market: Calendar,
) -> Labels:
    """The labels of consecutive bars.

    Parameters
    ----------
    close
        (n,) closes.
    available
        (n,) when each bar was known.
    target
        What is predicted, and how many bars ahead.
    event_times, market
        (n,) when each bar closed, ascending, and the calendar that says where its label ends (see
        :func:`label_ends`) and when a row is normally published.
    """
    ends = label_ends(event_times, target, market)
    values = target.definition.labels(close, ends)
    known = label_available_at(available, target, ends)
    return Labels(values, known, *known_before(values, known, market.published(event_times)))


def label_ends(event_times: Instants, target: TargetSpec, market: Calendar) -> Positions:
    """The position of the bar at which each label ends, ``NONE`` where there is no label.

    A label ends at the close that the calendar says is due ``horizon`` bars later, and nowhere
    else: where that bar is missing or yet to come, the label is unknown rather than that of a
    longer time. Bars of a quiet day, which are not due, are passed over. A label that is made of
    the bars on the way, as a variance is, is unknown also where one of them is missing.
    """
    n = len(event_times)
    due = market.next_closes(event_times, target.horizon)
    position = np.searchsorted(event_times, due)
    found = position < n
    found[found] = event_times[position[found]] == due[found]
    if target.definition.path and target.horizon > 1:
        is_due = market.next_closes(event_times - _TICK) == event_times
        count = np.cumsum(is_due)
        found[found] = (count[position[found]] - count[found]) == target.horizon
    return np.where(found, position, NONE)


def label_available_at(available: Instants, target: TargetSpec, ends: Positions) -> Instants:
    """When each label is known, given when each bar is; NaT where there is none.

    Of a direction or return that is when the later of its two bars is known, of a variance, whose
    bars on the way count, when the last of all its bars is.
    """
    rows = np.flatnonzero(ends != NONE)
    out = np.full(len(available), np.datetime64("NaT"), dtype=available.dtype)
    if target.definition.path:
        bars = ends[rows] - rows
        for length in np.unique(bars):
            some = rows[bars == length]
            out[some] = sliding_window_view(available, length + 1).max(axis=1)[some]
    else:
        out[rows] = np.maximum(available[rows], available[ends[rows]])
    return out


def known_before(values: Floats, known: Instants, published: Instants) -> tuple[Floats, Floats]:
    """Mean and newest of the labels that were known when each row's bar was published.

    Parameters
    ----------
    values
        (n,) labels, NaN where unknown.
    known
        (n,) when each label is known.
    published
        (n,) when each row's bar is normally published, ascending.
    """
    rows = np.arange(len(values))
    labelled = np.flatnonzero(~np.isnan(values))
    first_row = np.searchsorted(published, known[labelled])
    order = np.argsort(first_row, kind="stable")
    count = np.searchsorted(first_row[order], rows, side="right")
    mean, last = np.full(len(values), np.nan), np.full(len(values), np.nan)
    some = count > 0
    # cumsum adds one after the other, so that a row's mean is the same however many rows follow.
    mean[some] = np.cumsum(values[labelled[order]])[count[some] - 1] / count[some]
    newest = np.maximum.accumulate(labelled[order])
    last[some] = values[newest[count[some] - 1]]
    return mean, last
