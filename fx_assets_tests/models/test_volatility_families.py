"""The volatility families against arch, statsmodels and the textbook."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from fx_assets.errors import SpecError
from fx_assets.models import build_model, model_class, model_inputs
from fx_assets.models.garch import Garch, score
from fx_assets.specs import TargetSpec
from fx_assets.testing.families import simulated_returns

RETURNS = simulated_returns(6000, seed=21)


def windows(family: str, returns: np.ndarray = RETURNS) -> np.ndarray:
    return model_inputs({"log_return": returns}, model_class(family))


def variances(horizon: int, returns: np.ndarray = RETURNS) -> np.ndarray:
    """Sum of the next ``horizon`` squared returns, for every row that has them."""
    squares = np.lib.stride_tricks.sliding_window_view(returns[1:] ** 2, horizon)
    return squares.sum(axis=1)


def fit(family: str, horizon: int, returns: np.ndarray = RETURNS, **params):
    y = variances(horizon, returns)
    model = build_model(family, TargetSpec(kind="volatility", horizon=horizon), params)
    return model.fit(windows(family, returns)[: len(y)], y)


def fixed_arch(model: Garch):
    """arch's own filter with our parameters, on returns in percent."""
    from arch import arch_model

    c = model.coefficients_
    arch = arch_model(100 * RETURNS, mean="Zero", vol="GARCH", dist="t", rescale=False)
    return arch.fix([c.omega * 1e4, c.alpha, c.beta, c.nu])


def test_garch_recovers_the_parameters_of_the_world():
    model = fit("garch", 1)
    c = model.coefficients_
    assert model.converged_
    assert c.alpha == pytest.approx(0.08, abs=0.02)
    assert c.beta == pytest.approx(0.90, abs=0.025)
    assert c.nu == pytest.approx(8, rel=0.25)
    assert c.unconditional == pytest.approx(0.006**2, rel=0.25)


def test_garch_finds_what_arch_finds_in_percent():
    from arch import arch_model

    result = arch_model(100 * RETURNS, mean="Zero", dist="t", rescale=False).fit(disp="off")
    y = variances(1)
    model = build_model("garch", TargetSpec(kind="volatility"))
    model.fit(windows("garch"), np.append(y, 0.0))
    c = model.coefficients_
    assert [c.omega * 1e4, c.alpha, c.beta, c.nu] == pytest.approx(result.params, rel=0.01)


def test_the_window_recursion_is_archs_conditional_variance():
    model = fit("garch", 1)
    ours = model.predict(windows("garch"))[500:-1]
    archs = fixed_arch(model).conditional_volatility[501:] ** 2 / 1e4
    assert ours == pytest.approx(archs, rel=1e-6)


@pytest.mark.parametrize("horizon", [1, 5, 20, 60])
def test_the_variance_over_the_horizon_is_the_sum_of_archs_forecasts(horizon):
    model = fit("garch", horizon)
    forecast = fixed_arch(model).forecast(horizon=horizon, start=5500).variance
    ours = model.predict(windows("garch"))[5500:]
    assert ours == pytest.approx(forecast.sum(axis=1).to_numpy() / 1e4, rel=1e-6)


def test_garch_does_not_depend_on_the_scale_of_the_instrument():
    large, small = fit("garch", 20), fit("garch", 20, RETURNS / 1000)
    expected = large.predict(windows("garch")) / 1e6
    assert small.predict(windows("garch", RETURNS / 1000)) == pytest.approx(expected, rel=1e-9)


def test_the_score_is_the_slope_of_archs_likelihood_and_zero_at_the_estimate():
    from arch import arch_model

    model = fit("garch", 1)
    returns = RETURNS[: len(variances(1))] / RETURNS[: len(variances(1))].std()
    arch = arch_model(returns, mean="Zero", vol="GARCH", dist="t", rescale=False)
    start = float(arch.volatility.backcast(returns))
    c = model.coefficients_
    estimate = np.array([c.omega / RETURNS[: len(returns)].var(), c.alpha, c.beta, c.nu])
    assert score(estimate, returns**2, start) == pytest.approx(np.zeros(4), abs=1e-10)
    elsewhere = estimate * [1.3, 0.8, 0.99, 1.5]
    for number, slope in enumerate(score(elsewhere, returns**2, start)):
        step = np.zeros(4)
        step[number] = 1e-5 * elsewhere[number]
        above, below = (arch.fix(elsewhere + sign * step).loglikelihood for sign in (1, -1))
        differences = (above - below) / (2 * step[number] * len(returns))
        assert slope == pytest.approx(differences, rel=1e-4)


def test_an_estimate_does_not_depend_on_the_processor():
    """OpenBLAS sums in another order on another processor; here it is told that it is on one."""
    program = (
        "from fx_assets.models.garch import maximum_likelihood as fit\n"
        "from fx_assets.testing.families import simulated_returns as returns\n"
        "for seed in range(4):\n"
        "    c = fit(returns(1500, seed=seed))\n"
        "    print(c.omega, c.alpha, c.beta, c.nu)\n"
    )
    here, there = (
        np.array(
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "OPENBLAS_CORETYPE": processor},
                check=True, capture_output=True, text=True,
            ).stdout.split(),
            dtype=float,
        )
        for processor in ("Prescott", "Haswell")
    )  # fmt: skip
    assert len(here) == 16
    assert there == pytest.approx(here, rel=1e-10)


def test_garch_without_a_known_past_predicts_the_unconditional_variance():
    model = fit("garch", 20)
    unknown = np.full((1, 500), np.nan)
    expected = 20 * model.coefficients_.unconditional
    assert model.predict(unknown) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "returns",
    [
        np.zeros(1000),
        RETURNS[:60],
        np.repeat([0.001, 0.05], 500) * np.sign(RETURNS[:1000]),
        np.append(np.zeros(999), 0.3),
    ],
    ids=["no variance", "too short", "a break that looks integrated", "one jump"],
)
def test_garch_falls_back_to_variance_targeting_and_says_so(returns):
    model = fit("garch", 5, returns)
    prediction = model.predict(windows("garch", returns))
    assert np.isfinite(prediction).all()
    assert prediction.min() > 0
    assert not model.converged_
    assert (model.coefficients_.alpha, model.coefficients_.beta) == (0.05, 0.93)
    mean_square = max(np.mean(returns[:-5] ** 2), 1e-12)
    assert model.coefficients_.unconditional == pytest.approx(mean_square)


@pytest.mark.parametrize("decay", [0.94, 0.99])
@pytest.mark.parametrize("horizon", [1, 20])
def test_ewma_is_the_textbook_recursion(decay, horizon):
    model = fit("ewma", horizon, decay=decay)
    variance = model.fill_
    recursion = []
    for value in RETURNS[:500]:
        variance = decay * variance + (1 - decay) * value**2
        recursion.append(horizon * variance)
    assert model.predict(windows("ewma")[:500]) == pytest.approx(recursion, rel=1e-12)
    assert model.fill_ == pytest.approx(np.mean(RETURNS[: len(variances(horizon))] ** 2))


@pytest.mark.parametrize("horizon", [1, 20])
def test_log_har_is_statsmodels_least_squares_with_smearing(horizon):
    model = fit("log_har", horizon)
    y = variances(horizon)
    squares = pd.Series(RETURNS**2)
    floor = 0.01 * np.mean(RETURNS[: len(y)] ** 2)
    logs = pd.DataFrame(
        {n: np.log(squares.rolling(n).mean().clip(lower=floor)) for n in (1, 5, 22)}
    )
    known = slice(21, len(y))
    model.fit(windows("log_har")[known], y[known])
    floor = model.floor_
    regressors = sm.add_constant(np.maximum(logs.to_numpy(), np.log(floor)))[known]
    result = sm.OLS(np.log(np.maximum(y[known] / horizon, floor)), regressors).fit()
    assert [model.intercept_, *model.coef_] == pytest.approx(result.params, rel=1e-3, abs=1e-5)
    expected = horizon * np.exp(result.fittedvalues) * np.mean(np.exp(result.resid))
    assert model.predict(windows("log_har")[known]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("spans", [(1, 5, 22), (1, 24, 168)])
@pytest.mark.parametrize("horizon", [1, 20])
def test_har_is_statsmodels_least_squares_within_its_limits(horizon, spans):
    params = dict(zip(("short", "medium", "long"), spans, strict=True))
    model = fit("har", horizon, **params)
    y = variances(horizon)
    squares = pd.Series(RETURNS**2)
    means = pd.DataFrame({n: squares.rolling(n).mean() for n in spans})
    known = slice(spans[-1] - 1, len(y))
    model.fit(windows("har")[known], y[known])
    result = sm.OLS(y[known] * 1e4, sm.add_constant(means[known].to_numpy() * 1e4)).fit()
    assert [model.intercept_ * 1e4, *model.coef_] == pytest.approx(result.params, rel=1e-6)
    expected = np.clip(result.fittedvalues / 1e4, model.lowest_, model.highest_)
    assert model.predict(windows("har")[known]) == pytest.approx(expected, rel=1e-6)
    assert model.lowest_ == pytest.approx(0.1 * horizon * np.mean(RETURNS[known] ** 2))
    assert model.highest_ == y[known].max()


def test_one_enormous_return_does_not_carry_a_har_forecast_beyond_what_was_seen():
    for horizon in (1, 20):
        model = fit("har", horizon)
        jump = windows("har")[-1:].copy()
        jump[0, -1] = 5.0
        assert model.predict(jump) in (model.lowest_, model.highest_)


def test_spans_must_ascend_and_fit_the_window():
    for wrong in ({"medium": 30}, {"short": 5}, {"long": 501}, {"short": 2, "medium": 2}):
        with pytest.raises(SpecError):
            fit("har", 1, **wrong)


@pytest.mark.parametrize("family", ["ewma", "garch", "har", "log_har"])
@pytest.mark.parametrize("horizon", [1, 20])
def test_volatility_families_beat_the_mean_variance_in_a_garch_world(family, horizon):
    train, test = RETURNS[:4000], slice(4000, 6000 - horizon)
    model = fit(family, horizon, train)
    ratio = variances(horizon)[test] / model.predict(windows(family)[test])
    mean_ratio = variances(horizon)[test] / variances(horizon)[:3900].mean()
    loss, mean_loss = (float(np.mean(r - np.log(r))) for r in (ratio, mean_ratio))
    assert loss < mean_loss - (0.02 if family != "har" or horizon > 1 else 0)
    assert np.mean(ratio) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("family", ["ewma", "garch", "har", "log_har"])
def test_a_currency_that_stands_still_has_a_small_positive_variance(family):
    model = fit(family, 20, np.zeros(1000))
    prediction = model.predict(windows(family, np.zeros(1000)))
    assert (prediction > 0).all()
    assert (prediction < 1e-9).all()
