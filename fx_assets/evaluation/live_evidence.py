"""What live rows alone say of a candidate, at any time and however often one looks.

An e-process: what somebody owns who began with 1 and bet, at each row, fixed shares of it on the
candidate's loss being the smaller one, were the odds fair. While the candidate is no better on the
whole, the chance that it ever reaches ``1 / level`` is at most ``level`` (Ville's inequality).
Shares are mixed evenly. The bets are those of Waudby-Smith and Ramdas (2023), *Estimating means of
bounded random variables by betting*, JRSS B 86; that they judge the mean of differences of two
forecasters' losses, which may change from row to row, is Choe and Ramdas (2023), *Comparing
sequential forecasters*, Operations Research 72. Rows of overlapping targets are dealt out to as
many streams as the horizon has bars, whose e-processes are averaged (Henzi and Ziegel, 2022, *Valid
sequential inference on probability forecast performance*, Biometrika 109).

Bets need bounds. A difference is divided by one that walking forward exceeded in 1 of 100 rows
before the first live row, and cut at 1: what is judged is the mean of differences so cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.evaluation.losses import Floats

STAKES = np.geomspace(0.005, 0.95, 16)
"""Shares that are bet."""
LARGEST = 1e300
MIN_SCALE_ROWS = 100
"""Walk-forward rows that the scale is taken from."""
_STEPS = 40


@dataclass(frozen=True)
class Weighed:
    """Evidence that a candidate is better, that it is worse, and its mean advantage with bounds.

    ``mean`` and the bounds are of differences so cut; it lies between them.
    """

    better: float
    worse: float
    mean: float
    lower: float
    upper: float


def weigh(advantage: ArrayLike, scale: float, horizon: int, confidence: float) -> Weighed:
    """Judge live differences of losses.

    Parameters
    ----------
    advantage
        (n,) loss of the benchmark less that of the candidate, in order of time.
    scale
        The largest absolute difference that counts in full.
    horizon
        Of the target in bars.
    confidence
        Of the bounds, over all times at which one looks.
    """
    x = np.clip(np.asarray(advantage, dtype=np.float64) / scale, -1.0, 1.0)
    limit = 2 / (1 - confidence)
    mean = float(x.mean()) if len(x) else 0.0
    # Streams that differ from each other may refute it; bounds that are wider hold all the more.
    lower, _, upper = sorted((_least(x, horizon, limit), mean, -_least(-x, horizon, limit)))
    return Weighed(
        better=_owned(x, horizon),
        worse=_owned(-x, horizon),
        mean=scale * mean,
        lower=scale * lower,
        upper=scale * upper,
    )


def scale_of(advantage: ArrayLike) -> float:
    """The difference of losses that is cut at, from walk-forward rows; NaN where they are few."""
    sizes = np.abs(np.asarray(advantage, dtype=np.float64))
    return float(np.quantile(sizes, 0.99)) if len(sizes) >= MIN_SCALE_ROWS else math.nan


def e_process(x: ArrayLike, horizon: int = 1) -> Floats:
    """What is owned after each of the rows, each within -1 and 1.

    It tests that their mean is not above 0.
    """
    values = np.asarray(x, dtype=np.float64)
    owned = np.ones((horizon, len(values)))
    for stream in range(min(horizon, len(values))):
        won = np.cumsum(np.log1p(np.outer(STAKES, values[stream::horizon])), axis=1)
        mixed = np.minimum(np.exp(np.minimum(won, 690.0)).mean(axis=0), LARGEST)
        rows = np.arange(len(values) - stream) // horizon
        owned[stream, stream:] = mixed[rows]
    path: Floats = owned.mean(axis=0)
    return path


def _owned(x: Floats, horizon: int) -> float:
    return float(e_process(x, horizon)[-1]) if len(x) else 1.0


def _least(x: Floats, horizon: int, limit: float) -> float:
    """The smallest mean that the rows do not refute."""
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _owned((x - middle) / (1 + middle), horizon) >= limit:
            low = middle
        else:
            high = middle
    return low
