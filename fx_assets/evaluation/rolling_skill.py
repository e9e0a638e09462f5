"""Skill over a moving window of outcomes, with the band that chance would explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fx_assets.evaluation.bootstrap import block_weights
from fx_assets.evaluation.losses import Floats, loss_for
from fx_assets.specs.forecast import TargetKind

STEP = 21
"""Rows between two windows."""
COVERAGE = 0.95
"""Nominal, of the band."""
RESAMPLES = 200


@dataclass(frozen=True)
class RollingSkill:
    """Skill against the baseline in the ``window`` rows that end at each of the rows ``last``."""

    window: int
    last: np.ndarray
    value: Floats
    lower: Floats
    upper: Floats


def rolling_skill(
    target: Floats,
    prediction: Floats,
    baseline: Floats,
    kind: TargetKind,
    horizon: int,
    *,
    window: int,
) -> RollingSkill:
    """Relative reduction of the proper score, every ``STEP`` rows, the newest window included.

    Parameters
    ----------
    target, prediction, baseline
        (n,) known outcomes and what was said of them, in order of time.
    kind, horizon
        Of the target; overlapping targets lengthen the bootstrap's blocks.
    """
    last = np.arange(len(target) - 1, window - 2, -STEP)[::-1]
    if not len(last):
        empty = np.empty(0)
        return RollingSkill(window, last, empty, empty, empty)
    loss = loss_for(kind)
    rows = last[:, None] - np.arange(window - 1, -1, -1)
    model, reference = loss(target, prediction)[rows], loss(target, baseline)[rows]
    weights = block_weights(window, horizon, RESAMPLES, seed=0)
    draws = 1 - (weights @ model.T) / (weights @ reference.T)
    tail = (1 - COVERAGE) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
    value = 1 - model.mean(axis=1) / reference.mean(axis=1)
    return RollingSkill(window, last, value, lower, upper)
