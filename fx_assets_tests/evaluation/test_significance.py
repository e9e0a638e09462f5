from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.sandwich_covariance import S_hac_simple, weights_bartlett

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.losses import loss_for, skill
from fx_assets.evaluation.significance import (
    clark_west,
    clark_west_difference,
    dependence_length,
    diebold_mariano,
    hln_factor,
    mean_upper_bound,
    newey_west_variance,
    positive_mean_test,
)
from fx_assets.targets.losses import qlike, squared_error

RNG = np.random.default_rng(5)


def overlapping(draws: np.ndarray, horizon: int) -> np.ndarray:
    """Sums of ``horizon`` neighbours along the last axis: the errors of overlapping targets."""
    sums = np.cumsum(draws, axis=-1)
    return sums[..., horizon:] - sums[..., :-horizon]


def test_newey_west_variance_equals_that_of_statsmodels() -> None:
    x = overlapping(RNG.standard_normal(500), 5)
    for lags in (0, 1, 7, 40):
        centred = (x - x.mean())[:, None]
        theirs = S_hac_simple(centred, nlags=lags, weights_func=weights_bartlett).item()
        assert newey_west_variance(x, lags) == pytest.approx(theirs / len(x), rel=1e-10)


@pytest.mark.parametrize("horizon", [1, 4, 20])
def test_diebold_mariano_is_a_regression_on_a_constant_with_hac_errors(horizon: int) -> None:
    loss_a, loss_b = np.square(overlapping(RNG.standard_normal((2, 1200)), horizon))
    ours = diebold_mariano(loss_a, loss_b, horizon)
    n = len(loss_a)
    bandwidth = dependence_length(n, horizon)
    theirs = sm.OLS(loss_a - loss_b, np.ones(n)).fit(
        cov_type="HAC", cov_kwds={"maxlags": bandwidth - 1, "use_correction": False}
    )
    factor = hln_factor(n, (bandwidth + 1) / 2)
    assert ours.statistic == pytest.approx(theirs.tvalues[0] * factor, rel=1e-9)
    freedom = min(n - 1, 1.5 * n / bandwidth)
    assert ours.p_value == pytest.approx(stats.t.sf(ours.statistic, freedom), rel=1e-9)


def test_hln_factor_is_the_formula_of_the_paper() -> None:
    # Harvey, Leybourne and Newbold (1997): sqrt((n + 1 - 2h + h(h-1)/n) / n).
    assert hln_factor(16, 1) == pytest.approx(np.sqrt(15 / 16))
    assert hln_factor(64, 4) == pytest.approx(np.sqrt((64 + 1 - 8 + 12 / 64) / 64))


def test_clark_west_is_the_formula_of_the_paper_for_squared_error_and_brier() -> None:
    y, f1, f2 = np.array([1.0, -0.5, 2.0]), np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.0, 1.5])
    published = (y - f1) ** 2 - ((y - f2) ** 2 - (f1 - f2) ** 2)
    np.testing.assert_allclose(published, [1.0, 1.0, 1.0])
    for kind in ("direction", "return"):
        np.testing.assert_allclose(clark_west_difference(kind, y, f1, f2), published)


def test_clark_west_reduces_to_its_closed_form_for_qlike() -> None:
    y, f1, f2 = RNG.chisquare(1, 50) + 0.01, RNG.uniform(0.5, 2, 50), RNG.uniform(0.5, 2, 50)
    np.testing.assert_allclose(
        clark_west_difference("volatility", y, f1, f2), (y - f1) * (1 / f1 - 1 / f2), atol=1e-12
    )


def test_the_pythagorean_identity_holds_for_qlike_in_the_mean() -> None:
    y = 1.7 * RNG.chisquare(1, 400_000)
    f1, f2 = np.full_like(y, 1.7), np.full_like(y, 1.2)
    excess = qlike(y, f2).mean() - qlike(y, f1).mean()
    assert excess == pytest.approx(float(qlike(1.7, 1.2)), rel=0.05)


def test_a_candidate_equal_to_the_baseline_is_never_significant() -> None:
    y = RNG.integers(0, 2, 500).astype(float)
    half = np.full(500, 0.5)
    assert clark_west("direction", y, half, half, 1).p_value == 1.0
    assert diebold_mariano(squared_error(y, half), squared_error(y, half), 1).p_value == 1.0


def test_an_upper_bound_and_the_test_agree() -> None:
    d = RNG.standard_normal(800)
    result = positive_mean_test(d - mean_upper_bound(d, 1, 0.95), 1)
    assert result.p_value == pytest.approx(0.95, abs=1e-6)


def test_fewer_than_thirty_rows_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="there are 29"):
        positive_mean_test(np.ones(29), 1)


def rejections(differences: np.ndarray, horizon: int, level: float = 0.05) -> float:
    p = [positive_mean_test(row, horizon).p_value for row in differences]
    return float(np.mean(np.array(p) < level))


@pytest.mark.parametrize(("horizon", "limit"), [(1, 0.05), (20, 0.06)])
def test_the_test_rejects_a_true_null_at_its_nominal_rate(horizon: int, limit: float) -> None:
    worlds = 1000
    d = overlapping(
        np.random.default_rng(horizon).standard_normal((worlds, 1000 + horizon)), horizon
    )
    found = rejections(d, horizon) * worlds
    # At horizon 20 the true rate is 5.5 % (8,000 worlds); at 1 it is 5.0 %.
    assert found <= stats.binom.ppf(0.999, worlds, limit)
    assert found >= stats.binom.ppf(0.001, worlds, 0.035)


@pytest.mark.parametrize("kind", ["direction", "return", "volatility"])
def test_clark_west_keeps_its_size_where_the_plain_difference_is_biased(kind: str) -> None:
    rng = np.random.default_rng(11)
    worlds, n = 600, 800
    noise = rng.standard_normal((worlds, n))
    draw = rng.standard_normal((worlds, n))
    if kind == "direction":
        y, f1, f2 = (draw > 0).astype(float), np.full((worlds, n), 0.5), 0.5 + 0.05 * noise
    elif kind == "return":
        y, f1, f2 = draw, np.zeros((worlds, n)), 0.2 * noise
    else:
        y, f1, f2 = draw**2, np.ones((worlds, n)), np.exp(0.2 * noise)
    loss = loss_for(kind)
    plain = rejections(loss(y, f1) - loss(y, f2), 1)
    adjusted = rejections(clark_west_difference(kind, y, f1, f2), 1) * worlds
    assert plain < 0.01
    assert stats.binom.ppf(0.001, worlds, 0.05) <= adjusted <= stats.binom.ppf(0.999, worlds, 0.05)


def test_clark_west_finds_planted_skill() -> None:
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(100):
        edge = 0.05 * rng.choice([-1.0, 1.0], 2000)
        y = (rng.uniform(size=2000) < 0.5 + edge).astype(float)
        found += clark_west("direction", y, np.full(2000, 0.5), 0.5 + edge, 1).p_value < 0.0125
    assert found >= 95


def test_skill_is_the_relative_reduction_of_loss() -> None:
    assert skill(np.array([0.1, 0.2]), np.array([0.2, 0.4])) == pytest.approx(0.5)
    assert squared_error(3.0, 1.0) == 4.0
    assert qlike(2.0, 2.0) == 0.0
    assert np.isfinite(qlike(0.0, 1e-5))
