"""Value at risk and expected shortfall: whether they hold, and whether they beat a constant.

Kupiec (1995); Christoffersen (1998); Fissler and Ziegel (2016), whose score is taken in the form of
Patton, Ziegel and Chen (2019): FZ0, least in the mean for the true pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.significance import MIN_ROWS, positive_mean_test

LEVEL = 0.025
"""Share of bars that may fall below the value at risk (Basel's of expected shortfall)."""


@dataclass(frozen=True)
class TailRisk:
    """How the tails of a position were told."""

    rows: int
    exceedances: float
    """Share of rows below the value at risk; ``LEVEL`` is right."""
    kupiec_p: float
    """That it is right."""
    christoffersen_p: float
    """That it is, and that exceedances do not come together."""
    shortfall: float
    """Mean loss beyond the value at risk over the expected shortfall; 1 is right."""
    score: float
    constant_score: float
    """FZ0, of the forecast and of the volatility of all of history; smaller is better."""
    better_p: float
    """One-sided, that it is no better than that."""


def tail_risk(returns: Floats, volatility: Floats, usual: Floats) -> TailRisk:
    """Judge normal tails of (n,) returns by their predicted volatility, beside a usual one."""
    from scipy.special import ndtri

    z = float(ndtri(LEVEL))
    beyond = -math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / LEVEL
    hits = returns < z * volatility
    scores = [fz0(returns, z * s, beyond * s) for s in (volatility, usual)]
    lost = returns[hits] / (beyond * volatility[hits])
    differs = len(returns) >= MIN_ROWS and not np.array_equal(volatility, usual)
    return TailRisk(
        rows=len(returns),
        exceedances=float(hits.mean()) if len(hits) else math.nan,
        kupiec_p=kupiec(hits),
        christoffersen_p=christoffersen(hits),
        shortfall=float(lost.mean()) if len(lost) else math.nan,
        score=float(scores[0].mean()) if len(hits) else math.nan,
        constant_score=float(scores[1].mean()) if len(hits) else math.nan,
        better_p=positive_mean_test(scores[1] - scores[0], 1).p_value if differs else math.nan,
    )


def fz0(returns: Floats, value_at_risk: Floats, shortfall: Floats, level: float = LEVEL) -> Floats:
    """The score of each row; both forecasts are returns below zero."""
    v, e = value_at_risk, shortfall
    below = (returns <= v) * (v - returns)
    return np.asarray(-below / (level * e) + v / e + np.log(-e) - 1)


def kupiec(hits: NDArray[np.bool_], level: float = LEVEL) -> float:
    """p-value of the likelihood ratio test that the share of hits is the level."""
    from scipy.special import chdtrc

    return float(chdtrc(1, _unconditional(hits, level))) if len(hits) else math.nan


def christoffersen(hits: NDArray[np.bool_], level: float = LEVEL) -> float:
    """p-value of the test of conditional coverage: the right share, and no memory."""
    from scipy.special import chdtrc

    if len(hits) < 2:
        return math.nan
    return float(chdtrc(2, _unconditional(hits, level) + _memory(hits)))


def _unconditional(hits: NDArray[np.bool_], level: float) -> float:
    n, k = len(hits), int(hits.sum())
    return 2 * (_likelihood(n - k, k, k / n) - _likelihood(n - k, k, level))


def _memory(hits: NDArray[np.bool_]) -> float:
    """The likelihood ratio of hits that depend on the one before."""
    before, after = hits[:-1], hits[1:]
    quiet = [int((~before & ~after).sum()), int((~before & after).sum())]
    hit = [int((before & ~after).sum()), int((before & after).sum())]
    both = [a + b for a, b in zip(quiet, hit, strict=True)]

    def fitted(counts: list[int]) -> float:
        misses, known = counts
        return _likelihood(misses, known, known / (misses + known)) if misses + known else 0.0

    return max(0.0, 2 * (fitted(quiet) + fitted(hit) - fitted(both)))


def _likelihood(misses: int, hits: int, share: float) -> float:
    """Log likelihood of independent hits, 0 log 0 being 0."""
    return (misses * math.log(1 - share) if misses else 0.0) + (
        hits * math.log(share) if hits else 0.0
    )
