"""Ordinary least squares on standardised features."""

from __future__ import annotations

from typing import Final

import numpy as np

from fx_assets.models._linear import StandardisedLinear
from fx_assets.models.base import FloatArray, NoParams

SMALLEST_SHARE: Final = 1e-6
"""Directions of the inputs weaker than this share of the strongest count as collinear."""


class LinearRegression(StandardisedLinear[NoParams]):
    """Expected log return by least squares, not shrunk.

    Collinear inputs share their effect: of all solutions, the one with the smallest coefficients.
    """

    name = "linear_regression"
    targets = ("real",)
    params_type = NoParams

    def _solve(self, Z: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
        centre, mean = Z.mean(axis=0), float(y.mean())
        coef: FloatArray = np.linalg.lstsq(Z - centre, y - mean, rcond=SMALLEST_SHARE)[0]
        return coef, mean - float(centre @ coef)
