"""LightGBM's trees as ONNX: every row reaches the leaf that it reaches in LightGBM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fx_assets.models import Model, build_model
from fx_assets.models.onnx_predict import OnnxModel, parity
from fx_assets.specs import TargetSpec

RNG = np.random.default_rng(2)
ROWS = 3000
SIGNAL = RNG.standard_normal(ROWS)
TARGETS: dict[Any, np.ndarray] = {
    "direction": (SIGNAL + RNG.standard_normal(ROWS) > 0).astype(float),
    "return": 0.001 * SIGNAL + 0.006 * RNG.standard_normal(ROWS),
    "volatility": 4e-5 * np.exp(SIGNAL) * RNG.chisquare(1, ROWS),
}


def table(nan_share: float = 0.0) -> np.ndarray:
    """Inputs with ties, whole numbers, zeros, and doubles that single precision cannot tell."""
    X = np.column_stack(
        [
            SIGNAL,
            np.round(2 * SIGNAL),
            1e9 + 1e-3 * SIGNAL,
            np.where(SIGNAL > 0.5, 0.0, SIGNAL),
            RNG.standard_normal(ROWS),
        ]
    )
    X[np.random.default_rng(3).random(X.shape) < nan_share] = np.nan
    return X


def fit(kind: Any, X: np.ndarray, **params: Any) -> Model:
    learns = {"learning_rate": 0.1, "num_leaves": 31, "min_child_samples": 5, "reg_lambda": 0.0}
    model = build_model("lightgbm", TargetSpec(kind=kind), {**learns, **params})
    return model.fit(X, TARGETS[kind])


@pytest.mark.parametrize("nan_share", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["direction", "return", "volatility"])
def test_rows_on_and_beside_every_threshold_go_the_same_way(kind: Any, nan_share: float) -> None:
    X = table(nan_share)
    model = fit(kind, X, n_estimators=30)
    splits = model.trees_.trees_to_dataframe().dropna(subset=["threshold"])
    rows = []
    for feature, threshold in zip(splits["split_feature"], splits["threshold"], strict=True):
        column = int(feature.removeprefix("Column_"))
        for value in (threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf)):
            row = X[len(rows) % ROWS].copy()
            row[column] = value
            rows.append(row)
    every = np.vstack([X, np.array(rows), np.full((1, X.shape[1]), np.nan)])
    assert len(rows) > 500
    assert parity(model, model.to_onnx(), every) < 1e-6


def test_without_nan_in_training_nan_counts_as_zero() -> None:
    model = fit("return", table())
    X = table()[:50]
    X[:, 0] = np.nan
    zeros = np.where(np.isnan(X), 0.0, X)
    assert np.array_equal(model.predict(X), model.predict(zeros))
    graph = OnnxModel(model.to_onnx())
    assert np.array_equal(graph.predict(X), graph.predict(zeros))


def test_variances_keep_their_level_and_stay_positive() -> None:
    y = np.where(np.arange(ROWS) % 3 == 0, 0.0, TARGETS["volatility"])
    model = build_model("lightgbm", TargetSpec(kind="volatility")).fit(table(), y)
    said = model.predict(table())
    assert said.min() > 0
    assert said.mean() == pytest.approx(y.mean(), rel=0.1)


def test_rows_without_a_split_give_the_mean() -> None:
    X = np.ones((500, 3))
    for kind, y in TARGETS.items():
        model = build_model("lightgbm", TargetSpec(kind=kind)).fit(X, y[:500])
        assert model.predict(X) == pytest.approx(y[:500].mean(), rel=1e-6)
        assert parity(model, model.to_onnx(), X) < 1e-6
        assert model.feature_importance(["a", "b", "c"]) == {"a": 0.0, "b": 0.0, "c": 0.0}
