"""Persistence: tomorrow as today, read as a probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fx_assets.models.base import Columns, FloatArray, Model, NoParams, up_share

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph


class Persistence(Model[NoParams]):
    """Predicts how often an up, or a down, was followed by an up.

    A two-state Markov chain of directions: it says "as today" with the confidence that the training
    rows support. Shares are smoothed by one count of each kind.

    Attributes
    ----------
    after_up_, after_down_
        P(up) where the newest known target (``last_target``) was up, or not.
    fill_
        P(up) where no target was known yet (NaN).
    """

    name = "persistence"
    targets = ("direction",)
    inputs = Columns(("last_target",))
    params_type = NoParams

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        last = X[:, 0]
        self.after_up_ = up_share(y[last > 0.5])
        self.after_down_ = up_share(y[last <= 0.5])
        self.fill_ = up_share(y)

    def _predict(self, X: FloatArray) -> FloatArray:
        last = X[:, 0]
        known = np.where(last > 0.5, self.after_up_, self.after_down_)
        return np.where(np.isnan(last), self.fill_, known)

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        graph = Graph(1).column(0)
        last = graph.value
        up = graph.node("Greater", last, 0.5)
        known = graph.node("Where", up, self.after_up_, self.after_down_)
        graph.value = graph.node("Where", graph.node("IsNaN", last), self.fill_, known)
        return graph
