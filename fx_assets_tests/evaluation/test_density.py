"""Distributions are stated from the past alone, are true where the world is, and judged so."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from fx_assets.calendars import calendar
from fx_assets.errors import RegistryError
from fx_assets.evaluation import boosted
from fx_assets.evaluation.density import (
    Judged,
    calibration,
    density_scores,
    fit_distribution,
    uniformity,
    walk_distributions,
)
from fx_assets.evaluation.stated import issued_scores, stated
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.models._quantile_trees import Library
from fx_assets.specs import ForecastSpec
from fx_assets.testing import worlds
from fx_assets.testing.distributions import walk
from fx_assets_tests.evaluation.helpers import forecast

N, SPLIT = 3200, 2300
SETTINGS = {"walk_forward": {"min_train": 750, "refit_every": 500}, "quantiles": [0.05, 0.5, 0.95]}
ASKED = {
    "return, GARCH": ("return", 1, "garch_t"),
    "return, conformal": ("return", 1, "conformal"),
    "return of a week": ("return", 5, "garch_t"),
    "variance": ("volatility", 5, "conformal"),
    "return, XGBoost": ("return", 1, "quantile_xgboost"),
    "variance, LightGBM": ("volatility", 5, "quantile_lightgbm"),
}
TREES = {"return, XGBoost", "variance, LightGBM"}
"""What takes seconds to fit; CI looks at all."""
every_kind = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in TREES else name for name in ASKED],
)


def garch_t_bars(n: int, seed: int) -> pd.DataFrame:
    """Returns whose variance is GARCH(1,1), with innovations of Student's t(6)."""
    z = np.random.default_rng(seed).standard_t(6, n) * np.sqrt(4 / 6)
    returns, variance = np.empty(n), 3.6e-5
    for i in range(n):
        returns[i] = np.sqrt(variance) * z[i]
        variance = 1.08e-6 + 0.07 * returns[i] ** 2 + 0.90 * variance
    close = 1.2 * np.exp(np.cumsum(returns))
    return worlds.bars_from_closes(worlds.trading_days(n), close)


def spec(name: str) -> ForecastSpec:
    kind, horizon, family = ASKED[name]
    candidates = ["zero"] if kind == "return" else ["ewma"]
    settings = {**SETTINGS, "distribution": family, "candidates": candidates}
    return forecast(kind, horizon, **settings)


@cache
def walked(name: str, n: int = N) -> tuple[Study, pd.DataFrame, pd.Series, Judged]:
    found = walk(spec(name), garch_t_bars(N, 11)[:n])
    return found.study, found.rows, found.volatility, found.judged


@every_kind
def test_a_row_is_given_the_same_distribution_whatever_comes_later(name: str) -> None:
    *_, whole = walked(name)
    *_, part = walked(name, SPLIT)
    n = len(part.event_time)
    assert 500 < n < len(whole.event_time)
    assert part.event_time.equals(whole.event_time[:n])
    np.testing.assert_array_equal(part.quantiles, whole.quantiles[:n])
    np.testing.assert_array_equal(part.below, whole.below[:n])


@every_kind
def test_quantiles_are_ordered_and_hold_as_often_as_they_say(name: str) -> None:
    study, _, _, judged = walked(name)
    assert (np.diff(judged.quantiles, axis=1) > 0).all()
    horizon = study.spec.target.horizon
    found = calibration(judged, (0.05, 0.5, 0.95), horizon)
    slack = 0.03 * np.sqrt(horizon)
    for level, share in found.below:
        assert share == pytest.approx(level, abs=slack)
    assert sum(found.histogram) == pytest.approx(1)
    assert found.p_value > 0.01, "the world is of the kind that is stated"


def test_the_true_family_gains_on_a_constant_normal_distribution() -> None:
    *_, judged = walked("return, GARCH")
    found = calibration(judged, (0.05, 0.5, 0.95), 1)
    scores = {row[0]: row for row in density_scores(judged, found, 1)}
    for metric in ("crps_skill", "log_score_gain"):
        _, value, lower, upper, n, _ = scores[metric]
        assert 0 < lower < value < upper
        assert n == len(judged.event_time)
    assert scores["crps"][1] < scores["crps"][5]


def test_tails_stay_heavy_where_the_estimates_of_garch_are_not_to_be_trusted() -> None:
    """EUR/CHF, whose floor makes GARCH an integrated one; the normal tails of before lost to a
    constant normal distribution."""
    bars = worlds.ecb_bars("EUR", "CHF", "2004-01-02", "2015-12-30")
    judged = walk(spec("return, GARCH"), bars).judged
    found = calibration(judged, (0.05, 0.5, 0.95), 1)
    scores = {row[0]: row for row in density_scores(judged, found, 1)}
    assert scores["log_score_gain"][2] > 0
    for level, share in found.below:
        assert level == 0.5 or share == pytest.approx(level, abs=0.015)


@pytest.mark.parametrize("horizon", [1, 10])
def test_uniformity_is_refused_of_a_false_distribution_and_seldom_of_a_true_one(
    horizon: int,
) -> None:
    rng = np.random.default_rng(7)
    refused = []
    for _ in range(60):
        steps = rng.standard_normal(2000 + horizon)
        sums = np.convolve(steps, np.ones(horizon), "valid")[:2000] / np.sqrt(horizon)
        scaled = (ndtr(sums * scale) for scale in (1.0, 2.0))
        refused.append([uniformity(below, horizon, n_boot=200)[1] < 0.05 for below in scaled])
    true, false = np.mean(refused, axis=0)
    assert true <= 0.15, "5 % is promised, and overlapping rows count as what they are"
    assert false == 1.0


@every_kind
def test_what_is_published_states_what_an_issued_row_is_scored_by(name: str) -> None:
    study, rows, volatility, _ = walked(name)
    assert study.spec.density
    model = fit_distribution(study, study.spec.density, rows, volatility)
    last = rows["prediction"].iloc[-1]
    returns = study.frame["log_return"]
    features = study.frame[study.columns].to_numpy(dtype=np.float64)[-1]
    made = model.of(last, returns, features)
    assert made
    assert made == model.of(last, returns[-500:], features), "500 bars are all that it needs"
    issued = pd.DataFrame(
        {
            "target": [made.quantile(0.3), 1e-4, 1e-4],
            "distribution": [stated(model, made), "", None],
        }
    )
    found = issued_scores(issued)
    assert found["pit"][0] == pytest.approx(0.3)
    assert np.isfinite(found["crps"][0])
    assert np.isnan(found["pit"][1:]).all()
    assert model == type(model).model_validate_json(model.model_dump_json())


def test_a_frame_of_too_few_rows_states_nothing_yet() -> None:
    about = spec("variance")
    frame = labelled_frame(garch_t_bars(1200, 3), about, calendar("target"))
    study = Study(about, frame)
    rows = study.walk_forward(about.candidates[0]).predictions
    volatility = pd.Series(1.0, index=pd.DatetimeIndex(frame["event_time"]))
    assert about.density
    assert len(rows) < 500
    assert walk_distributions(study, about.density, rows, volatility) is None
    assert fit_distribution(study, about.density, rows, volatility).n == len(rows)


@pytest.mark.slow
@pytest.mark.parametrize("library", get_args(Library))
def test_the_graph_of_boosted_quantiles_says_what_the_trees_say_without_their_library(
    library: Library,
) -> None:
    rng = np.random.default_rng(8)
    X = rng.standard_normal((1500, 4)) * [1.0, 1e-12, 1e6, 1.0]
    X[rng.uniform(size=X.shape) < 0.02] = 0.0
    z = rng.standard_normal(1500) * np.where(X[:, 0] > 0, 2.0, 1.0)
    learned = boosted.learn(f"quantile_{library}", X, z, (0.001, 0.025, 0.5))
    assert learned.levels[:2] == (0.025, 0.05), "a level far out is of the tail"
    kept = learned.kept(("a", "b", "c", "d"), X)
    trees = np.array([shape.values for shape in learned.shapes(X)])
    graph = np.array([shape.values for shape in kept.shapes(X)])
    np.testing.assert_allclose(graph, trees, atol=1e-6)
    assert (np.diff(trees, axis=1) > 0).all()
    beyond = learned.shapes(X[:1])[0].quantile([0.001, 0.025])
    assert beyond[0] < beyond[1]
    program = (
        "import sys; from fx_assets.evaluation.boosted import Boosted; import numpy as np; "
        "kept = Boosted.model_validate_json(sys.stdin.read()); kept.check(); "
        "print(sorted({'pandas', 'xgboost', 'lightgbm', 'scipy'} & sys.modules.keys()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=kept.model_dump_json(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout.strip() == "[]", ran.stderr
    other = kept.model_copy(update={"outputs": tuple((0.0,) * len(kept.levels) for _ in range(3))})
    with pytest.raises(RegistryError, match="differs from the fitted trees"):
        other.check()
