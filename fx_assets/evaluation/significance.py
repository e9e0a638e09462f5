"""Whether a difference in loss is more than luck: tests that respect overlapping targets.

An ``h``-bar target shares bars with the ``h - 1`` targets after it, so losses are autocorrelated
and every standard error here is a heteroskedasticity and autocorrelation consistent (HAC) one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.losses import Floats, loss_for
from fx_assets.specs.forecast import TargetKind

MIN_ROWS = 30


@dataclass(frozen=True)
class TestResult:
    """A one-sided test: ``p_value`` is small when the mean difference is convincingly positive."""

    __test__ = False

    statistic: float
    p_value: float
    mean: float
    standard_error: float
    n: int


def dependence_length(n: int, horizon: int) -> int:
    """How far dependence is assumed to reach, in rows: the HAC bandwidth and the block length.

    The larger of ``n^(1/3)`` and, for overlapping targets, eight horizons; at most a quarter of the
    rows. Bartlett weights shrink the autocovariances of overlapping targets: a bandwidth of one
    horizon would miss a third of the variance, eight horizons miss 4 %.
    """
    overlap = 8 * horizon if horizon > 1 else 1
    return max(1, min(max(math.ceil(math.cbrt(n)), overlap), n // 4))


def newey_west_variance(x: ArrayLike, lags: int) -> float:
    """Long-run variance of a series (Newey and West 1987), Bartlett weights ``1 - l/(lags + 1)``.

    The squared standard error of the mean is this divided by ``len(x)``.
    """
    values = np.asarray(x, dtype=np.float64)
    n = len(values)
    centred = values - values.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, min(lags, n - 1) + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float(centred[lag:] @ centred[:-lag]) / n
    return variance


def hln_factor(n: int, horizon: float) -> float:
    """Small-sample factor of Harvey, Leybourne and Newbold (1997), equation 9, on the statistic."""
    return math.sqrt(max(0.0, (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n))


def positive_mean_test(difference: ArrayLike, horizon: int) -> TestResult:
    """One-sided HAC t test of ``mean(difference) > 0`` with the HLN factor.

    Two corrections keep the size with overlapping targets, where the variance is known from few
    effective rows. The HLN factor is stated for ``2h - 1`` equal weights; Bartlett's weights sum to
    the bandwidth ``L``, which makes it the factor of ``h = (L + 1) / 2``. And the statistic is
    compared with Student's t whose degrees of freedom are those of the variance estimate,
    ``3n / 2L`` (Priestley 1981, section 6.2, at frequency zero), never more than ``n - 1``.

    Raises
    ------
    NotEnoughDataError
        Fewer than 30 rows.
    """
    from scipy.special import stdtr

    mean, error, freedom, n = _mean_and_error(difference, horizon)
    if error == 0.0:
        return TestResult(0.0, 1.0, mean, 0.0, n)
    return TestResult(mean / error, float(stdtr(freedom, -mean / error)), mean, error, n)


def mean_upper_bound(difference: ArrayLike, horizon: int, confidence: float) -> float:
    """One-sided upper confidence bound of a mean, with the errors of :func:`positive_mean_test`.

    Raises
    ------
    NotEnoughDataError
        Fewer than 30 rows.
    """
    from scipy.special import stdtrit

    mean, error, freedom, _ = _mean_and_error(difference, horizon)
    return mean + float(stdtrit(freedom, confidence)) * error


def _mean_and_error(difference: ArrayLike, horizon: int) -> tuple[float, float, float, int]:
    """Mean, its HLN-corrected HAC standard error, degrees of freedom, and rows."""
    d = np.asarray(difference, dtype=np.float64)
    n = len(d)
    if n < MIN_ROWS:
        raise NotEnoughDataError(
            f"A significance test needs at least {MIN_ROWS} paired rows, and there are {n}.",
            remedy="Wait for more outcomes, or set walk_forward.first_test to an earlier day.",
        )
    mean = float(d.mean())
    bandwidth = dependence_length(n, horizon)
    error = math.sqrt(max(newey_west_variance(d, bandwidth - 1), 0.0) / n)
    if error <= 1e-15 * float(np.abs(d).max(initial=0.0)):
        error = 0.0
    freedom = min(n - 1.0, 1.5 * n / bandwidth)
    return mean, error / hln_factor(n, (bandwidth + 1) / 2), freedom, n


def diebold_mariano(loss_a: ArrayLike, loss_b: ArrayLike, horizon: int) -> TestResult:
    """Is ``b`` better than ``a``? (Diebold and Mariano 1995, corrected by Harvey et al. 1997.)

    The two losses are of the same rows in the same order; a small p-value favours ``b``.
    """
    difference = np.asarray(loss_a, dtype=np.float64) - np.asarray(loss_b, dtype=np.float64)
    return positive_mean_test(difference, horizon)


def clark_west_difference(
    kind: TargetKind, actual: ArrayLike, baseline: ArrayLike, candidate: ArrayLike
) -> Floats:
    """The adjusted loss difference of each row; its mean is zero when the baseline is right.

    Clark and West (2007) compare a model that nests the baseline with it: under the null the
    larger model's loss is inflated by the noise of parameters whose true value is zero, so the
    plain difference is biased against it, and they add the noise back. Their adjustment for squared
    error is a case of one for every Bregman loss ``L(y, f) = phi(y) - phi(f) - phi'(f) (y - f)``.
    With ``f1`` the baseline, ``f2`` the candidate and ``E[y | past] = f1``,

        E[L(y, f2) | past] = E[L(y, f1) | past] + L(f1, f2),

    the generalised Pythagorean identity. Hence the adjusted difference

        d = L(y, f1) - (L(y, f2) - L(f1, f2)) = (phi'(f2) - phi'(f1)) (y - f1)

    has mean zero given the past. For squared error and Brier (``phi = y^2``) it is Clark and West's
    ``(y-f1)^2 - [(y-f2)^2 - (f1-f2)^2]``; for QLIKE (``phi = -log y``) it is
    ``(y - f1) (1/f1 - 1/f2)``.
    """
    y = np.asarray(actual, dtype=np.float64)
    f1 = np.asarray(baseline, dtype=np.float64)
    f2 = np.asarray(candidate, dtype=np.float64)
    loss = loss_for(kind)
    return np.asarray(loss(y, f1) - (loss(y, f2) - loss(f1, f2)), dtype=np.float64)


def clark_west(
    kind: TargetKind,
    actual: ArrayLike,
    baseline: ArrayLike,
    candidate: ArrayLike,
    horizon: int,
) -> TestResult:
    """Does the candidate know anything that the baseline does not? One-sided Clark–West test.

    See :func:`clark_west_difference` for the statistic.
    """
    return positive_mean_test(clark_west_difference(kind, actual, baseline, candidate), horizon)


def holm_threshold(p_values: Sequence[float], significance: float) -> float:
    """What a p-value has to lie below to be left by Holm's correction for all that are no NaN."""
    known = sorted(p for p in p_values if not math.isnan(p))
    left = next((k for k, p in enumerate(known) if p >= significance / (len(known) - k)), None)
    return significance / max(1, len(known) - (len(known) - 1 if left is None else left))
