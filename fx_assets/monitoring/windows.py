"""How far each window of a series lies from a reference: the Wasserstein distance, many at once.

The distance of order one between two samples is the mean gap between their quantile functions
(Vallender 1974). The reference is cut into ``LEVELS`` equally likely parts for each value of the
window, so that a history of windows costs one sort.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = 8
_BLOCK = 1024


def quantile_grid(reference: Floats, window: int) -> Floats:
    """The reference's quantiles at the middles of ``window * LEVELS`` equal parts."""
    levels = (np.arange(window * LEVELS) + 0.5) / (window * LEVELS)
    return np.quantile(reference, levels)


def distances(values: Floats, grid: Floats) -> Floats:
    """Wasserstein distance of every full window of ``values`` to a :func:`quantile_grid`.

    Parameters
    ----------
    values
        (n,) values without NaN; the window's length is ``len(grid) / LEVELS``.
    grid
        Quantiles of the reference.

    Returns
    -------
    ndarray
        (n - window + 1,) distances in the unit of the values, oldest window first.
    """
    window = len(grid) // LEVELS
    if len(values) < window:
        return np.empty(0)
    windows = sliding_window_view(values, window)
    parts = grid.reshape(window, LEVELS)
    out = np.empty(len(windows))
    for start in range(0, len(windows), _BLOCK):
        block = np.sort(windows[start : start + _BLOCK], axis=1)
        out[start : start + _BLOCK] = np.abs(block[:, :, None] - parts).mean(axis=(1, 2))
    return out


def shifts(values: Floats, window: int) -> Floats:
    """Absolute mean of every full window of ``values``, oldest first."""
    if len(values) < window:
        return np.empty(0)
    found: Floats = np.abs(sliding_window_view(values, window).mean(axis=1))
    return found


def leave_one_out(n: int, window: int) -> float:
    """What turns a window's distance from a series into its distance from the rest of the series.

    With ``F`` the distribution of all ``n`` values and ``G`` that of the window, the rest has
    ``(n F - w G) / (n - w)``, whose distance to ``G`` is ``n / (n - w)`` times that of ``F``. The
    same holds for means.
    """
    return n / (n - window)
