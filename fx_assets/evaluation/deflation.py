"""How much of the best Sharpe ratio is owed to having tried many.

Bailey and Lopez de Prado, *The deflated Sharpe ratio* (2014); Bailey, Borwein, Lopez de Prado and
Zhu, *The probability of backtest overfitting* (2017).
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fx_assets.evaluation.losses import Floats

EULER = 0.5772156649015329
BLOCKS = 16


def sharpe(returns: Floats) -> float:
    """Mean over standard deviation, of a bar; NaN where nothing varies."""
    spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return float(np.mean(returns)) / spread if spread > 0 else math.nan


def expected_best(variance: float, trials: int) -> float:
    """The Sharpe ratio that the best of so many trials without skill is expected to have."""
    from scipy.special import ndtri

    if trials < 2:
        return 0.0
    near, far = ndtri(1 - 1 / trials), ndtri(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * float((1 - EULER) * near + EULER * far)


def deflated_sharpe(returns: Floats, trials: int, variance: float | None = None) -> float:
    """The probability that the true Sharpe ratio is above that of the best of lucky trials.

    Parameters
    ----------
    returns
        (n,) of each bar.
    trials
        How many there were; with one, it is the probabilistic Sharpe ratio against zero.
    variance
        Of the Sharpe ratios (of a bar) of the trials. Unless it is given it is that of trials
        without skill, ``1 / (n - 1)``. The paper takes what it finds among the trials, which costs
        that drive bad ones apart, or one that is good, would raise, so that no edge is found.
    """
    from scipy.special import ndtr

    n, ratio = len(returns), sharpe(returns)
    if not math.isfinite(ratio):
        return math.nan
    z = (returns - returns.mean()) / returns.std()
    skewness, kurtosis = float(np.mean(z**3)), float(np.mean(z**4))
    spread = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    beyond = ratio - expected_best(1 / (n - 1) if variance is None else variance, trials)
    return float(ndtr(beyond * math.sqrt(n - 1) / math.sqrt(max(spread, 1e-12))))


def overfitting(returns: NDArray[np.float64]) -> float:
    """The share of ways to halve history in which the best of one half is below the median of the
    other (combinatorially symmetric cross-validation with 16 blocks).

    Parameters
    ----------
    returns
        (n, recipes) of each bar; NaN is the answer to fewer than two recipes or 32 bars.
    """
    n, recipes = returns.shape
    if recipes < 2 or n < 2 * BLOCKS:
        return math.nan
    parts = np.array_split(returns, BLOCKS)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([np.square(part).sum(axis=0) for part in parts])
    inside = _halves()
    first, second = (
        _ratios(half @ counts, half @ sums, half @ squares) for half in (inside, 1 - inside)
    )
    best = np.argmax(first, axis=1)
    chosen = second[np.arange(len(best)), best][:, None]
    rank = (second < chosen).sum(axis=1) + 0.5 * ((second == chosen).sum(axis=1) - 1) + 1
    share = rank / (recipes + 1)
    # Of recipes that earn the same none is better than another: as with a coin, one half.
    alike = (second == chosen).all(axis=1)
    return float(np.mean(np.where(alike, 0.5, share <= 0.5)))


def _ratios(n: Floats, total: Floats, squares: Floats) -> Floats:
    mean = total / n[:, None]
    spread = np.sqrt(np.maximum(squares / n[:, None] - mean**2, 0.0))
    return np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)


@cache
def _halves() -> Floats:
    """(ways, blocks) which blocks are in the first half, in every way to choose it."""
    chosen = list(combinations(range(BLOCKS), BLOCKS // 2))
    inside = np.zeros((len(chosen), BLOCKS))
    inside[np.arange(len(chosen))[:, None], np.array(chosen)] = 1.0
    return inside
