"""What the baselines that read the expanding mean of past targets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fx_assets.models.base import Columns, FloatArray, Model, NoParams

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph


class ExpandingMean(Model[NoParams]):
    """Predicts the mean of all targets known at the row's time, the column ``baseline_mean``.

    Attributes
    ----------
    fill_
        Mean training target; predicted where no target was known yet (NaN).
    """

    inputs = Columns(("baseline_mean",))
    params_type = NoParams

    def _fit(self, X: FloatArray, y: FloatArray) -> None:  # noqa: ARG002
        self.fill_ = float(y.mean())

    def _predict(self, X: FloatArray) -> FloatArray:
        return np.where(np.isnan(X[:, 0]), self.fill_, X[:, 0])

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        return Graph(1).column(0).where_nan(self.fill_)
