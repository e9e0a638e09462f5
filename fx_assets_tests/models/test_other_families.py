"""Baselines by hand, and the learning families against their libraries."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fx_assets.errors import SpecError
from fx_assets.models import build_model
from fx_assets.specs import TargetSpec

DIRECTION, RETURN, VOLATILITY = (
    TargetSpec(kind=kind) for kind in ("direction", "return", "volatility")
)
RNG = np.random.default_rng(8)
X = RNG.standard_normal((3000, 5)) * [1, 1e-6, 1e6, 1, 1] + [0, 0, 1e7, 0, 3]
UP = (RNG.random(3000) < 1 / (1 + np.exp(-0.8 * X[:, 0]))).astype(float)
MOVE = 0.001 * X[:, 0] + 0.006 * RNG.standard_normal(3000)
VARIANCE = 4e-5 * np.exp(0.5 * X[:, 0]) * RNG.chisquare(1, 3000)


def test_the_mean_baselines_pass_on_what_was_known_and_fill_in_the_training_mean():
    known = np.array([[0.51], [0.49], [np.nan]])
    for family, target, y in [
        ("base_rate", DIRECTION, [1.0, 0.0, 1.0]),
        ("historical_mean", RETURN, [0.25, 0.5, 0.75]),
        ("expanding_mean", VOLATILITY, [0.25, 0.5, 0.75]),
    ]:
        prediction = build_model(family, target).fit(known, y).predict(known)
        assert prediction.tolist() == [0.51, 0.49, np.mean(y)]


def test_a_base_rate_is_never_certain_and_a_mean_variance_never_zero():
    assert build_model("base_rate", DIRECTION).fit([[1.0]], [1.0]).predict([[1.0]]) == [0.999]
    mean = build_model("expanding_mean", VOLATILITY).fit([[0.0]], [0.0])
    assert mean.predict([[0.0], [np.nan]]).tolist() == [1e-12, 1e-12]


def test_zero_predicts_no_move():
    assert not build_model("zero", RETURN).fit([[0.1]], [0.1]).predict([[5.0], [np.nan]]).any()


def test_persistence_counts_ups_after_ups_and_after_downs():
    last = np.array([1, 1, 1, 1, 0, 0, 0, np.nan])[:, None]
    then = np.array([1, 1, 1, 0, 0, 0, 1, 1.0])
    model = build_model("persistence", DIRECTION).fit(last, then)
    assert model.predict([[1.0], [0.0], [np.nan]]) == pytest.approx([4 / 6, 2 / 5, 6 / 10])


def test_logistic_regression_is_scikit_learns_on_standardised_inputs():
    ours = build_model("logistic_regression", DIRECTION, {"C": 0.05}).fit(X, UP)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000)).fit(X, UP)
    assert ours.predict(X) == pytest.approx(theirs.predict_proba(X)[:, 1], abs=1e-9)


def test_ridge_is_scikit_learns_on_standardised_inputs():
    ours = build_model("ridge", RETURN, {"alpha": 500}).fit(X, MOVE)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=500)).fit(X, MOVE)
    assert ours.predict(X) == pytest.approx(theirs.predict(X), abs=1e-12)


def test_linear_regression_is_scikit_learns() -> None:
    ours = build_model("linear_regression", RETURN).fit(X, MOVE)
    theirs = LinearRegression().fit((X - X.mean(axis=0)) / X.std(axis=0), MOVE)
    expected = theirs.predict((X - X.mean(axis=0)) / X.std(axis=0))
    assert ours.predict(X) == pytest.approx(expected, abs=1e-12)
    assert list(ours.feature_importance("abcde")) == list("abcde")


def test_collinear_inputs_of_a_linear_regression_share_their_effect() -> None:
    twice = np.column_stack([X, X[:, 0], 1e-9 * X[:, 0]])
    once = build_model("linear_regression", RETURN).fit(X, MOVE)
    model = build_model("linear_regression", RETURN).fit(twice, MOVE)
    assert model.coef_[[0, 5, 6]] == pytest.approx(once.coef_[0] / 3, rel=1e-6)
    assert model.predict(twice) == pytest.approx(once.predict(X), abs=1e-12)


@pytest.mark.parametrize("kind", ["return", "volatility"])
def test_a_forest_of_returns_or_variances_is_scikit_learns(kind) -> None:
    y = MOVE if kind == "return" else VARIANCE
    ours = build_model("random_forest", TargetSpec(kind=kind), seed=5).fit(X, y)
    theirs = RandomForestRegressor(
        60, max_depth=5, min_samples_leaf=50, max_samples=0.5, max_features="sqrt", random_state=5
    ).fit(X, y)
    assert np.corrcoef(ours.predict(X), theirs.predict(X))[0, 1] > 0.999
    assert ours.predict(X).mean() == pytest.approx(theirs.predict(X).mean(), rel=1e-3)


def test_one_broken_input_cannot_carry_a_linear_forecast_away():
    model = build_model("ridge", RETURN).fit(X, MOVE)
    broken = X[:1].copy()
    broken[0, 0] = 1e12
    limited = X[:1].copy()
    limited[0, 0] = model.mean_[0] + 10 * model.scale_[0]
    assert model.predict(broken) == pytest.approx(model.predict(limited))


@pytest.mark.parametrize("family", ["logistic_regression", "random_forest", "xgboost", "lightgbm"])
def test_direction_families_find_a_planted_signal_out_of_sample(family):
    prediction = build_model(family, DIRECTION).fit(X[:2000], UP[:2000]).predict(X[2000:])
    brier = np.mean((prediction - UP[2000:]) ** 2)
    assert brier < 0.94 * np.mean((UP[:2000].mean() - UP[2000:]) ** 2)


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("linear_regression", {}),
        ("ridge", {"alpha": 100}),
        ("random_forest", {}),
        ("xgboost", {"learning_rate": 0.05}),
        ("lightgbm", {"learning_rate": 0.05}),
    ],
)
def test_return_families_find_a_planted_signal_out_of_sample(family, params):
    prediction = build_model(family, RETURN, params).fit(X[:2000], MOVE[:2000]).predict(X[2000:])
    assert np.mean((prediction - MOVE[2000:]) ** 2) < 0.985 * np.mean(MOVE[2000:] ** 2)


@pytest.mark.parametrize("family", ["random_forest", "xgboost", "lightgbm"])
def test_trees_of_variances_find_a_planted_signal_and_keep_the_level(family):
    model = build_model(family, VOLATILITY).fit(X[:2000], VARIANCE[:2000])
    prediction = model.predict(X[2000:])
    assert np.corrcoef(np.log(prediction), X[2000:, 0])[0, 1] > 0.8
    assert np.mean(VARIANCE[2000:] / prediction) == pytest.approx(1, abs=0.12)


def test_boosted_variances_survive_targets_of_zero():
    some_zero = np.where(np.arange(3000) % 3 == 0, 0.0, VARIANCE)
    prediction = build_model("xgboost", VOLATILITY).fit(X, some_zero).predict(X)
    assert prediction.min() > 1e-6
    assert np.mean(prediction) == pytest.approx(np.mean(some_zero), rel=0.1)


@pytest.mark.parametrize("family", ["random_forest", "xgboost", "lightgbm"])
def test_another_seed_draws_other_trees(family):
    one, two = (build_model(family, DIRECTION, seed=s).fit(X, UP).predict(X) for s in (1, 2))
    assert not np.array_equal(one, two)


def test_an_impossible_target_is_refused():
    with pytest.raises(SpecError, match=r"target 2\.0 in row 1 is not a direction"):
        build_model("base_rate", DIRECTION).fit([[0.5], [0.5]], [1.0, 2.0])
    with pytest.raises(SpecError, match="target -1e-05 in row 0 is not a volatility"):
        build_model("ewma", VOLATILITY).fit(np.zeros((1, 500)), [-1e-5])
