"""The arithmetic of labels: what came of each bar, and what was known of that at each bar.

NumPy only, so that the server computes baselines as training does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fx_assets.specs.forecast import TargetSpec

Floats = NDArray[np.float64]
Instants = NDArray[Any]
"""UTC instants as NumPy's zoneless ``datetime64[us]``."""


def targets(close: Floats, target: TargetSpec) -> Floats:
    """The label of every bar; NaN for the newest, whose label is made of bars to come."""
    horizon = target.horizon
    out = np.full(len(close), np.nan)
    if len(close) <= horizon:
        return out
    if target.kind == "direction":
        out[:-horizon] = close[horizon:] > close[:-horizon]
    elif target.kind == "return":
        out[:-horizon] = np.log(close[horizon:] / close[:-horizon])
    else:
        squares = np.log(close[1:] / close[:-1]) ** 2
        out[:-horizon] = sum(squares[k : len(close) - horizon + k] for k in range(horizon))
    return out


def label_available_at(available: Instants, target: TargetSpec) -> Instants:
    """When each label is known, given when each bar is; NaT where it is not made yet.

    Of a direction or return that is when the later of its two bars is known, of a variance when the
    last of all its bars is.
    """
    horizon = target.horizon
    out = np.full(len(available), np.datetime64("NaT"), dtype=available.dtype)
    if len(available) > horizon:
        if target.kind == "volatility":
            out[:-horizon] = sliding_window_view(available, horizon + 1).max(axis=1)
        else:
            out[:-horizon] = np.maximum(available[:-horizon], available[horizon:])
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
