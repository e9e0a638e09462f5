"""Proper scores: the only losses that anything is judged by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

VARIANCE_FLOOR = 1e-10
"""QLIKE counts realised variances below this (a move of 0.001 %) as this: its log needs y > 0."""


def squared_error(actual: ArrayLike, expected: ArrayLike) -> Floats:
    """Squared error of each row, in squared units of the target.

    Of a probability and an outcome of 0 or 1 it is the Brier score (1950).
    """
    error = np.asarray(actual, dtype=np.float64) - np.asarray(expected, dtype=np.float64)
    return np.square(error)


def qlike(variance: ArrayLike, forecast: ArrayLike) -> Floats:
    """``y/f - log(y/f) - 1`` of each row, with y floored at ``VARIANCE_FLOOR``.

    It ranks forecasts correctly although realised variance is only a noisy proxy (Patton 2011,
    *Volatility forecast comparison using imperfect volatility proxies*).
    """
    y = np.maximum(np.asarray(variance, dtype=np.float64), VARIANCE_FLOOR)
    ratio = y / np.asarray(forecast, dtype=np.float64)
    return np.asarray(ratio - np.log(ratio) - 1.0, dtype=np.float64)
