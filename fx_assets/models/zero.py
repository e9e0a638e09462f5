"""Zero: the random walk without drift. The baseline for returns (Meese and Rogoff, 1983)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fx_assets.models.base import Columns, FloatArray, Model, NoParams

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph


class Zero(Model[NoParams]):
    """Predicts a log return of zero. Its one input is there to give the rows, and is not used."""

    name = "zero"
    targets = ("return",)
    inputs = Columns(("baseline_mean",))
    params_type = NoParams

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        """Learns nothing."""

    def _predict(self, X: FloatArray) -> FloatArray:
        return np.zeros(len(X))

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        return Graph(1).fill_rows(0.0)
