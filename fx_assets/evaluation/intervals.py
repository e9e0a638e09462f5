"""Intervals learned from what happened out of sample after earlier predictions.

What is learned depends on the kind of target (:mod:`fx_assets.targets.intervals`). The guarantee of
conformal prediction needs exchangeable rows, which time series are not, so the coverage is
measured, walking forward, and shown. Where labels overlap, or split conformal intervals were seen
to miss their coverage, intervals adapt: :func:`learn_intervals`. An :class:`IntervalModel` needs
NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.adaptive import Adapted, adapt
from fx_assets.evaluation.losses import Floats
from fx_assets.specs.base import Record
from fx_assets.specs.forecast import TargetKind, TargetSpec
from fx_assets.targets import IntervalRule, target_definition

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 100
FIRST_JUDGED = 500
"""Rows of a backtest that intervals are only learned from."""
RENEWED = np.timedelta64(7, "D")
"""How long adapted bounds are judged before they are renewed: as retrains do."""
TOLERANCE = 0.01
"""How far split conformal intervals may miss their coverage before bounds adapt."""
BLOCK = 250
"""Rows that are judged by intervals learned before all of them, at the least."""
MOST_BLOCKS = 200
"""Each block learns from all rows before it: more of them would take a time quadratic in rows."""
WINDOWS_AT_ONCE = 50_000
EWMA_DECAY = 0.94
EWMA_WINDOW = 250
VOLATILITY_FLOOR = 1e-6


def ewma_volatility(log_returns: ArrayLike) -> Floats:
    """Standard deviation per bar, known at each bar (RiskMetrics 1996, decay 0.94, 250 bars).

    The last element is today's and depends on the last 250 returns only. NaN returns are left out;
    the result is at least ``VOLATILITY_FLOOR``, so that it can be divided by.
    """
    returns = np.asarray(log_returns, dtype=np.float64)
    known = np.isfinite(returns)
    pad = np.zeros(EWMA_WINDOW - 1)
    weights = EWMA_DECAY ** np.arange(EWMA_WINDOW - 1, -1, -1.0)
    squares = np.concatenate([pad, np.square(np.where(known, returns, 0.0))])
    counted = np.concatenate([pad, known.astype(np.float64)])
    total, weight = (_weighted_sums(values, weights) for values in (squares, counted))
    variance = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return np.asarray(np.maximum(np.sqrt(variance), VOLATILITY_FLOOR), dtype=np.float64)


def _weighted_sums(values: Floats, weights: Floats) -> Floats:
    """Weighted sum of each window, a part of them at a time: products of all would not fit."""
    windows = sliding_window_view(values, len(weights))
    parts = [
        (windows[first : first + WINDOWS_AT_ONCE] * weights).sum(axis=1)
        for first in range(0, len(windows), WINDOWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def newest_volatility(log_returns: ArrayLike) -> float:
    """The last element of :func:`ewma_volatility`, to the last bit, without the others."""
    returns = np.asarray(log_returns, dtype=np.float64)[-EWMA_WINDOW:]
    known = np.isfinite(returns)
    weights = EWMA_DECAY ** np.arange(EWMA_WINDOW - 1, -1, -1.0)
    squares, counted = np.zeros((1, EWMA_WINDOW)), np.zeros((1, EWMA_WINDOW))
    squares[0, EWMA_WINDOW - len(returns) :] = np.square(np.where(known, returns, 0.0))
    counted[0, EWMA_WINDOW - len(returns) :] = known
    total, weight = (squares * weights).sum(axis=1)[0], (counted * weights).sum(axis=1)[0]
    variance = total / weight if weight > 0 else 0.0
    return float(max(np.sqrt(variance), VOLATILITY_FLOOR))


class IntervalModel(Record):
    """Turns a prediction into an interval; serialise it with ``model_dump_json``.

    ``lower`` and ``upper`` hold what the target's rule has learned: one number each, or one at each
    of ``knots``, ascending predictions between which they are interpolated.
    """

    kind: TargetKind
    coverage: float
    n: int
    """Out-of-sample rows that it was learned from."""
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    knots: tuple[float, ...] = ()
    rate: float = 0.0
    """Learning rate of adaptive conformal inference that was chosen; 0 is split conformal."""
    levels: tuple[float, float] | None = None
    """Levels of the lower and upper tail that it has reached; ``None`` where nothing adapts."""

    def interval(self, prediction: float, volatility: float = float("nan")) -> tuple[float, float]:
        """Lower and upper bound, in units of the target.

        ``volatility`` is today's :func:`ewma_volatility`; only scaled rules, as of returns, need
        it.
        """
        return self._rule.interval(self, float(prediction), float(volatility))

    @cached_property
    def _rule(self) -> IntervalRule:
        return target_definition(self.kind).interval

    @cached_property
    def curves(self) -> tuple[Floats, Floats, Floats]:
        """Knots, lower and upper bounds as arrays, which interpolation would build each time."""
        return np.array(self.knots), np.array(self.lower), np.array(self.upper)


@dataclass(frozen=True)
class Coverage:
    """How often intervals made only of earlier rows held what came.

    ``nominal`` is what was promised, ``measured`` what was found on ``n`` cases: rows, but for
    ``direction`` blocks of rows.
    """

    nominal: float
    measured: float
    n: int


@dataclass(frozen=True)
class Judged:
    """Each row that an interval of earlier rows was judged by, in order of time.

    ``rows`` are positions among the rows with a target; ``held`` whether the outcome was inside;
    ``loss`` is the interval score, in units of the target, and ``split_loss`` that of split
    conformal intervals.
    """

    rows: NDArray[np.intp]
    held: NDArray[np.bool_]
    loss: Floats
    split_loss: Floats


@dataclass(frozen=True)
class Learned:
    """Intervals, the coverage that their like had, and the rows it is from."""

    model: IntervalModel
    coverage: Coverage
    judged: Judged | None
    """``None`` where one outcome cannot lie inside an interval, as of a probability."""


def learn_intervals(
    predictions: pd.DataFrame,
    target: TargetSpec,
    coverage: float = 0.9,
    volatility: pd.Series | None = None,
    *,
    measures: bool = True,
) -> Learned:
    """Learn intervals from walk-forward rows, by the method that their kind asks for.

    Labels that overlap make misses come in runs: with a ``horizon`` above one, bounds adapt
    (:func:`~fx_assets.evaluation.adaptive.adapt`), each judged by labels that were known when it
    was said. Otherwise they do where split conformal intervals have missed their coverage by more
    than ``TOLERANCE`` and two standard errors.

    Parameters
    ----------
    predictions, coverage, volatility
        As :func:`fit_intervals`, with ``label_available_at``.
    measures
        Whether coverage is measured where no choice depends on it, as of a probability.

    Raises
    ------
    NotEnoughDataError
        As :func:`fit_intervals`.
    """
    kind, rule = target.kind, target.definition.interval
    rows = predictions[predictions["target"].notna()].sort_values("event_time")
    model = fit_intervals(rows, kind, coverage, volatility)
    said, came = (rows[name].to_numpy(dtype=np.float64) for name in ("prediction", "target"))
    scale = _aligned(rows, kind, volatility)
    if not (measures or rule.of_outcomes):
        return Learned(model, _coverage(coverage, []), None)
    held, bounds = _walk_split(rows, said, came, scale, kind, coverage)
    found = _coverage(coverage, held)
    if not rule.of_outcomes:
        return Learned(model, found, None)
    judged = np.flatnonzero(np.isfinite(bounds[:, 0]))
    split = _interval_score(came[judged], bounds[judged], coverage)
    scores = rule.scores(said, came, scale)
    if scores is None or not (target.horizon > 1 or _drifts(found)):
        return Learned(model, found, Judged(judged, np.array(held, dtype=bool), split, split))
    time, known_at = _instants(rows)
    every = max(1, round(len(rows) * float(RENEWED / (time[-1] - time[0]))))
    made = adapt(*scores, time, known_at, coverage, first=MIN_ROWS, every=every)
    adapted = model.model_copy(
        update={
            "lower": (made.lower,),
            "upper": (made.upper,),
            "rate": made.rate,
            "levels": made.levels,
        }
    )
    inside, loss = _judge_adapted(made, judged, *scores, coverage)
    return Learned(adapted, _coverage(coverage, inside), Judged(judged, inside, loss, split))


def fit_intervals(
    predictions: pd.DataFrame,
    kind: TargetKind,
    coverage: float = 0.9,
    volatility: pd.Series | None = None,
) -> IntervalModel:
    """Learn intervals from walk-forward rows.

    Parameters
    ----------
    predictions
        Rows with ``event_time``, ``prediction`` and ``target``; rows without a target do not count.
    kind
        Of the target.
    coverage
        Nominal coverage, between 0.5 and 1.
    volatility
        Where the rule is scaled, as for ``return``: :func:`ewma_volatility` of each bar, indexed by
        event time.

    Raises
    ------
    NotEnoughDataError
        Fewer than 100 rows have a target, or a return's volatility is missing.
    """
    rows = predictions[predictions["target"].notna()]
    return _learn(
        kind,
        coverage,
        rows["prediction"].to_numpy(dtype=np.float64),
        rows["target"].to_numpy(dtype=np.float64),
        _aligned(rows, kind, volatility),
    )


def _walk_split(
    rows: pd.DataFrame,
    said: Floats,
    came: Floats,
    scale: Floats,
    kind: TargetKind,
    coverage: float,
) -> tuple[list[bool], Floats]:
    """Whether each case was held, and the (n, 2) bounds, NaN of rows that are not judged.

    Each block of rows is judged by intervals learned from labels that were known before it. One
    outcome cannot cover a probability, so for ``direction`` a case is a block: whether its share of
    ups lies within what the intervals and the chance of a finite block allow.
    """
    rule = target_definition(kind).interval
    time, known_at = _instants(rows)
    held: list[bool] = []
    bounds = np.full((len(rows), 2), np.nan)
    block = max(BLOCK, len(rows) // MOST_BLOCKS)
    for first in range(FIRST_JUDGED, len(rows), block):
        past = np.flatnonzero(known_at[:first] <= time[first])
        if len(past) < MIN_ROWS:
            continue
        model = _learn(kind, coverage, said[past], came[past], scale[past])
        now = slice(first, min(first + block, len(rows)))
        bounds[now] = [model.interval(f, s) for f, s in zip(said[now], scale[now], strict=True)]
        held.extend(rule.held(came[now], bounds[now], coverage))
    return held, bounds


def _instants(rows: pd.DataFrame) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """When each row was predicted, and when its label was known."""
    time, known_at = (
        rows[name].to_numpy(dtype="datetime64[us]") for name in ("event_time", "label_available_at")
    )
    return time, known_at


def _coverage(nominal: float, held: Sequence[bool] | NDArray[np.bool_]) -> Coverage:
    return Coverage(nominal, float(np.mean(held)) if len(held) else float("nan"), len(held))


def _drifts(found: Coverage) -> bool:
    """Whether coverage is missed by more than is tolerated, and than chance explains."""
    if not found.n:
        return False
    chance = 2 * np.sqrt(found.nominal * (1 - found.nominal) / found.n)
    return bool(abs(found.measured - found.nominal) > max(TOLERANCE, chance))


def _interval_score(came: Floats, bounds: Floats, coverage: float) -> Floats:
    """Width, and what lies beyond a bound at the price of its tail (Gneiting & Raftery 2007)."""
    lower, upper = bounds[:, 0], bounds[:, 1]
    beyond = np.maximum(lower - came, 0.0) + np.maximum(came - upper, 0.0)
    return np.asarray(upper - lower + 2 * beyond / (1 - coverage), dtype=np.float64)


def _judge_adapted(
    made: Adapted, judged: NDArray[np.intp], scores: Floats, unit: Floats, coverage: float
) -> tuple[NDArray[np.bool_], Floats]:
    """Of the judged rows whether they were held, and their interval scores."""
    bounds, came = made.bounds[judged], scores[judged]
    inside = (bounds[:, 0] <= came) & (came <= bounds[:, 1])
    return inside, _interval_score(came, bounds, coverage) * unit[judged]


def _aligned(rows: pd.DataFrame, kind: TargetKind, volatility: pd.Series | None) -> Floats:
    if not target_definition(kind).interval.scaled:
        return np.ones(len(rows))
    if volatility is None or not rows["event_time"].isin(volatility.index).all():
        raise NotEnoughDataError(
            f"The interval of a {kind} needs the volatility of every row's day.",
            remedy="Pass volatility=pd.Series(ewma_volatility(log_return), index=event_time).",
        )
    return volatility.reindex(rows["event_time"]).to_numpy(dtype=np.float64)


def _learn(
    kind: TargetKind, coverage: float, said: Floats, came: Floats, scale: Floats
) -> IntervalModel:
    n = len(said)
    if n < MIN_ROWS:
        raise NotEnoughDataError(
            f"An interval is learned from at least {MIN_ROWS} out-of-sample rows; there are {n}.",
            remedy="Wait for more outcomes, or set walk_forward.first_test to an earlier day.",
        )
    bounds = target_definition(kind).interval.learn(coverage, said, came, scale)
    return IntervalModel(kind=kind, coverage=coverage, n=n, **bounds._asdict())
