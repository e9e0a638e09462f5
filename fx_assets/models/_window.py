"""What the volatility families share that read a window of log returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from fx_assets.models.base import (
    RETURN_LIMIT,
    FloatArray,
    Model,
    P,
    Window,
    row_dot,
)
from fx_assets.targets.outcomes import SMALLEST_VARIANCE
from fx_assets.targets.volatility import SMOOTHED

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

RETURN_COLUMN: Final = "log_return"
LENGTH: Final = SMOOTHED
"""Squared returns that a recursion is cut off after."""


def squares(X: FloatArray, fill: float) -> FloatArray:
    """Squared log returns; ``fill``, a variance, where the return is NaN."""
    limited = np.clip(X, -RETURN_LIMIT, RETURN_LIMIT)
    return np.where(np.isnan(X), fill, limited * limited)


def squares_graph(length: int, fill: float) -> Graph:
    """The graph of :func:`squares`."""
    from fx_assets.models.onnx_export import INPUT, Graph

    graph = Graph(length).clip(-RETURN_LIMIT, RETURN_LIMIT)
    graph.then("Mul", graph.value)
    graph.value = graph.node("Where", graph.node("IsNaN", INPUT), fill, graph.value)
    return graph


def training_returns(X: FloatArray, y: FloatArray, horizon: int) -> tuple[FloatArray, float]:
    """The training rows' own log returns in order of time, and their mean square.

    Without a single known return, the mean square is the mean target of one bar.
    """
    returns = X[:, -1]
    returns = np.clip(returns[~np.isnan(returns)], -RETURN_LIMIT, RETURN_LIMIT)
    mean_square = float(np.mean(returns**2)) if len(returns) else float(y.mean()) / horizon
    return returns, max(mean_square, SMALLEST_VARIANCE)


class WeightedSquares(Model[P]):
    """Expected variance as ``offset_`` plus a weighted sum of the last 500 squared returns.

    Attributes
    ----------
    weights_
        (500,) weights, the newest return's last.
    offset_
        The constant, a variance.
    fill_
        Variance that stands for a return that is not known (NaN).
    """

    inputs = Window(RETURN_COLUMN, LENGTH)
    weights_: FloatArray
    offset_: float
    fill_: float

    def _predict(self, X: FloatArray) -> FloatArray:
        return self.offset_ + row_dot(squares(X, self.fill_), self.weights_)

    def _graph(self) -> Graph:
        return squares_graph(LENGTH, self.fill_).dot(self.weights_).then("Add", self.offset_)
