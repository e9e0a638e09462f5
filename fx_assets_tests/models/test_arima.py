"""ARIMA's window of weights against statsmodels' own filter of all of history."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from statsmodels.tsa.arima.model import ARIMA
from statsmodels.tsa.arima_process import ArmaProcess

from fx_assets.models import Model, build_model, model_class, model_inputs
from fx_assets.models.arima import Arma, innovation_weights
from fx_assets.specs import TargetSpec

pytestmark = pytest.mark.long

ROWS, SPLIT = 3000, 2000


def world(ar: list[float], ma: list[float], mean: float = 2e-4, seed: int = 1) -> np.ndarray:
    """Log returns of an ARMA process with normal innovations of 0.6 %."""
    rng = np.random.default_rng(seed)
    process = ArmaProcess(np.r_[1, -np.array(ar)], np.r_[1, np.array(ma)])
    draw = process.generate_sample(ROWS, scale=0.006, distrvs=rng.standard_normal, burnin=300)
    return mean + draw


RETURNS = world([0.5, 0.2], [-0.3])


def inputs(returns: np.ndarray = RETURNS) -> np.ndarray:
    return model_inputs({"log_return": returns}, model_class("arima"))


def fit(horizon: int = 1, returns: np.ndarray = RETURNS, **params: object) -> Model:
    model = build_model("arima", TargetSpec(kind="return", horizon=horizon), params)
    X = inputs(returns)[:SPLIT]
    return model.fit(X, np.zeros(len(X)))


def statsmodels_of(model: Model, returns: np.ndarray) -> object:
    """statsmodels' filter with the fitted coefficients."""
    p, q = model.order_
    trend = model.settings.trend
    arima = ARIMA(returns, order=(p, 0, q), trend=trend)
    mean = [model.mean_] if trend == "c" else []
    return arima.smooth([*mean, *model.arma_.ar, *model.arma_.ma, 0.006**2])


@pytest.mark.parametrize(
    "horizon",
    [1, pytest.param(2, marks=pytest.mark.slow), 5, pytest.param(20, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("p", "q"),
    [
        (1, 0),
        pytest.param(0, 1, marks=pytest.mark.slow),
        pytest.param(1, 1, marks=pytest.mark.slow),
        (2, 1),
        pytest.param(1, 3, marks=pytest.mark.slow),
    ],
)
def test_the_forecast_is_statsmodels_after_extending_bar_by_bar(
    p: int, q: int, horizon: int
) -> None:
    model = fit(horizon, p=p, q=q)
    assert model.order_ == (p, q)
    ours = model.predict(inputs())
    results = statsmodels_of(model, RETURNS[:SPLIT])
    for row in range(SPLIT, SPLIT + 20):
        results = results.extend(RETURNS[row : row + 1])
        expected = results.forecast(horizon).sum()
        assert ours[row] == pytest.approx(expected, abs=1e-8)


def test_the_forecast_is_statsmodels_after_appending_without_refitting() -> None:
    model = fit(5, p=2, q=1)
    results = statsmodels_of(model, RETURNS[:SPLIT])
    for row in (SPLIT, SPLIT + 400, ROWS - 1):
        appended = results.append(RETURNS[SPLIT : row + 1], refit=False)
        expected = appended.forecast(5).sum()
        assert model.predict(inputs()[row : row + 1])[0] == pytest.approx(expected, abs=1e-8)


def test_one_pass_over_all_rows_is_statsmodels_one_step_predictions() -> None:
    model = fit(1, p=1, q=1)
    expected = statsmodels_of(model, RETURNS).predict()[501:]
    assert model.predict(inputs())[500:-1] == pytest.approx(expected, abs=1e-8)


def test_returns_of_order_p_0_q_are_log_prices_of_order_p_1_q() -> None:
    model = fit(1, p=1, q=1, trend="n")
    prices = ARIMA(np.cumsum(RETURNS), order=(1, 1, 1), trend="n")
    results = prices.smooth([*model.arma_.ar, *model.arma_.ma, 0.006**2])
    expected = results.forecast(1)[0] - np.sum(RETURNS)
    # statsmodels starts an integrated process at a large variance, not at an infinite one.
    assert model.predict(inputs())[-1] == pytest.approx(expected, abs=1e-7)


def test_the_coefficients_are_those_that_statsmodels_finds() -> None:
    model = fit(p=1, q=1)
    expected = ARIMA(RETURNS[:SPLIT] * 100, order=(1, 0, 1)).fit().params
    assert model.mean_ * 100 == pytest.approx(expected[0], abs=0.005)
    assert [model.arma_.ar[0], model.arma_.ma[0]] == pytest.approx(expected[1:3], abs=0.01)


def test_the_scale_of_the_instrument_does_not_matter() -> None:
    large, small = fit(5, p=1, q=1), fit(5, RETURNS / 1000, p=1, q=1)
    expected = large.predict(inputs()) / 1000
    assert small.predict(inputs(RETURNS / 1000)) == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_a_planted_dependence_is_found_out_of_sample() -> None:
    returns = world([0.3], [])
    model = fit(1, returns, p=1, q=0)
    said, truth = model.predict(inputs(returns))[SPLIT:-1], returns[SPLIT + 1 :]
    assert np.mean((truth - said) ** 2) < 0.95 * np.mean(truth**2)


def test_a_moving_average_that_is_never_forgotten_falls_back_and_warns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noise = np.random.default_rng(4).standard_normal(ROWS)
    over_differenced = 0.006 * np.diff(noise, prepend=0.0)
    with caplog.at_level(logging.WARNING):
        model = fit(1, over_differenced, p=1, q=1)
    assert not model.converged_
    assert model.order_ != (1, 1)
    assert "arima(p=1, q=1) did not converge on 2000 returns" in caplog.text
    assert np.isfinite(model.predict(inputs(over_differenced))).all()


@pytest.mark.parametrize(
    "returns",
    [np.zeros(ROWS), np.append(np.zeros(ROWS - 1), 0.3), RETURNS[:SPLIT][:50]],
    ids=["no variance", "one jump", "too short"],
)
def test_what_cannot_be_fitted_predicts_the_mean(returns: np.ndarray) -> None:
    model = fit(3, returns)
    mean = returns[:SPLIT].mean()
    assert model.order_ == (0, 0)
    assert model.predict(inputs(returns)) == pytest.approx(3 * mean, abs=1e-15)


def test_without_a_constant_nothing_known_means_no_move() -> None:
    model = fit(5, trend="n", p=1, q=1)
    assert model.predict(np.full((1, 500), np.nan)).tolist() == [0.0]


def test_weights_beyond_the_window_are_negligible_or_the_order_is_refused() -> None:
    forgets, remembers = (
        Arma(np.array([0.1]), np.array([0.95])),
        Arma(np.empty(0), np.array([0.99])),
    )
    assert forgets.sane
    assert np.abs(innovation_weights(forgets, 20_000)[500:]).sum() < 1e-8
    assert not remembers.sane
    assert not Arma(np.array([1.0]), np.empty(0)).sane
    assert not Arma(np.array([np.nan]), np.empty(0)).sane
