"""Whether a changed recipe is worse: the same rows, said by the recipe before and after.

A change is *worse* where its loss is larger by more than ``tolerance`` of the loss before, and
Diebold and Mariano's test of that, one-sided, has a p-value below ``significance`` after Holm's
correction for every changed recipe of the same comparison. So of changes that make no difference at
most that share is held up, however many recipes one of them touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fx_assets.evaluation.losses import Floats, loss_for
from fx_assets.evaluation.metrics import skill_interval
from fx_assets.evaluation.significance import diebold_mariano, holm_threshold
from fx_assets.specs.forecast import TargetKind

SIGNIFICANCE = 0.02
TOLERANCE = 0.001
"""A loss of a thousandth is reported and holds nothing up."""

Word = Literal["worse", "no worse", "better", "the same"]


@dataclass(frozen=True)
class Difference:
    """A recipe after a change beside the recipe before it, on identical rows.

    ``gain`` is the relative reduction of the mean loss with its 95 % block-bootstrap interval;
    ``worse_p`` and ``better_p`` are one-sided p-values.
    """

    rows: int
    gain: float
    lower: float
    upper: float
    worse_p: float
    better_p: float
    same: bool


def difference(
    kind: TargetKind, horizon: int, target: Floats, before: Floats, after: Floats
) -> Difference:
    """What a change did to one recipe.

    Parameters
    ----------
    target, before, after
        (n,) outcomes and both predictions of the same rows, in order of time; at least 30 rows.

    Raises
    ------
    NotEnoughDataError
        Fewer rows.
    """
    loss = loss_for(kind)
    old, new = loss(target, before), loss(target, after)
    if np.array_equal(before, after):
        return Difference(len(target), 0.0, 0.0, 0.0, 1.0, 1.0, same=True)
    gain, lower, upper = skill_interval(new, old, horizon)
    return Difference(
        rows=len(target),
        gain=gain,
        lower=lower,
        upper=upper,
        worse_p=diebold_mariano(new, old, horizon).p_value,
        better_p=diebold_mariano(old, new, horizon).p_value,
        same=False,
    )


def words(
    found: Sequence[Difference],
    significance: float = SIGNIFICANCE,
    tolerance: float = TOLERANCE,
) -> list[Word]:
    """What may be said of each change of a comparison, in their order."""
    worse = holm_threshold([each.worse_p for each in found], significance)
    better = holm_threshold([each.better_p for each in found], significance)
    said: list[Word] = []
    for each in found:
        if each.same:
            said.append("the same")
        elif each.worse_p < worse and each.gain < -tolerance:
            said.append("worse")
        else:
            said.append("better" if each.better_p < better else "no worse")
    return said
