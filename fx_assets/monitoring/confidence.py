"""Confidence that holds however often one looks: a sequence of intervals, valid all at once.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024),
*Time-uniform central limit theory and asymptotic confidence sequences*, Annals of Statistics 52,
equation (5): Robbins' normal mixture with the estimated variance. For overlapping targets the
variance is the long-run one, so that dependent rows count as fewer.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.evaluation.significance import dependence_length, newey_west_variance
from fx_assets.monitoring.windows import Floats

_TAIL = 0.995


def confidence_sequence(
    values: ArrayLike, horizon: int, confidence: float, first: int, tightest_at: int = 250
) -> tuple[Floats, Floats, Floats]:
    """Running mean with bounds that hold at all rows together with the stated confidence.

    Parameters
    ----------
    values
        (n,) values, oldest first.
    horizon
        Of the target in bars; above 1 rows overlap.
    first
        Rows before the first interval; it is infinite until then.
    tightest_at
        Number of rows for which the sequence is made as narrow as it can be.

    Returns
    -------
    tuple of ndarray
        (n,) mean, lower bound and upper bound.
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    rows = np.arange(1, n + 1)
    mean = np.cumsum(x) / rows
    variance = _running_long_run_variance(x, horizon, first)
    alpha = 1 - confidence
    rho_squared = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tightest_at
    growth = rows * rho_squared + 1
    radius = np.sqrt(
        variance * 2 * growth / (rows**2 * rho_squared) * np.log(np.sqrt(growth) / alpha)
    )
    return mean, mean - radius, mean + radius


def _running_long_run_variance(x: Floats, horizon: int, first: int) -> Floats:
    """Variance per row at each row from the rows so far; infinite before ``first`` rows.

    Newey and West's estimate is short of the truth by about a bandwidth in ``n`` rows, as its mean
    is estimated too; it is divided by what is left. As in
    :func:`~fx_assets.evaluation.significance.positive_mean_test` it has ``3n / 2L`` degrees of
    freedom, and is raised by the square of how much wider Student's t is than the normal. It is
    renewed every 2 % of rows.
    """
    from scipy.special import ndtri, stdtrit

    out = np.full(len(x), math.inf)
    latest = math.inf
    renew = first
    for n in range(first, len(x) + 1):
        if n >= renew:
            bandwidth = dependence_length(n, horizon) if horizon > 1 else 1
            raw = newey_west_variance(x[:n], bandwidth - 1)
            wider = stdtrit(max(1.5 * n / bandwidth, 2.0), _TAIL) / ndtri(_TAIL)
            latest = raw / max(1 - (bandwidth + 1) / n, 0.2) * float(wider) ** 2
            renew = max(n + 1, math.ceil(n * 1.02))
        out[n - 1] = latest
    return out
