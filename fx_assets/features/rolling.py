"""Moments over a moving window that depend on the window alone.

Running sums (as in TA-Lib's STDDEV) carry rounding errors through the whole history and lose all
digits where dispersion is small against the level, as it is for a pegged currency. Here each window
is centred on its newest value first, so that a constant window gives exactly zero, and a row has
the same value, to the last bit, whatever came before its window. The price is O(n * window) work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FLAT = 1e-8
"""A standard deviation of log prices below this is rounding: quotations have 4 to 6 digits."""

_BLOCK_VALUES = 32_768


class Moments(NamedTuple):
    """Of the values in the window ending at each row; NaN until the window is full."""

    distance: Floats
    """The newest value minus the window's mean."""
    std: Floats
    """Standard deviation (divided by the number of values); exactly 0 where below ``FLAT``."""


def rolling_moments(x: Floats, window: int) -> Moments:
    """Distance from the mean and standard deviation of the last ``window`` values of each row.

    Parameters
    ----------
    x
        (n,) values on a log scale.
    window
        Number of values, at least 2.
    """
    distance, std = np.full(len(x), np.nan), np.full(len(x), np.nan)
    for rows, centred in _centred_windows(x, window):
        first = _column_means(centred)
        distance[rows] = -first
        std[rows] = np.sqrt(np.maximum(_column_means(centred * centred) - first**2, 0.0))
    std[std < FLAT] = 0.0
    return Moments(distance, std)


def rolling_skew(x: Floats, window: int, std: Floats | None = None) -> Floats:
    """Skewness of the last ``window`` values of each row; 0 where the standard deviation is 0.

    ``std`` is that of :func:`rolling_moments`, where it is at hand.
    """
    if std is None:
        std = rolling_moments(x, window).std
    third = np.full(len(x), np.nan)
    for rows, centred in _centred_windows(x, window):
        deviation = centred - centred.sum(axis=0) / window
        third[rows] = _column_means(deviation * deviation * deviation)
    return ratio(third, std**3)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """``numerator / denominator``, and 0 where the denominator is 0."""
    flat = denominator == 0
    return np.where(flat, 0.0, numerator / np.where(flat, 1.0, denominator))


def _centred_windows(x: Floats, window: int) -> Iterator[tuple[slice, Floats]]:
    """Blocks that fit the processor's cache: the rows, and their windows minus the newest value.

    Windows are columns, with one column ahead of the rows' own, because NumPy adds up a lone column
    in another order than one of many, and a row must not depend on how many others there are.
    """
    if len(x) < window:
        return
    values = np.concatenate([x[:1], x])
    # The view that sliding_window_view(values, window).T is, in a twentieth of its time.
    shape, step = (window, len(values) - window + 1), values.itemsize
    windows: Floats = np.ndarray(shape, values.dtype, values, strides=(step, step))
    size = max(1, _BLOCK_VALUES // window)
    for start in range(1, windows.shape[1], size):
        block = windows[:, start - 1 : start + size]
        first_row = start + window - 2
        rows = slice(first_row, first_row + block.shape[1] - 1)
        yield rows, np.subtract(block, block[-1], order="C")


def _column_means(values: Floats) -> Floats:
    """Means of all columns but the first."""
    means: Floats = values.sum(axis=0)[1:] / len(values)
    return means
