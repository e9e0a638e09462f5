"""Whether inputs still say about the label what they used to: a CUSUM of the loss.

The loss of each prediction minus the baseline's is compared with its mean in the backtest. The
cumulative sum of the excess (Page 1954) rises when predictions get worse, and only then; its limit
is found by block resampling of the backtest, so that overlapping targets and heavy tails count.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.evaluation.significance import dependence_length
from fx_assets.monitoring.windows import Floats
from fx_assets.specs.base import Spec

MIN_HISTORY = 250
ALLOWANCE = 0.1
"""Excess loss a row, in standard deviations, that is not counted as evidence."""
TAIL = 0.005
"""Share of the backtest's rows on either side that is limited, so that one day is not a regime."""
PATHS = 500


class Relation(Spec):
    """The verdict on the relation between inputs and label."""

    tested: bool
    alarm: bool
    statistic: float
    """The cumulative sum now, in standard deviations of a row."""
    limit: float
    rows: int
    """Live outcomes counted."""
    sentence: str


def label_relation(
    history: ArrayLike,
    recent: ArrayLike,
    horizon: int,
    alarms_a_year: float,
    bars_a_year: int,
) -> Relation:
    """Test recent losses against those of the backtest.

    Parameters
    ----------
    history
        (n,) loss minus baseline loss of the champion's recipe, walking forward, in order of time.
    recent
        (m,) the same of its live predictions since it was published, oldest first.
    horizon
        Of the target, in bars.
    alarms_a_year
        False alarms that this test may raise in a year.
    bars_a_year
        Rows of a year.
    """
    past = np.asarray(history, dtype=np.float64)
    now = np.asarray(recent, dtype=np.float64)
    past, now = past[np.isfinite(past)], now[np.isfinite(now)]
    why = _untestable(past)
    if why:
        return _untested(why, len(now))
    low, high = np.quantile(past, [TAIL, 1 - TAIL])
    past_limited, now_limited = np.clip(past, low, high), np.clip(now, low, high)
    mean, std = float(past_limited.mean()), float(past_limited.std())
    limit = cusum_limit((past_limited - mean) / std, horizon, alarms_a_year, 0, bars_a_year)
    path = cusum((now_limited - mean) / std) if len(now) else np.zeros(1)
    statistic = float(path[-1])
    alarm = statistic > limit
    said = "changed: losses have risen" if alarm else "as in the backtest"
    return Relation(
        tested=True,
        alarm=alarm,
        statistic=statistic,
        limit=limit,
        rows=len(now),
        sentence=(
            f"The relation of inputs to label is {said}: CUSUM {statistic:.1f}, limit {limit:.1f}, "
            f"after {len(now)} live outcomes."
        ),
    )


def cusum(standardised: Floats) -> Floats:
    """``S[t] = max(0, S[t-1] + z[t] - ALLOWANCE)`` along the last axis, from 0."""
    walk = np.cumsum(standardised - ALLOWANCE, axis=-1)
    lowest = np.minimum(np.minimum.accumulate(walk, axis=-1), 0.0)
    return np.asarray(walk - lowest, dtype=np.float64)


def cusum_limit(
    standardised: Floats,
    horizon: int,
    alarms_a_year: float,
    seed: int,
    bars_a_year: int,
) -> float:
    """The limit that a resampled backtest passes at the stated rate.

    Alarms at a rate ``r`` leave ``exp(-1)`` of the paths of length ``1/r`` without one: the limit
    is that quantile of their maxima. Blocks have at least 20 rows.
    """
    n = len(standardised)
    length = max(20, dependence_length(n, horizon))
    steps = round(bars_a_year / alarms_a_year)
    blocks = -(-steps // length)
    starts = np.random.default_rng(seed).integers(0, n, size=(PATHS, blocks))
    rows = (starts[:, :, None] + np.arange(length)) % n
    paths = standardised[rows.reshape(PATHS, -1)[:, :steps]]
    return float(np.quantile(cusum(paths).max(axis=1), math.exp(-1)))


def _untestable(past: Floats) -> str:
    if len(past) < MIN_HISTORY:
        return f"the backtest has {len(past)} rows with a loss, {MIN_HISTORY} are needed"
    if float(past.std()) <= 1e-15:
        return "the champion is no different from the baseline, which claims no relation"
    return ""


def _untested(why: str, rows: int) -> Relation:
    return Relation(
        tested=False,
        alarm=False,
        statistic=0.0,
        limit=0.0,
        rows=rows,
        sentence=f"The relation of inputs to label is not tested: {why}.",
    )
