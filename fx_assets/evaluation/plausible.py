"""Which results are beyond what is plausible for a target, so that a leak is likelier than skill.

Honest results lie near no skill for directions and returns, so that a figure is suspected when it
lies beyond its limit and luck is ruled out. Honest forecasts of a variance may come close to the
limits, which are bounds of what the true variance itself would score: they are suspected when they
are significantly beyond.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Literal

import numpy as np

from fx_assets.calendars import Frequency
from fx_assets.evaluation.losses import VARIANCE_FLOOR, Floats, loss_for, qlike
from fx_assets.evaluation.significance import MIN_ROWS as MIN_SIGNED
from fx_assets.evaluation.significance import mean_upper_bound
from fx_assets.specs.base import Record, Spec
from fx_assets.specs.forecast import TargetKind
from fx_assets.specs.suspicion import SuspicionRule

Measure = Literal["accuracy", "roc_auc", "skill", "qlike", "log_correlation"]
MEASURES: dict[TargetKind, tuple[Measure, ...]] = {
    "direction": ("accuracy", "roc_auc", "skill"),
    "return": ("accuracy", "skill"),
    "volatility": ("qlike", "log_correlation"),
}
"""What is looked at, for each kind of target."""

HIT_RATES: dict[Frequency, float] = {
    "1min": 0.56,
    "5min": 0.55,
    "15min": 0.54,
    "30min": 0.54,
    "1h": 0.535,
    "4h": 0.535,
    "1d": 0.53,
}
"""Plausible share of right directions, and area under the ROC curve, of the next bar."""
SHARES_EXPLAINED: dict[Frequency, float] = {
    "1min": 0.03,
    "5min": 0.02,
    "15min": 0.01,
    "30min": 0.01,
    "1h": 0.0075,
    "4h": 0.0075,
    "1d": 0.005,
}
"""Plausible share of the next bar's squared error that is explained: Brier skill, or R² against the
random walk."""
VARIANCES_OF_LOG_VARIANCE: dict[Frequency, float] = dict.fromkeys(HIT_RATES, 2.0) | {"1d": 1.0}
"""How much the logarithm of a bar's true variance varies at most (daily currencies: 0.3 to 0.8; an
intraday day has its quiet and its busy hours)."""
MOST_LOG_CORRELATION = 0.85
"""More than models of realised variance reach on sums of many bars: R² of 0.4 to 0.7 of its
logarithm (Andersen, Bollerslev and Diebold 2007; Corsi 2009)."""

LEVEL_ROWS = 21
"""Rows on each side that show the level of variance around a row."""


class PlausibleLimits(Spec):
    """What is plausible for one kind of target, horizon and frequency."""

    kind: TargetKind
    accuracy: float
    roc_auc: float
    skill: float
    qlike: float
    log_correlation: float
    confidence: float
    follows_level: bool = True
    """Whether the largest correlation follows the level of variance where that moves more."""

    @property
    def shown(self) -> dict[str, float]:
        """The limits that are asked for of this kind of target."""
        return {name: getattr(self, name) for name in MEASURES[self.kind]}


def plausible_limits(
    rule: SuspicionRule, kind: TargetKind, horizon: int, frequency: Frequency
) -> PlausibleLimits:
    """The limits of a forecast, where the rule leaves them open from frequency and horizon.

    A drift that lasts adds up over the horizon while noise grows with its root, so the share of
    explained squared error may grow, at most with the horizon; the defaults let it grow with the
    root, and the share of right directions with the root of that. The floor of QLIKE is what the
    true variance scores when returns are Gaussian given it, ``log(h/2) - psi(h/2)``; fatter tails
    only add to it. The correlation is that of the true variance with such returns' squares, where
    log variance varies by ``VARIANCES_OF_LOG_VARIANCE``.
    """
    from scipy import special

    trigamma: Callable[[int, float], float] = special.zeta

    half = horizon / 2
    spread = VARIANCES_OF_LOG_VARIANCE[frequency]
    correlation = (spread / (spread + float(trigamma(2, half)))) ** 0.5
    hits = 0.5 + (HIT_RATES[frequency] - 0.5) * horizon**0.25
    defaults = {
        "accuracy": min(hits, 0.75),
        "roc_auc": min(hits, 0.75),
        "skill": min(SHARES_EXPLAINED[frequency] * horizon**0.5, 0.25),
        "qlike": log(half) - float(special.digamma(half)),
        "log_correlation": min(correlation, MOST_LOG_CORRELATION),
    }
    given = rule.model_dump(exclude_none=True)
    follows = rule.log_correlation is None
    return PlausibleLimits.model_validate(
        {"kind": kind, **defaults, **given, "follows_level": follows}
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
    if limits.kind == "volatility":
        return tuple(_volatility(limits, horizon, target, said))
    judge = _direction if limits.kind == "direction" else _return
    return tuple(judge(limits, horizon, target, baseline, said))


class _Mean:
    """A mean with its HAC bounds."""

    def __init__(self, values: Floats, horizon: int, confidence: float) -> None:
        self.value = float(values.mean())
        self.upper = mean_upper_bound(values, horizon, confidence)
        self.lower = 2 * self.value - self.upper


def _suspect(
    measure: Measure, value: float, limits: PlausibleLimits, bound: float, chance: float, n: int
) -> list[Excess]:
    limit: float = getattr(limits, measure)
    beyond = value > limit and bound > chance
    return [Excess(measure=measure, value=value, limit=limit, bound=bound, n=n)] if beyond else []


def _hits(limits: PlausibleLimits, horizon: int, came_up: Floats, said_up: Floats) -> list[Excess]:
    """The share of right directions, against always saying what came more often."""
    often = max(float(came_up.mean()), 1 - float(came_up.mean()))
    usual = came_up if came_up.mean() >= 0.5 else 1 - came_up
    right = (came_up == said_up).astype(np.float64)
    gain = _Mean(right - usual, horizon, limits.confidence)
    limit = min(1.0, limits.accuracy + often - 0.5)
    return _suspect(
        "accuracy",
        float(right.mean()),
        limits.model_copy(update={"accuracy": limit}),
        often + gain.lower,
        often,
        len(right),
    )


def _skill(
    limits: PlausibleLimits, horizon: int, target: Floats, baseline: Floats, said: Floats
) -> list[Excess]:
    loss = loss_for(limits.kind)
    theirs = loss(target, baseline)
    gain = _Mean(theirs - loss(target, said), horizon, limits.confidence)
    scale = float(theirs.mean())
    if not scale > 0:
        return []
    return _suspect("skill", gain.value / scale, limits, gain.lower / scale, 0.0, len(target))


def _direction(
    limits: PlausibleLimits, horizon: int, target: Floats, baseline: Floats, said: Floats
) -> list[Excess]:
    up = (target > 0.5).astype(np.float64)
    return [
        *_hits(limits, horizon, up, (said > 0.5).astype(np.float64)),
        *_ranking(limits, horizon, up, said),
        *_skill(limits, horizon, target, baseline, said),
    ]


def _ranking(limits: PlausibleLimits, horizon: int, up: Floats, said: Floats) -> list[Excess]:
    """The area under the ROC curve, its bound by each row's influence on it (DeLong 1988)."""
    share = float(up.mean())
    if not 0 < share < 1:
        return []
    below_of_down = _share_below(said[up < 0.5], said)
    below_of_up = _share_below(said[up > 0.5], said)
    area = float(below_of_down[up > 0.5].mean())
    influence = np.where(
        up > 0.5, (below_of_down - area) / share, (1 - below_of_up - area) / (1 - share)
    )
    spread = _Mean(influence + area, horizon, limits.confidence)
    return _suspect("roc_auc", area, limits, area - (spread.upper - spread.value), 0.5, len(up))


def _share_below(values: Floats, at: Floats) -> Floats:
    """The share of values below each point, those equal to it counted half."""
    ordered = np.sort(values)
    sides = [np.searchsorted(ordered, at, side) for side in ("left", "right")]
    return np.asarray((sides[0] + sides[1]) / (2 * len(values)), dtype=np.float64)


def _return(
    limits: PlausibleLimits, horizon: int, target: Floats, baseline: Floats, said: Floats
) -> list[Excess]:
    signed = (target != 0) & (said != 0)
    found = _skill(limits, horizon, target, baseline, said)
    if signed.sum() < MIN_SIGNED:
        return found
    up, said_up = ((x[signed] > 0).astype(np.float64) for x in (target, said))
    return [*_hits(limits, horizon, up, said_up), *found]


def _volatility(
    limits: PlausibleLimits, horizon: int, target: Floats, said: Floats
) -> list[Excess]:
    loss = _Mean(qlike(target, said), horizon, limits.confidence)
    found = []
    if loss.upper < limits.qlike:
        found.append(
            Excess(
                measure="qlike",
                value=loss.value,
                limit=limits.qlike,
                bound=loss.upper,
                n=len(target),
            )
        )
    came = np.maximum(target, VARIANCE_FLOOR)
    if limits.follows_level:
        known = level_correlation(came, horizon)
        limits = limits.model_copy(update={"log_correlation": max(limits.log_correlation, known)})
    x, y = np.log(said), np.log(came)
    if not (x.std() > 0 and y.std() > 0):
        return found
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    value = float((x * y).mean())
    spread = _Mean(x * y - value / 2 * (x**2 + y**2), horizon, limits.confidence)
    bound = value - (spread.upper - spread.value)
    chance = limits.log_correlation
    return [*found, *_suspect("log_correlation", value, limits, bound, chance, len(target))]


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
