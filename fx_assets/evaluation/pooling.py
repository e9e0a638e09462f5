"""How much each member of a pool counts, or a model beside the base rate, from known labels."""

from __future__ import annotations

import numpy as np

from fx_assets.evaluation.losses import Floats
from fx_assets.models.pool import pooled, to_pool
from fx_assets.specs import TargetSpec

TRAILING_ROWS = 500
ROUND = 250
"""Rows whose losses count together in hedged weights."""
MIN_ROWS = 250
"""Fewer labels known than these give equal weights."""
SMALLEST_LOSS = 1e-12
TOLERANCE = 1e-7


def pool_weights(
    how: str, said: Floats, came: Floats, target: TargetSpec, baseline: int | None = None
) -> Floats:
    """(m,) weights, not below zero, that add up to one.

    Parameters
    ----------
    how
        ``equal``, ``trailing`` (Bates & Granger 1969: inverse mean loss of the newest 500 rows),
        ``stacked`` (least mean loss of the pool on all rows) or ``hedged`` (:func:`hedge`).
    said, came
        (n, m) out-of-sample predictions of rows whose (n,) outcomes are known, oldest first.
    baseline
        Which member claims no skill, if one does. A stacked pool says what that says while fewer
        than 250 outcomes are known.
    """
    members = said.shape[1]
    equal = np.full(members, 1 / members)
    if how == "stacked" and baseline is not None and len(came) < MIN_ROWS:
        return np.asarray(np.eye(members)[baseline], dtype=np.float64)
    if how == "equal" or len(came) < MIN_ROWS:
        return equal
    loss = target.definition.loss
    if how == "hedged":
        lost = np.column_stack([loss(came, said[:, k]) for k in range(members)])
        return hedge(np.add.reduceat(lost, np.arange(0, len(lost), ROUND)))
    if how == "trailing":
        newest = slice(-TRAILING_ROWS, None)
        losses = [loss(came[newest], said[newest, k]).mean() for k in range(members)]
        inverse = 1 / np.maximum(losses, SMALLEST_LOSS)
        return np.asarray(inverse / inverse.sum(), dtype=np.float64)
    from scipy.optimize import minimize

    def mean_loss(weights: Floats) -> float:
        return float(loss(came, pooled(said, weights, target)).mean())

    unit = mean_loss(equal) or 1.0
    found = minimize(  # type: ignore[no-untyped-call]
        lambda weights: mean_loss(weights) / unit,
        equal,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * members,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-12},  # forecasts of a near coin differ in the fifth digit of their loss
    )
    best = np.clip(found.x, 0.0, None)
    best = np.round(best / best.sum(), 6)
    best[np.argmax(best)] += 1 - best.sum()
    return best if mean_loss(best) <= mean_loss(equal) else equal


def hedge(lost: Floats) -> Floats:
    """(m,) weights after (rounds, m) losses: AdaHedge (de Rooij, van Erven, Grünwald and Koolen
    2014), exponential weights that find their own rate.

    Whatever the losses, who weighs anew before each of T rounds loses at most
    ``S * (sqrt(T * log(m)) + 4 / 3 * log(m) + 2)`` more than the best member, where S is the
    largest difference of two members' losses in a round.
    """
    total, gap, members = np.zeros(lost.shape[1]), 0.0, lost.shape[1]

    def weights() -> Floats:
        behind = total - total.min()
        if gap <= 0:
            at = (behind == 0).astype(np.float64)
        else:
            at = np.exp(-np.log(members) / gap * behind)
        return np.asarray(at / at.sum(), dtype=np.float64)

    for row in lost:
        now = weights()
        if gap <= 0:
            mixed = float(row[now > 0].min())
        else:
            rate = np.log(members) / gap
            mixed = row.min() - float(np.log(now @ np.exp(-rate * (row - row.min())))) / rate
        gap += max(0.0, float(now @ row) - mixed)
        total += row
    return weights()


def shrinkage(said: Floats, base: Floats, came: Floats) -> float:
    """The share, 0 to 1, of a model's log-odds beside the baseline's: a slope of Platt's (1999).

    It has the least log loss on rows whose outcomes are known, and is 0 while there are fewer than
    250 of them: a model says the base rate until it has shown that it knows more.

    Parameters
    ----------
    said, base, came
        (n,) out-of-sample probabilities, the baseline's, and outcomes.
    """
    if len(came) < MIN_ROWS:
        return 0.0
    start = to_pool(base, "binary")
    away = to_pool(said, "binary") - start

    def slope(share: float) -> float:
        return float(((1 / (1 + np.exp(-start - share * away)) - came) * away).sum())

    if slope(0.0) >= 0:
        return 0.0
    low, high = 0.0, 1.0
    if slope(high) <= 0:
        return 1.0
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return round((low + high) / 2, 6)
