"""Adaptive conformal inference (Gibbs & Candès 2021) on labels that become known late.

Each tail has a level of its own, which moves by a learning rate whenever a label becomes known:
outwards after an outcome beyond its bound, inwards after one within. A rate of zero is split
conformal prediction.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fx_assets.evaluation.losses import Floats

RATES = (0.0, 0.001, 0.002, 0.005)
"""Learning rates that are compared; 0.005 is Gibbs and Candès' own."""
TOLERANCE = 0.005
"""How far a rate's coverage may be from the nominal one, to be chosen by its interval score."""
OWED = -0.5
"""The lowest level, in nominal ones. At zero and below, a bound is the farthest outcome seen."""
HIGHEST = 0.5
"""The level at which a bound is the median."""


@dataclass(frozen=True)
class Adapted:
    """What walking through the scores gave.

    ``bounds`` are (n, 2), of each row what was known when it was predicted, NaN where that was too
    little, and ``rates`` the learning rate that was in force. ``lower``, ``upper``, ``rate`` and
    ``levels`` (of the two tails) are what all labels give for the next row.
    """

    bounds: Floats
    rates: Floats
    lower: float
    upper: float
    rate: float
    levels: tuple[float, float]


class _Learner:
    """One learning rate: levels of both tails, and how its intervals have done."""

    def __init__(self, rate: float, coverage: float, n: int) -> None:
        self.rate, self.coverage, self.tail = rate, coverage, (1 - coverage) / 2
        self.levels = [self.tail, self.tail]
        self.said = np.full((n, 2), np.nan)
        self.known, self.held, self.loss = 0, 0, 0.0

    def bounds(self, past: list[float]) -> tuple[float, float]:
        n = len(past)
        below, above = (max(1, int(np.floor((n + 1) * level))) for level in self.levels)
        return past[below - 1], past[n - above]

    def learn(self, row: int, score: float, unit: float) -> None:
        lower, upper = self.said[row].tolist()
        if lower != lower:
            return
        below, above = score < lower, score > upper
        for side, missed in enumerate((below, above)):
            moved = self.levels[side] + self.rate * (self.tail - missed)
            self.levels[side] = min(max(moved, OWED * self.tail), HIGHEST)
        beyond = max(lower - score, 0.0, score - upper)
        self.known += 1
        self.held += not (below or above)
        self.loss += unit * (upper - lower + beyond / self.tail)

    @property
    def rank(self) -> tuple[float, float]:
        """Less is better: coverage beyond the tolerance first, then the interval score."""
        if not self.known:
            return 0.0, 0.0
        off = abs(self.held / self.known - self.coverage)
        return max(off - TOLERANCE, 0.0), self.loss / self.known


def adapt(
    scores: Floats,
    unit: Floats,
    event_time: NDArray[np.datetime64],
    known_at: NDArray[np.datetime64],
    coverage: float,
    *,
    first: int,
    every: int,
) -> Adapted:
    """Walk through rows in order of time, learning of each label when it becomes known.

    Of the learning rates that has the best interval score (Gneiting & Raftery 2007) so far whose
    coverage was within ``TOLERANCE``, or the one nearest to it.

    Parameters
    ----------
    scores, unit
        (n,) outcomes on the scale on which bounds are learned, and what one of it is in units of
        the target.
    event_time, known_at
        (n,) when each row was predicted, and when its label was known.
    first
        Labels that must be known before there are bounds.
    every
        Rows for which bounds stay in force, as a published champion's do.
    """
    n = len(scores)
    learners = [_Learner(rate, coverage, n) for rate in RATES]
    arriving = np.argsort(known_at, kind="stable")
    values, units = scores.tolist(), unit.tolist()
    ready = np.searchsorted(known_at[arriving], event_time, side="right").tolist()
    past: list[float] = []
    bounds, rates = np.full((n, 2), np.nan), np.full(n, np.nan)
    chosen, since = learners[0], n

    def absorb(until: int) -> None:
        for row in arriving[len(past) : until].tolist():
            for learner in learners:
                learner.learn(row, values[row], units[row])
            insort(past, values[row])

    for row in range(n):
        absorb(ready[row])
        if len(past) < first:
            continue
        for learner in learners:
            learner.said[row] = learner.bounds(past)
        if since >= every:
            chosen, since = min(learners, key=lambda one: one.rank), 0
            bounds[row] = chosen.said[row]
        else:
            bounds[row] = bounds[row - 1]
        rates[row] = chosen.rate
        since += 1
    absorb(n)
    chosen = min(learners, key=lambda one: one.rank)
    lower, upper = chosen.bounds(past)
    below, above = chosen.levels
    return Adapted(bounds, rates, lower, upper, chosen.rate, (below, above))
