"""Ridge regression on standardised features (Hoerl and Kennard, 1970)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat

from fx_assets.models._linear import StandardisedLinear
from fx_assets.models.base import FloatArray, Params
from fx_assets.specs.tuning import Range, Space


class RidgeParams(Params):
    alpha: PositiveFloat = 10_000.0
    """Strength of the penalty, above 0: coefficients shrink by about n/(n + alpha)."""


class Ridge(StandardisedLinear[RidgeParams]):
    """Expected log return, linear in the features and strongly shrunk towards the mean return."""

    name = "ridge"
    targets = ("real",)
    params_type = RidgeParams
    search_space: ClassVar[Space] = {"alpha": Range(low=100.0, high=1e6, log=True)}

    def _solve(self, Z: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
        from sklearn.linear_model import Ridge as SklearnRidge

        fitted = SklearnRidge(alpha=self.settings.alpha, solver="cholesky").fit(Z, y)
        return fitted.coef_, float(fitted.intercept_)
