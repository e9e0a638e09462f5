"""How far a champion may fall before it is demoted: a CUSUM with a limit from its own history.

The gain of a row is the baseline's loss minus the champion's. The fall is what the sum of gains
has lost since it was highest: Page's (1954) CUSUM, whose allowance is zero because a model whose
signal has died loses about as much to the baseline as it won from it. The limit is the fall that
a champion as good as its history exceeds in a stated share of years, by resampling blocks of that
history.
"""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np

from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.significance import dependence_length, newey_west_variance
from fx_assets.specs.base import Record

REPLICATIONS = 2_000
STEPS_A_YEAR = 260
"""At most: intraday rows are added up to as many steps."""
LEAST_BIAS = 0.1
"""Standard errors that are taken off the mean gain at least, for it is known from few rows: a limit
is exceeded more often where the mean was taken too high than it is spared where it was too low."""
LEAST_HISTORY = 250
"""Rows without which no limit is known."""


class FallLimit(Record):
    """What a fall has to exceed, and what that rests on. Falls are sums of losses over rows."""

    limit: float
    head_start: float
    """The fall that a champion begins with."""
    gain: float
    """Mean gain of a row, as far as the choice of the champion does not explain it."""
    rate: float
    """Share of years in which a champion as good as that exceeds the limit."""
    history: int
    """Rows that were resampled."""
    step: int
    """Rows that are added up before the fall is looked at."""
    replications: int
    seed: int


class Fall(FallLimit):
    """Where a champion stands."""

    since: datetime
    """Event time of the newest row that its choice rests on (UTC)."""
    rows: int
    """Rows since."""
    fall: float

    @property
    def exceeds(self) -> bool:
        return self.fall > self.limit

    @property
    def text(self) -> str:
        """For people."""
        return (
            f"since {self.since:%Y-%m-%d} its gain over the baseline has fallen by "
            f"{self.fall:.3g} from its highest (losses of {self.rows:,} rows, a head start of "
            f"{self.head_start:.3g} included), and a champion as good as before falls by more than "
            f"{self.limit:.3g} in {self.rate:.0%} of years"
        )


def choice_bias(statistic: float, needed: float) -> float:
    """By how many standard errors a mean is overstated because it had to exceed a boundary.

    The estimate that allows for it solves ``m + phi(c - m) / Phi(m - c) = z`` (Zhong and Prentice,
    2008); at most one standard error is taken off.
    """
    if not math.isfinite(statistic) or not math.isfinite(needed):
        return 0.0
    from scipy.special import log_ndtr

    def expected(mean: float) -> float:
        density = -0.5 * (needed - mean) ** 2 - 0.5 * math.log(2 * math.pi)
        return mean + math.exp(density - float(log_ndtr(mean - needed)))

    low, high = statistic - 1.0, statistic
    if expected(low) >= statistic:
        return 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if expected(middle) < statistic else (low, middle)
    return statistic - low


def fall_limit(
    gains: Floats,
    *,
    rows_a_year: float,
    horizon: int,
    rate: float,
    seed: int,
    bias: float = 0.0,
    replications: int = REPLICATIONS,
) -> FallLimit | None:
    """The limit for a champion whose history has these gains; ``None`` if that is too short.

    A champion begins with the mean fall of one that has been in office for two years (the head
    start of Lucas and Crosier, 1982): without it the limit would have to rise from year to year
    for the same rate, and a signal that is dead from the beginning would be found later.

    Parameters
    ----------
    gains
        Of every row of its history, oldest first.
    bias
        Standard errors to take off the mean gain (:func:`choice_bias`), at least ``LEAST_BIAS``.
    """
    n = len(gains)
    if n < LEAST_HISTORY:
        return None
    length = dependence_length(n, horizon)
    bias = max(bias, LEAST_BIAS)
    error = math.sqrt(max(newey_west_variance(gains, length - 1), 0.0) / n)
    gain = float(gains.mean()) - bias * error
    step = max(1, round(rows_a_year / STEPS_A_YEAR))
    year = max(1, round(rows_a_year / step))
    sums = steps(gains - bias * error, step)[: n // step]
    block = max(1, math.ceil(length / step))
    blocks = -(-3 * year // block)
    starts = np.random.default_rng(seed).integers(0, len(sums), (replications, blocks))
    rows = (starts[:, :, None] + np.arange(block)) % len(sums)
    years = sums[rows.reshape(replications, -1)[:, : 3 * year]]
    head_start = float(falls(years[:, : 2 * year], 0.0)[:, -1].mean())
    worst = falls(years[:, 2 * year :], head_start).max(axis=1)
    return FallLimit(
        limit=float(np.quantile(worst, 1.0 - rate)),
        head_start=head_start,
        gain=gain,
        rate=rate,
        history=n,
        step=step,
        replications=replications,
        seed=seed,
    )


def steps(gains: Floats, step: int) -> Floats:
    """Gains added up over as many rows each; the last sum may be of fewer."""
    if step == 1 or not len(gains):
        return gains
    return np.asarray(np.add.reduceat(gains, np.arange(0, len(gains), step)), dtype=np.float64)


def falls(gains: Floats, head_start: float) -> Floats:
    """The fall after every step, along the last axis."""
    total = np.cumsum(gains, axis=-1) - head_start
    return np.asarray(np.maximum(np.maximum.accumulate(total, axis=-1), 0.0) - total)
