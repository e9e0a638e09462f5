"""GARCH(1,1) with Student-t errors (Bollerslev, 1987), fitted with ``arch``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fx_assets.models._window import LENGTH, WeightedSquares, decay, training_returns
from fx_assets.models.base import FloatArray, NoParams

FALLBACK_ALPHA: Final = 0.05
FALLBACK_BETA: Final = 0.93
"""Used with variance targeting where the likelihood gives no stationary answer."""
LARGEST_PERSISTENCE: Final = 0.9999
FEWEST_RETURNS: Final = 100


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
        self.weights_ = reversion * c.alpha * decay(c.beta)
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
    model = arch_model(returns / scale, mean="Zero", vol="GARCH", dist="t", rescale=False)
    try:
        result = model.fit(disp="off", show_warning=False)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    omega, alpha, beta, nu = (float(value) for value in result.params)
    found = Coefficients(omega * scale**2, alpha, beta, nu)
    return found if result.convergence_flag == 0 and found.sane else None
