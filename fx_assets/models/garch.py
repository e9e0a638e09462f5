"""GARCH(1,1) with Student-t errors (Bollerslev, 1987), fitted with ``arch``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fx_assets.models._window import LENGTH, WeightedSquares, training_returns
from fx_assets.models.base import FloatArray, NoParams
from fx_assets.targets.volatility import decay_powers

FALLBACK_ALPHA: Final = 0.05
FALLBACK_BETA: Final = 0.93
"""Used with variance targeting where the likelihood gives no stationary answer."""
LARGEST_PERSISTENCE: Final = 0.9999
FEWEST_RETURNS: Final = 100
LOWEST: Final = np.array([0.0, 0.0, 0.0, 2.05])
HIGHEST: Final = np.array([np.inf, 1.0, 1.0, 500.0])
"""arch's bounds of omega, alpha, beta and nu, on returns of unit variance."""
NEAR_A_BOUND: Final = 1e-5
LARGEST_SCORE: Final = 1e-9
"""A mean derivative of the log likelihood that counts as zero."""


@dataclass(frozen=True)
class Coefficients:
    """s(t+1) = omega + alpha r(t)^2 + beta s(t), in squared log returns; nu degrees of freedom."""

    omega: float
    alpha: float
    beta: float
    nu: float = np.inf

    @property
    def persistence(self) -> float:
        return self.alpha + self.beta

    @property
    def unconditional(self) -> float:
        """The variance that forecasts revert to."""
        return self.omega / (1 - self.persistence)

    @property
    def sane(self) -> bool:
        """Whether all are numbers, the variance is positive and the process is stationary."""
        values = (self.omega, self.alpha, self.beta)
        return (
            all(np.isfinite(values))
            and self.omega > 0
            and min(self.alpha, self.beta) >= 0
            and self.persistence < LARGEST_PERSISTENCE
        )


class Garch(WeightedSquares[NoParams]):
    """Expected variance over the horizon by the recursion and its closed-form mean reversion.

    The mean return is taken as zero. The variance of the next bar is the recursion over the
    window, started at the unconditional variance, which also stands for returns that are not known.
    Over h bars: h v + (s - v)(1 - p^h)/(1 - p), with s that of the next bar, v the unconditional
    one and p = alpha + beta.

    Attributes
    ----------
    coefficients_
        The parameters in use.
    converged_
        False where the optimiser failed, left the stationary region, or had fewer than 100 returns
        or returns without variance; then alpha 0.05 and beta 0.93 with the training variance.
    """

    name = "garch"
    targets = ("volatility",)
    params_type = NoParams
    libraries = ("arch",)

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        horizon = self.target.horizon
        returns, mean_square = training_returns(X, y, horizon)
        fitted = maximum_likelihood(returns) if len(returns) >= FEWEST_RETURNS else None
        self.converged_ = fitted is not None
        c = fitted or Coefficients(
            mean_square * (1 - FALLBACK_ALPHA - FALLBACK_BETA), FALLBACK_ALPHA, FALLBACK_BETA
        )
        self.coefficients_ = c
        reversion = (1 - c.persistence**horizon) / (1 - c.persistence)
        start = c.beta**LENGTH
        constant = c.omega * (1 - start) / (1 - c.beta) + start * c.unconditional
        self.fill_ = c.unconditional
        self.weights_ = reversion * c.alpha * decay_powers(c.beta)
        self.offset_ = horizon * c.unconditional + reversion * (constant - c.unconditional)


def maximum_likelihood(returns: FloatArray) -> Coefficients | None:
    """Estimates on log returns, in order of time; None where they are not to be trusted.

    Returns are divided by their standard deviation for the optimiser, which makes the result
    independent of the instrument's scale.
    """
    from arch import arch_model

    scale = float(returns.std())
    if not scale > 0:
        return None
    scaled = returns / scale
    model = arch_model(scaled, mean="Zero", vol="GARCH", dist="t", rescale=False)
    try:
        result = model.fit(disp="off", show_warning=False)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    if result.convergence_flag != 0:
        return None
    start = float(model.volatility.backcast(scaled))
    estimates = at_the_maximum(result.params.to_numpy(), scaled**2, start)
    omega, alpha, beta, nu = (float(value) for value in estimates)
    found = Coefficients(omega * scale**2, alpha, beta, nu)
    return found if found.sane else None


def at_the_maximum(near: FloatArray, squares: FloatArray, start: float) -> FloatArray:
    """(omega, alpha, beta, nu) near an optimiser's at which the score is zero.

    An optimiser that takes differences of the likelihood stops where they drown in rounding, five
    digits from the maximum, and in a place that depends on the processor. The root does not.
    Parameters at one of arch's bounds stay there; ``near`` is the answer where no root is near it.
    """
    from scipy.optimize import root

    free = (near > LOWEST + NEAR_A_BOUND) & (near < HIGHEST - NEAR_A_BOUND)
    estimates = near.copy()

    def of_the_free(values: FloatArray) -> FloatArray:
        estimates[free] = values
        return score(estimates, squares, start)[free]

    with np.errstate(all="ignore"):
        found = root(of_the_free, near[free], tol=1e-12)  # type: ignore[no-untyped-call]
    estimates[free] = found.x
    at_zero = np.abs(found.fun).max(initial=0.0) < LARGEST_SCORE
    return estimates if at_zero and np.allclose(estimates, near, rtol=0.1, atol=1e-3) else near


def score(theta: FloatArray, squares: FloatArray, start: float) -> FloatArray:
    """Mean derivative of the log likelihood by (omega, alpha, beta, nu) (Bollerslev, 1987).

    ``squares`` are (n,) squared returns in order of time; ``start`` stands for the square and the
    variance before the first.
    """
    from scipy.signal import lfilter  # type: ignore[attr-defined]
    from scipy.special import digamma

    omega, alpha, beta, nu = theta
    before = np.concatenate([[start], squares[:-1]])
    recursion = ([1.0], [1.0, -beta])
    variance, _ = lfilter(*recursion, omega + alpha * before, zi=[beta * start])
    lagged = np.concatenate([[start], variance[:-1]])
    by_theta = lfilter(*recursion, [np.ones_like(before), before, lagged])
    scaled = squares / (variance * (nu - 2))
    weight = (nu + 1) * scaled / (1 + scaled)
    by_variance = (weight - 1) / (2 * variance)
    by_nu = digamma((nu + 1) / 2) - digamma(nu / 2)
    by_nu = (by_nu + (weight - 1) / (nu - 2) - np.log1p(scaled)) / 2
    total: FloatArray = np.append(by_theta @ by_variance, by_nu.sum())
    return total / len(squares)
