"""A shape for each row of features: quantiles by boosted trees, with exponential tails.

It is learned from what happened out of sample after earlier predictions, in the units of
:func:`~fx_assets.evaluation.distribution.empirical`. :class:`Boosted` needs NumPy and ONNX Runtime
only.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from fx_assets.errors import RegistryError
from fx_assets.evaluation.distribution import SMALLEST, Shape
from fx_assets.evaluation.losses import Floats
from fx_assets.models._quantile_trees import Library, QuantileTrees, grow, quantiles_in_order
from fx_assets.specs.base import Record
from fx_assets.specs.distribution import DistributionName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fx_assets.models.onnx_predict import OnnxModel

USUAL: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
OUTERMOST: Final = 0.02
"""Levels beyond it are of the exponential tail: leaves hold too few rows for them."""
MOST_ROWS: Final = 10_000
"""The newest rows that are learned from."""
WITNESSES: Final = 3
TOLERANCE: Final = 1e-4
"""Between the library's quantiles and the graph's, in units of the shape."""
LIBRARIES: Final[dict[DistributionName, Library]] = {
    f"quantile_{library}": library  # type: ignore[misc]
    for library in get_args(Library)
}


class Boosted(Record):
    """Trees as they are kept: an ONNX graph, with a few rows of which it must say what is told."""

    columns: tuple[str, ...]
    """Features, in order."""
    levels: tuple[float, ...]
    tails: tuple[float, float]
    """Mean distance beyond the outermost quantiles, in units of theirs from the median."""
    graph: str
    """The ONNX graph, compressed by zlib, in base 64."""
    inputs: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]

    def shapes(self, features: Floats) -> list[Shape]:
        """Of (n, p) features."""
        return _shapes(quantiles_in_order(self._model.predict(features)), self.levels, self.tails)

    def check(self) -> None:
        """Raise ``RegistryError`` unless the graph says what the fitted trees said."""
        expected = np.array(self.outputs)
        found = quantiles_in_order(self._model.predict(np.array(self.inputs)))
        gap = float(np.abs(found - expected).max(initial=0.0))
        if found.shape != expected.shape or not gap <= TOLERANCE:
            raise RegistryError(
                f"The graph of the distribution differs from the fitted trees by {gap:.3g}, more "
                f"than {TOLERANCE:g}.",
                remedy="Retrain; if it differs again, check the versions of XGBoost, LightGBM and "
                "ONNX Runtime against requirements.txt.",
            )

    @property
    def _model(self) -> OnnxModel:
        return _loaded(self.graph)


@lru_cache(maxsize=64)
def _loaded(graph: str) -> OnnxModel:
    """Not kept in the record, which goes from process to process."""
    from fx_assets.models.onnx_predict import OnnxModel

    return OnnxModel(zlib.decompress(base64.b64decode(graph)))


@dataclass(frozen=True)
class Learned:
    """Fitted trees with their tails."""

    trees: QuantileTrees
    levels: tuple[float, ...]
    tails: tuple[float, float]

    def shapes(self, features: Floats) -> list[Shape]:
        """Of (n, p) features."""
        return _shapes(self.trees.predict(features), self.levels, self.tails)

    def kept(self, columns: Sequence[str], features: Floats) -> Boosted:
        """As it is published; the last of the features' rows are its witnesses.

        Raises
        ------
        RegistryError
            The graph does not say what the trees say.
        """
        some = features[-WITNESSES:]
        packed = base64.b64encode(zlib.compress(self.trees.to_onnx(columns), 9)).decode()
        made = Boosted(
            columns=tuple(columns),
            levels=self.levels,
            tails=self.tails,
            graph=packed,
            inputs=tuple(map(tuple, some.tolist())),
            outputs=tuple(map(tuple, self.trees.predict(some).tolist())),
        )
        made.check()
        return made


def learn(family: DistributionName, features: Floats, z: Floats, asked: Iterable[float]) -> Learned:
    """Learn from (n, p) features and (n,) numbers without unit, oldest first.

    Parameters
    ----------
    asked
        Levels that are learned beside the usual ones, as far as they are not too far out.
    """
    features, z = features[-MOST_ROWS:], z[-MOST_ROWS:]
    inner = (level for level in asked if OUTERMOST <= level <= 1 - OUTERMOST)
    levels = tuple(sorted({*USUAL, *inner}))
    trees = grow(LIBRARIES[family], features, z, np.array(levels))
    said = trees.predict(features)
    low, high = _reach(said, levels)
    below, above = said[:, 0] - z, z - said[:, -1]
    tails = (_mean_beyond(below / low), _mean_beyond(above / high))
    return Learned(trees, levels, tails)


def _shapes(said: Floats, levels: tuple[float, ...], tails: tuple[float, float]) -> list[Shape]:
    low, high = _reach(said, levels)
    return [
        Shape(
            form="empirical", levels=levels, values=tuple(row), tails=(tails[0] * a, tails[1] * b)
        )
        for row, a, b in zip(said.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def _reach(said: Floats, levels: tuple[float, ...]) -> tuple[Floats, Floats]:
    """(n,) distances of the outermost quantiles from the median."""
    median = said[:, levels.index(0.5)]
    return np.maximum(median - said[:, 0], SMALLEST), np.maximum(said[:, -1] - median, SMALLEST)


def _mean_beyond(distances: Floats) -> float:
    beyond = distances[distances > 0]
    return float(beyond.mean()) if len(beyond) else SMALLEST
