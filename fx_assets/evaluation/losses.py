"""Losses, skill and baselines of a kind of target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fx_assets.specs import TargetSpec
from fx_assets.specs.forecast import TargetKind
from fx_assets.targets import target_definition

Floats = NDArray[np.float64]
Loss = Callable[[ArrayLike, ArrayLike], Floats]


def loss_for(kind: TargetKind) -> Loss:
    """The proper score of a kind of target, such as Brier, squared error or QLIKE."""
    return target_definition(kind).loss


def skill(loss_model: ArrayLike, loss_baseline: ArrayLike) -> float:
    """``1 - mean(loss_model) / mean(loss_baseline)``: positive if the model beats the baseline."""
    return float(1.0 - np.asarray(loss_model).mean() / np.asarray(loss_baseline).mean())


def baseline_forecast(target: TargetSpec, baseline_mean: ArrayLike) -> Floats:
    """What the baseline says, such as the mean of all known targets, or zero for a return."""
    return target.definition.baseline_values(np.asarray(baseline_mean, dtype=np.float64))
