"""How often a forecast was on the right side, over a moving window, with its binomial band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.rolling_skill import STEP
from fx_assets.targets.shown import Outcome

Z = 1.959963984540054
"""Of a two-sided interval of 95 %."""


@dataclass(frozen=True)
class RollingHits:
    """Share on the right side in the ``window`` rows that end at each of the rows ``last``."""

    last: np.ndarray
    rate: Floats
    lower: Floats
    upper: Floats
    baseline: Floats
    """The baseline's share; NaN where it takes no side."""


def rolling_hits(
    target: Floats,
    prediction: Floats,
    baseline: Floats,
    outcome: Outcome,
    horizon: int,
    *,
    window: int,
) -> RollingHits:
    """Shares every ``STEP`` rows, the newest window included; none of targets without sides.

    The band is Wilson's, of ``window / horizon`` independent trials: outcomes over several bars
    overlap. A row where forecast or outcome is on neither side does not count.

    Parameters
    ----------
    target, prediction, baseline
        (n,) known outcomes and what was said of them, in order of time.
    """
    middle = {"binary": 0.5, "real": 0.0}.get(outcome)
    last = np.arange(len(target) - 1, window - 2, -STEP)[::-1]
    if middle is None or not len(last):
        empty = np.empty(0)
        return RollingHits(last[:0], empty, empty, empty, empty)
    rows = last[:, None] - np.arange(window)
    came = np.sign(target - middle)
    hits, counted = _shares(came, np.sign(prediction - middle), rows)
    n = counted / horizon
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (hits + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * np.sqrt(hits * (1 - hits) / n + (Z / (2 * n)) ** 2)
    reference, _ = _shares(came, np.sign(baseline - middle), rows)
    some = counted > 0
    return RollingHits(
        last[some],
        hits[some],
        (centre - half)[some],
        (centre + half)[some],
        reference[some],
    )


def _shares(came: Floats, said: Floats, rows: np.ndarray) -> tuple[Floats, Floats]:
    counts = (came * said != 0)[rows].sum(axis=1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (came * said > 0)[rows].sum(axis=1) / counts, counts
