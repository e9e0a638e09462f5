"""What the families share that are a linear function of standardised features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fx_assets.models.base import FEATURES, INPUT_LIMIT, FloatArray, Model, P, row_dot

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

Z_LIMIT: Final = 10.0
"""Standard deviations that an input may lie from its training mean; beyond, it is limited."""


class StandardisedLinear(Model[P]):
    """A score linear in features that are filled, standardised and limited.

    NaN becomes the training median; then mean and standard deviation of the training rows
    standardise; then each input is limited to 10 standard deviations, so that one broken input
    cannot carry a prediction away.

    Attributes
    ----------
    fill_, mean_, scale_
        (p,) training medians, means and standard deviations.
    coef_, intercept_
        (p,) coefficients of the standardised inputs, and the constant.
    """

    inputs = FEATURES
    libraries = ("scikit-learn",)

    @abstractmethod
    def _solve(self, Z: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
        """Coefficients and intercept from standardised inputs."""

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import StandardScaler

        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        filled = imputer.fit_transform(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT))
        scaler = StandardScaler().fit(filled)
        self.fill_: FloatArray = imputer.statistics_
        self.mean_: FloatArray = scaler.mean_
        self.scale_: FloatArray = scaler.scale_
        self.coef_, self.intercept_ = self._solve(self._standardise(X), y)

    def _standardise(self, X: FloatArray) -> FloatArray:
        filled = np.where(np.isnan(X), self.fill_, X)
        with np.errstate(over="ignore"):
            return np.clip((filled - self.mean_) / self.scale_, -Z_LIMIT, Z_LIMIT)

    def _predict(self, X: FloatArray) -> FloatArray:
        return row_dot(self._standardise(X), self.coef_) + self.intercept_

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        graph = Graph(self.n_features_in_).where_nan(self.fill_)
        graph.then("Sub", self.mean_).then("Div", self.scale_).clip(-Z_LIMIT, Z_LIMIT)
        return graph.dot(self.coef_).then("Add", self.intercept_)

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """Coefficients of the standardised inputs, with their sign."""
        return dict(zip(names, self.coef_.tolist(), strict=True))
