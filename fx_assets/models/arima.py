"""ARIMA(p, 1, q) of log prices, which is ARMA(p, q) of log returns (Box and Jenkins, 1970).

statsmodels fits the parameters. The prediction is the model's AR(infinity) form over the last 500
returns: a weighted sum that equals what statsmodels forecasts after filtering all of history, as
long as the weights beyond the window are negligible.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from fx_assets.models._window import LENGTH, RETURN_COLUMN
from fx_assets.models.base import RETURN_LIMIT, FloatArray, Model, Params, Window, row_dot
from fx_assets.specs.tuning import Range, Space

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

logger = logging.getLogger(__name__)

NEGLIGIBLE: Final = 1e-8
"""Largest sum of absolute weights that may lie beyond the window."""
BEYOND: Final = 5_000
"""Lags over which the weights beyond the window are summed."""
LARGEST_MODULUS: Final = 0.999
"""Inverse roots of either polynomial are below this."""
FLAT: Final = 0.01
"""Slope of the log likelihood at which it counts as at its maximum."""
FEWEST_RETURNS: Final = 100

_Order = Annotated[int, Field(ge=0, le=5)]


class ArimaParams(Params):
    p: _Order = 1
    """Autoregressive lags, 0 to 5."""
    q: _Order = 1
    """Moving-average lags, 0 to 5."""
    trend: Literal["c", "n"] = "c"
    """``c`` for a constant mean return (a drift of the log price), ``n`` for none."""


@dataclass(frozen=True)
class Arma:
    """u(t) = sum ar[i] u(t-1-i) + e(t) + sum ma[j] e(t-1-j), of returns about their mean."""

    ar: FloatArray
    ma: FloatArray

    @property
    def sane(self) -> bool:
        """Whether stationary, invertible, and negligible beyond the window."""
        if not (np.isfinite(self.ar).all() and np.isfinite(self.ma).all()):
            return False
        moduli = [np.abs(np.roots(np.r_[1, c])) for c in (-self.ar, self.ma)]
        if max(float(m.max(initial=0.0)) for m in moduli) >= LARGEST_MODULUS:
            return False
        beyond = innovation_weights(self, BEYOND)[LENGTH:]
        return float(np.abs(beyond).sum()) <= NEGLIGIBLE


class Arima(Model[ArimaParams]):
    """Expected log return over the horizon: the sum of the forecasts of its bars.

    A return that is not known (NaN) counts as the mean. Where the likelihood has no maximum that
    is stationary, invertible and forgotten within 500 bars, an order with one lag less of each
    kind is fitted, down to the constant; that is logged as a warning.

    Attributes
    ----------
    order_
        (p, q) in use.
    converged_
        Whether it is the order asked for.
    mean_
        Mean log return of a bar, 0 without trend.
    arma_
        The coefficients in use.
    weights_
        (500,) weights of the returns about their mean, the newest's last.
    """

    name = "arima"
    targets = ("return",)
    inputs = Window(RETURN_COLUMN, LENGTH)
    libraries = ("statsmodels",)
    params_type = ArimaParams
    search_space: ClassVar[Space] = {"p": Range(low=0, high=3), "q": Range(low=0, high=3)}

    def _fit(self, X: FloatArray, y: FloatArray) -> None:  # noqa: ARG002
        returns = X[:, -1]
        returns = np.clip(returns[~np.isnan(returns)], -RETURN_LIMIT, RETURN_LIMIT)
        with_mean = self.settings.trend == "c" and len(returns) > 0
        self.mean_ = float(returns.mean()) if with_mean else 0.0
        p, q = asked = self.settings.p, self.settings.q
        found = None
        if len(returns) >= FEWEST_RETURNS:
            while (found := maximum_likelihood(returns - self.mean_, p, q)) is None:
                p, q = max(p - 1, 0), max(q - 1, 0)
        self.arma_ = found or Arma(np.empty(0), np.empty(0))
        self.order_ = len(self.arma_.ar), len(self.arma_.ma)
        self.converged_ = self.order_ == asked
        if not self.converged_:
            logger.warning(
                "arima(p=%d, q=%d) did not converge on %d returns; p=%d, q=%d is used",
                *asked, len(returns), *self.order_,
            )  # fmt: skip
        self.weights_ = horizon_weights(self.arma_, self.target.horizon)

    def _predict(self, X: FloatArray) -> FloatArray:
        known = np.where(np.isnan(X), self.mean_, np.clip(X, -RETURN_LIMIT, RETURN_LIMIT))
        return row_dot(known - self.mean_, self.weights_) + self.target.horizon * self.mean_

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        graph = Graph(LENGTH).where_nan(self.mean_).clip(-RETURN_LIMIT, RETURN_LIMIT)
        graph.then("Sub", self.mean_).dot(self.weights_)
        return graph.then("Add", self.target.horizon * self.mean_)


def maximum_likelihood(returns: FloatArray, p: int, q: int) -> Arma | None:
    """Gaussian estimates by the innovations algorithm, from those of Hannan and Rissanen.

    ``None`` where they are not to be trusted; never for p = q = 0. Returns are divided by their
    standard deviation for the optimiser, which makes the result independent of the instrument's
    scale.
    """
    if p == q == 0:
        return Arma(np.empty(0), np.empty(0))
    from statsmodels.tsa.arima.estimators import innovations

    scale = float(returns.std())
    if not scale > 0:
        return None
    try:
        fit: Any = innovations.innovations_mle
        estimates, details = fit(returns / scale, order=(p, 0, q), demean=False)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    found = Arma(np.asarray(estimates.ar_params), np.asarray(estimates.ma_params))
    optimum = details.minimize_results
    # The optimiser also stops, and calls it a failure, where it cannot tell values apart.
    converged = optimum.success or float(np.abs(optimum.jac).max()) <= FLAT
    return found if converged and found.sane else None


def innovation_weights(arma: Arma, length: int) -> FloatArray:
    """(length,) weights with which u(t), u(t-1), ... make up the innovation e(t)."""
    from statsmodels.tsa import arima_process

    to_ar: Any = arima_process.arma2ar
    weights: FloatArray = to_ar(np.r_[1.0, -arma.ar], np.r_[1.0, arma.ma], lags=length)
    return weights


def horizon_weights(arma: Arma, horizon: int) -> FloatArray:
    """(500,) weights of the returns about their mean in the forecast of the next ``horizon`` bars.

    Every future value and every past innovation is a weighted sum of the values in the window, so
    the forecast recursion runs on weights.
    """
    innovation = innovation_weights(arma, LENGTH)
    values = [np.eye(1, LENGTH, lag)[0] for lag in range(len(arma.ar))]
    shocks = [np.r_[np.zeros(lag), innovation[: LENGTH - lag]] for lag in range(len(arma.ma))]
    total = np.zeros(LENGTH)
    for _ in range(horizon):
        ahead = np.zeros(LENGTH)
        for coefficient, weights in zip(arma.ar, values, strict=True):
            ahead += coefficient * weights
        for coefficient, weights in zip(arma.ma, shocks, strict=True):
            ahead += coefficient * weights
        total += ahead
        values = [ahead, *values][: len(arma.ar)]
        shocks = [np.zeros(LENGTH), *shocks][: len(arma.ma)]
    return total[::-1].copy()
