"""Which results are beyond what is plausible for a target, so that a leak is likelier than skill.

Honest results lie near no skill for directions and returns, so that a figure is suspected when it
lies beyond its limit and luck is ruled out. Honest forecasts of a variance may come close to the
limits, which are bounds of what the true variance itself would score: they are suspected when they
are significantly beyond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fx_assets.calendars import Frequency
from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.significance import MIN_ROWS as MIN_SIGNED
from fx_assets.evaluation.significance import mean_upper_bound
from fx_assets.specs.base import Record, Spec
from fx_assets.specs.forecast import TargetKind
from fx_assets.specs.suspicion import SuspicionRule
from fx_assets.targets import TargetDefinition, target_definition
from fx_assets.targets.losses import VARIANCE_FLOOR, qlike
from fx_assets.targets.plausible import Measure

LEVEL_ROWS = 21
"""Rows on each side that show the level of variance around a row."""


class PlausibleLimits(Spec):
    """What is plausible for one kind of target, horizon and frequency."""

    kind: TargetKind
    shown: dict[Measure, float]
    """The limit of each measure that is looked at."""
    confidence: float
    follows_level: bool = True
    """Whether the largest correlation follows the level of variance where that moves more."""


def plausible_limits(
    rule: SuspicionRule, kind: TargetKind, horizon: int, frequency: Frequency
) -> PlausibleLimits:
    """The limits of a forecast, where the rule leaves them open those of the kind of target."""
    usual = target_definition(kind).plausible(frequency, horizon)
    given: dict[str, float] = rule.model_dump(exclude_none=True)
    return PlausibleLimits(
        kind=kind,
        shown={measure: given.get(measure, limit) for measure, limit in usual.items()},
        confidence=rule.confidence,
        follows_level=rule.log_correlation is None,
    )


class Excess(Record):
    """A figure beyond what is plausible."""

    measure: Measure
    value: float
    limit: float
    """What is plausible at most; of QLIKE at least."""
    bound: float
    """One-sided confidence bound of the value, on the side of what is plausible."""
    n: int

    @property
    def text(self) -> str:
        """The figure beside its limit."""
        name, digits = NAMES[self.measure]
        side = "not below" if self.measure == "qlike" else "up to"
        return f"{name} {self.value:{digits}} (plausible {side} {self.limit:{digits}})"


NAMES: dict[Measure, tuple[str, str]] = {
    "accuracy": ("accuracy", ".3f"),
    "roc_auc": ("ROC AUC", ".3f"),
    "skill": ("skill", "+.2%"),
    "qlike": ("QLIKE", ".4f"),
    "log_correlation": ("correlation of log variances", ".2f"),
}
"""What each measure is called, and how it is printed."""


def excesses(
    limits: PlausibleLimits, horizon: int, target: Floats, baseline: Floats, said: Floats
) -> tuple[Excess, ...]:
    """The figures of one candidate that are beyond what is plausible.

    Parameters
    ----------
    limits
        From :func:`plausible_limits`.
    horizon
        Bars ahead; overlapping targets widen the bounds.
    target, baseline, said
        (n,) outcomes, the baseline's and the candidate's predictions, in order of time; at least
        30 rows.
    """
    case = _Case(limits, horizon, target, baseline, said)
    found = (_JUDGES[measure](case, limit) for measure, limit in limits.shown.items())
    return tuple(excess for excess in found if excess is not None)


@dataclass(frozen=True)
class _Case:
    """What one candidate said, and what came."""

    limits: PlausibleLimits
    horizon: int
    target: Floats
    baseline: Floats
    said: Floats

    @property
    def definition(self) -> TargetDefinition:
        return target_definition(self.limits.kind)

    def mean(self, values: Floats) -> _Mean:
        return _Mean(values, self.horizon, self.limits.confidence)


class _Mean:
    """A mean with its HAC bounds."""

    def __init__(self, values: Floats, horizon: int, confidence: float) -> None:
        self.value = float(values.mean())
        self.upper = mean_upper_bound(values, horizon, confidence)
        self.lower = 2 * self.value - self.upper


def _suspect(
    measure: Measure, value: float, limit: float, bound: float, chance: float, n: int
) -> Excess | None:
    if value > limit and bound > chance:
        return Excess(measure=measure, value=value, limit=limit, bound=bound, n=n)
    return None


def _accuracy(case: _Case, limit: float) -> Excess | None:
    """The share of right directions, against always saying what came more often."""
    came_up, said_up = case.definition.sides(case.target, case.said)
    if len(came_up) < MIN_SIGNED:
        return None
    often = max(float(came_up.mean()), 1 - float(came_up.mean()))
    usual = came_up if came_up.mean() >= 0.5 else 1 - came_up
    right = (came_up == said_up).astype(np.float64)
    gain = case.mean(right - usual)
    limit = min(1.0, limit + often - 0.5)
    value = float(right.mean())
    return _suspect("accuracy", value, limit, often + gain.lower, often, len(right))


def _skill(case: _Case, limit: float) -> Excess | None:
    loss = case.definition.loss
    theirs = loss(case.target, case.baseline)
    gain = case.mean(theirs - loss(case.target, case.said))
    scale = float(theirs.mean())
    if not scale > 0:
        return None
    value, bound = gain.value / scale, gain.lower / scale
    return _suspect("skill", value, limit, bound, 0.0, len(case.target))


def _ranking(case: _Case, limit: float) -> Excess | None:
    """The area under the ROC curve, its bound by each row's influence on it (DeLong 1988)."""
    up = (case.target > 0.5).astype(np.float64)
    said = case.said
    share = float(up.mean())
    if not 0 < share < 1:
        return None
    below_of_down = _share_below(said[up < 0.5], said)
    below_of_up = _share_below(said[up > 0.5], said)
    area = float(below_of_down[up > 0.5].mean())
    influence = np.where(
        up > 0.5, (below_of_down - area) / share, (1 - below_of_up - area) / (1 - share)
    )
    spread = case.mean(influence + area)
    return _suspect("roc_auc", area, limit, area - (spread.upper - spread.value), 0.5, len(up))


def _share_below(values: Floats, at: Floats) -> Floats:
    """The share of values below each point, those equal to it counted half."""
    ordered = np.sort(values)
    sides = [np.searchsorted(ordered, at, side) for side in ("left", "right")]
    return np.asarray((sides[0] + sides[1]) / (2 * len(values)), dtype=np.float64)


def _qlike(case: _Case, limit: float) -> Excess | None:
    loss = case.mean(qlike(case.target, case.said))
    if not loss.upper < limit:
        return None
    n = len(case.target)
    return Excess(measure="qlike", value=loss.value, limit=limit, bound=loss.upper, n=n)


def _log_correlation(case: _Case, limit: float) -> Excess | None:
    came = np.maximum(case.target, VARIANCE_FLOOR)
    if case.limits.follows_level:
        limit = max(limit, level_correlation(came, case.horizon))
    x, y = np.log(case.said), np.log(came)
    if not (x.std() > 0 and y.std() > 0):
        return None
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    value = float((x * y).mean())
    spread = case.mean(x * y - value / 2 * (x**2 + y**2))
    bound = value - (spread.upper - spread.value)
    return _suspect("log_correlation", value, limit, bound, limit, len(came))


_JUDGES: dict[Measure, Callable[[_Case, float], Excess | None]] = {
    "accuracy": _accuracy,
    "roc_auc": _ranking,
    "skill": _skill,
    "qlike": _qlike,
    "log_correlation": _log_correlation,
}


def level_correlation(target: Floats, horizon: int) -> float:
    """Correlation of log variance with the level around it, before *and after*.

    A currency that is held for years and then let go has a level that moves more than is usual, and
    every forecast knows it. The level of a row is the mean of ``LEVEL_ROWS`` targets on each side
    that share no bar with it; what comes after is known to no honest forecast.
    """
    n = len(target)
    total = np.concatenate([[0.0], np.cumsum(target)])
    rows = np.arange(n)
    first, before, after, last = (
        np.clip(rows + k, 0, n)
        for k in (1 - horizon - LEVEL_ROWS, 1 - horizon, horizon, horizon + LEVEL_ROWS)
    )
    count = before - first + last - after
    sums = total[before] - total[first] + total[last] - total[after]
    known = count > 0
    # Differences of running sums may fall below the least variance by their rounding.
    level = np.maximum(sums[known] / count[known], VARIANCE_FLOOR)
    x, y = np.log(level), np.log(target[known])
    if not (len(x) > 1 and x.std() > 0 and y.std() > 0):
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
