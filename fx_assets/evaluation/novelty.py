"""Whether inputs are like those that a model was trained on.

How far a row is out is the largest of its inputs' distances from the median, each in units of how
far the outermost hundredth of training rows begins on that side. It is calibrated as a conformal
test: the limit is what the stated share of training rows exceed, each beside the others (Vovk,
Gammerman and Shafer, 2005, *Algorithmic learning in a random world*). That share is exact for rows
that are exchangeable with these; markets are not, so it is also measured. Needs NumPy only.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.evaluation.losses import Floats
from fx_assets.specs.base import Record

_EDGE = 0.01


class Novelty(Record):
    """Learned from training inputs; of a window of bars, from its newest one."""

    centre: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]
    """Distance at which the outermost hundredth of training values begins on either side."""
    limit: float
    """Largest distance that is not out of range."""
    rate: float
    """Share of training rows that exceed it, at most."""

    @cached_property
    def _scales(self) -> tuple[Floats, Floats, Floats]:
        centre, below, above = (np.array(v) for v in (self.centre, self.below, self.above))
        return centre, below, above

    def distances(self, inputs: ArrayLike) -> Floats:
        """(n, p) inputs to distances, in units of the limit: above 1 a row is out of range.

        A missing input has a distance of zero.
        """
        centre, below, above = self._scales
        away = np.asarray(inputs, dtype=np.float64)[:, -len(centre) :] - centre
        with np.errstate(over="ignore"):
            far = np.where(away < 0, -away / below, away / above) / self.limit
        return np.nan_to_num(far, nan=0.0, posinf=math.inf, neginf=math.inf)


def learn(matrix: ArrayLike, rate: float, *, newest: int | None = None) -> Novelty | None:
    """What training inputs are like; ``None`` where they are too few for the rate.

    Parameters
    ----------
    matrix
        (n, p) training inputs.
    rate
        Share of rows like these that may be called out of range.
    newest
        How many of the inputs, the last ones, are of the newest bar; by default all. Others are
        of bars before, which had their turn.
    """
    X = np.asarray(matrix, dtype=np.float64)
    X = X if newest is None else X[:, -newest:]
    allowed = math.floor(rate * (len(X) + 1))
    if not X.size or allowed < 1:
        return None
    with np.errstate(all="ignore"):
        low, centre, high = np.nanquantile(X, [_EDGE, 0.5, 1 - _EDGE], axis=0)
        least, most = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    below = np.where(centre > low, centre - low, centre - least)
    above = np.where(high > centre, high - centre, most - centre)
    tiny = np.finfo(np.float64).tiny
    centre, below, above = (np.nan_to_num(v) for v in (centre, below, above))
    scaled = Novelty(
        centre=tuple(centre.tolist()),
        below=tuple(np.maximum(below, tiny).tolist()),
        above=tuple(np.maximum(above, tiny).tolist()),
        limit=1.0,
        rate=rate,
    )
    farthest = np.sort(scaled.distances(X).max(axis=1))
    return scaled.model_copy(update={"limit": max(float(farthest[-allowed]), 1.0)})
