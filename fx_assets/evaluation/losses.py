"""The proper score of each kind of target: the only losses that anything is judged by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fx_assets.specs import TargetSpec
from fx_assets.specs.forecast import TargetKind

Floats = NDArray[np.float64]
Loss = Callable[[ArrayLike, ArrayLike], Floats]

VARIANCE_FLOOR = 1e-10
"""QLIKE counts realised variances below this (a move of 0.001 %) as this: its log needs y > 0."""

LOSS_NAMES: dict[TargetKind, str] = {
    "direction": "brier",
    "return": "mse",
    "volatility": "qlike",
}


def brier(outcome: ArrayLike, probability: ArrayLike) -> Floats:
    """Squared distance of a probability from an outcome of 0 or 1, for each row (Brier 1950)."""
    return squared_error(outcome, probability)


def squared_error(actual: ArrayLike, expected: ArrayLike) -> Floats:
    """Squared error of each row, in squared units of the target."""
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


def loss_for(kind: TargetKind) -> Loss:
    """The proper score of a kind of target: Brier, squared error or QLIKE."""
    return {"direction": brier, "return": squared_error, "volatility": qlike}[kind]


def skill(loss_model: ArrayLike, loss_baseline: ArrayLike) -> float:
    """``1 - mean(loss_model) / mean(loss_baseline)``: positive if the model beats the baseline."""
    return float(1.0 - np.asarray(loss_model).mean() / np.asarray(loss_baseline).mean())


def baseline_forecast(target: TargetSpec, baseline_mean: ArrayLike) -> Floats:
    """What the baseline says: the mean of all known targets, or zero for a return."""
    mean = np.asarray(baseline_mean, dtype=np.float64)
    return np.zeros_like(mean) if target.kind == "return" else mean
