"""Intervals learned from what happened out of sample after earlier predictions.

What is learned depends on the kind of target (:mod:`fx_assets.targets.intervals`). The guarantee of
conformal prediction needs exchangeable rows, which time series are not, so the coverage is
measured, walking forward, and shown: :func:`measure_coverage`. An :class:`IntervalModel` needs
NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.losses import Floats
from fx_assets.specs.base import Record
from fx_assets.specs.forecast import TargetKind
from fx_assets.targets import IntervalRule, target_definition

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 100
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


def measure_coverage(
    predictions: pd.DataFrame,
    kind: TargetKind,
    coverage: float = 0.9,
    volatility: pd.Series | None = None,
    start: int = 500,
    block: int = 250,
) -> Coverage:
    """Walk forward through the backtest: learn from the labels known, count how often it held.

    The first ``start`` rows are only learned from; then each block of rows is judged by intervals
    learned from labels that were known before it. There are at most ``MOST_BLOCKS`` blocks. One
    outcome cannot cover a probability, so for ``direction`` a case is a block: whether its share of
    ups lies within what the intervals and the chance of a finite block allow.
    """
    rows = predictions[predictions["target"].notna()].sort_values("event_time")
    said = rows["prediction"].to_numpy(dtype=np.float64)
    came = rows["target"].to_numpy(dtype=np.float64)
    scale = _aligned(rows, kind, volatility)
    rule = target_definition(kind).interval
    known_at = rows["label_available_at"].to_numpy(dtype="datetime64[us]")
    time = rows["event_time"].to_numpy(dtype="datetime64[us]")
    held: list[bool] = []
    block = max(block, len(rows) // MOST_BLOCKS)
    for first in range(start, len(rows), block):
        past = np.flatnonzero(known_at[:first] <= time[first])
        if len(past) < MIN_ROWS:
            continue
        model = _learn(kind, coverage, said[past], came[past], scale[past])
        now = slice(first, min(first + block, len(rows)))
        bounds = np.array(
            [model.interval(f, s) for f, s in zip(said[now], scale[now], strict=True)]
        )
        held.extend(rule.held(came[now], bounds, coverage))
    return Coverage(coverage, float(np.mean(held)) if held else float("nan"), len(held))


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
