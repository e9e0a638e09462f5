"""Boosted trees of quantiles: how the distribution of a number depends on features.

Each level's trees start from the quantile of all training rows and minimise the quantile loss
(Koenker and Bassett, 1978) by small, shrunken steps, whose leaves hold quantiles themselves.
Quantiles that cross are sorted, which is never farther from the truth (Chernozhukov, Fernández-Val
and Galichon, 2010, *Quantile and probability curves without crossing*, Econometrica 78).

What the trees add is shrunk by the share that did best on the newest third of the rows, by trees of
the rows before: where features say nothing, quantiles are those of all rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from fx_assets.models.base import INPUT_LIMIT, FloatArray

Library = Literal["xgboost", "lightgbm"]

ROUNDS: Final = 60
LEARNING_RATE: Final = 0.1
LEAVES: Final = 4
"""Most leaves of a tree: two splits, one below the other."""
FEWEST_IN_LEAF: Final = 50
LEAF_SHARE: Final = 0.05
"""Share of the training rows that a leaf has at least."""
COLUMN_SHARE: Final = 0.5
"""Share of the features that each tree draws."""
SHARES: Final = tuple(k / 10 for k in range(10))
"""Of what trees add; below one, so that quantiles do not coincide."""


def quantiles_in_order(said: FloatArray) -> FloatArray:
    """(n, k) quantiles without crossings."""
    return np.sort(said, axis=1)


@dataclass(frozen=True)
class QuantileTrees:
    """Fitted trees of one library.

    ``start`` are the (k,) quantiles to which ``share`` of what the trees say is added; ``trees`` is
    a booster of all levels (XGBoost) or a list of one for each (LightGBM).
    """

    library: Library
    start: FloatArray
    trees: Any
    width: int
    share: float = 1.0

    def predict(self, X: FloatArray) -> FloatArray:
        """(n, p) features to (n, k) quantiles, ascending."""
        return quantiles_in_order(self.start + self.share * self.added(X))

    def added(self, X: FloatArray) -> FloatArray:
        """(n, p) features to what the trees say, (n, k)."""
        X = np.clip(X, -INPUT_LIMIT, INPUT_LIMIT)
        if self.library == "xgboost":
            import xgboost

            matrix = xgboost.DMatrix(X, base_margin=np.zeros((len(X), len(self.start))), nthread=1)
            # Newer versions sort what they call predictions.
            said = self.trees.predict(matrix, output_margin=True)
            return np.asarray(said, dtype=np.float64)
        return np.column_stack([t.predict(X, raw_score=True, num_threads=1) for t in self.trees])

    def to_onnx(self, columns: Sequence[str]) -> bytes:
        """A graph of :meth:`predict`, whose quantiles may cross by a rounding."""
        from fx_assets.models._tree_nodes import lightgbm_scores, xgboost_scores
        from fx_assets.models.onnx_export import Graph

        graph = Graph(self.width).clip(-INPUT_LIMIT, INPUT_LIMIT)
        if self.library == "xgboost":
            dumps = [json.loads(tree) for tree in self.trees.get_dump(dump_format="json")]
            xgboost_scores(graph, dumps, len(self.start))
        else:
            lightgbm_scores(graph, [tree.dump_model() for tree in self.trees])
        graph.then("Mul", self.share).then("Add", self.start)
        about = {"family": f"quantile_{self.library}", "columns": json.dumps(list(columns))}
        return graph.to_bytes(about, len(self.start))


def grow(library: Library, X: FloatArray, z: FloatArray, levels: FloatArray) -> QuantileTrees:
    """Fit on (n, p) features and (n,) numbers in order of time, for (k,) ascending levels."""
    held_out = len(z) - len(z) // 3
    before = _fit(library, X[:held_out], z[:held_out], levels)
    newest, added = z[held_out:], before.added(X[held_out:])
    losses = [
        quantile_loss(newest, quantiles_in_order(before.start + share * added), levels).mean()
        for share in SHARES
    ]
    return replace(_fit(library, X, z, levels), share=SHARES[int(np.argmin(losses))])


def quantile_loss(came: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Of (n,) outcomes and their (n, k) quantiles, the mean over levels."""
    gap = came[:, None] - quantiles
    return np.asarray(np.where(gap >= 0, levels * gap, (levels - 1) * gap).mean(axis=1))


def _fit(library: Library, X: FloatArray, z: FloatArray, levels: FloatArray) -> QuantileTrees:
    X = np.clip(X, -INPUT_LIMIT, INPUT_LIMIT)
    start = np.quantile(z, levels)
    fewest = max(FEWEST_IN_LEAF, int(LEAF_SHARE * len(X)))
    fit = _xgboost if library == "xgboost" else _lightgbm
    return QuantileTrees(library, start, fit(X, z, levels, start, fewest), X.shape[1])


def _xgboost(
    X: FloatArray, z: FloatArray, levels: FloatArray, start: FloatArray, fewest: int
) -> Any:
    import xgboost

    settings = {
        "objective": "reg:quantileerror",
        "quantile_alpha": levels.tolist(),
        "tree_method": "hist",
        "max_depth": LEAVES.bit_length() - 1,
        "learning_rate": LEARNING_RATE,
        "min_child_weight": fewest,
        "colsample_bytree": COLUMN_SHARE,
        "nthread": 1,
        "seed": 0,
        "verbosity": 0,
    }
    margin = np.tile(start, (len(X), 1))
    return xgboost.train(settings, xgboost.DMatrix(X, z, base_margin=margin, nthread=1), ROUNDS)


def _lightgbm(
    X: FloatArray, z: FloatArray, levels: FloatArray, start: FloatArray, fewest: int
) -> Any:
    import lightgbm

    settings = {
        "objective": "quantile",
        "num_leaves": LEAVES,
        "learning_rate": LEARNING_RATE,
        "min_child_samples": fewest,
        "feature_fraction": COLUMN_SHARE,
        "feature_pre_filter": False,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "seed": 0,
        "verbosity": -1,
    }
    return [
        lightgbm.train(
            settings | {"alpha": float(level)},
            lightgbm.Dataset(X, z, init_score=np.full(len(X), quantile)),
            ROUNDS,
        )
        for level, quantile in zip(levels, start, strict=True)
    ]
