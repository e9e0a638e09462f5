from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.bootstrap import block_weights
from fx_assets.evaluation.metrics import (
    cumulative_loss_difference,
    reliability,
    score,
)
from fx_assets.targets.metrics import ranking_areas


def direction_rows(n: int, seed: int = 0, edge: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    p = 0.5 + edge * rng.uniform(-1, 1, n)
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2000-01-03", periods=n, tz="UTC"),
            "prediction": p,
            "target": (rng.uniform(size=n) < p).astype(float),
            "baseline": 0.5,
        }
    )


def value(table: pd.DataFrame, metric: str, column: str = "value") -> float:
    return float(table.set_index("metric")[column][metric])


def test_direction_metrics_equal_those_of_scikit_learn() -> None:
    rows = direction_rows(800)
    table = score(rows, "direction", 1, n_boot=20)
    y, p = rows["target"], rows["prediction"]
    expected = {
        "brier": sk.brier_score_loss(y, p),
        "log_loss": sk.log_loss(y, p),
        "accuracy": sk.accuracy_score(y, p > 0.5),
        "mcc": sk.matthews_corrcoef(y, p > 0.5),
        "roc_auc": sk.roc_auc_score(y, p),
        "pr_auc": sk.average_precision_score(y, p),
        "skill": 1 - sk.brier_score_loss(y, p) / 0.25,
    }
    assert set(table["metric"]) == set(expected)
    for name, number in expected.items():
        assert value(table, name) == pytest.approx(number, rel=1e-9), name
    assert value(table, "pr_auc", "baseline_value") == y.mean()
    assert value(table, "roc_auc", "baseline_value") == 0.5
    assert (table["n"] == 800).all()


def test_weighted_areas_equal_those_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 300).astype(float)
    p = np.round(rng.uniform(size=300), 1)
    weights = rng.integers(0, 4, (5, 300)).astype(float)
    roc, pr = ranking_areas(y, p, weights)
    for k, w in enumerate(weights):
        assert roc[k] == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w))
        assert pr[k] == pytest.approx(sk.average_precision_score(y, p, sample_weight=w))


def test_return_metrics_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    f = 0.001 * rng.standard_normal(500)
    rows = pd.DataFrame(
        {"prediction": f, "target": f + 0.006 * rng.standard_normal(500), "baseline": 0.0}
    )
    table = score(rows, "return", 1, n_boot=20)
    assert value(table, "mse") == pytest.approx(sk.mean_squared_error(rows["target"], f))
    assert value(table, "mae") == pytest.approx(sk.mean_absolute_error(rows["target"], f))
    assert value(table, "rmse") == pytest.approx(value(table, "mse") ** 0.5)
    assert value(table, "r2_random_walk") == pytest.approx(
        1 - value(table, "mse") / np.square(rows["target"]).mean()
    )
    assert value(table, "directional_accuracy") == pytest.approx(
        (np.sign(f) == np.sign(rows["target"])).mean()
    )


def test_volatility_metrics_are_those_of_their_formulas() -> None:
    rng = np.random.default_rng(1)
    f = 1e-5 * np.exp(rng.standard_normal(500))
    rows = pd.DataFrame({"prediction": f, "target": f * rng.chisquare(1, 500), "baseline": 1e-5})
    table = score(rows, "volatility", 20, n_boot=20)
    ratio = np.maximum(rows["target"], 1e-10) / f
    assert value(table, "qlike") == pytest.approx((ratio - np.log(ratio) - 1).mean())
    assert value(table, "log_correlation") == pytest.approx(
        np.corrcoef(np.log(np.maximum(rows["target"], 1e-10)), np.log(f))[0, 1]
    )
    assert value(table, "skill", "lower") < value(table, "skill") < value(table, "skill", "upper")


def test_block_bootstrap_draws_every_row_equally_often_and_in_blocks() -> None:
    weights = block_weights(n=500, horizon=5, n_boot=2000, seed=0)
    assert (weights.sum(axis=1) == 500).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.12)
    together = np.corrcoef(weights[:, 100], weights[:, 101])[0, 1]
    apart = np.corrcoef(weights[:, 100], weights[:, 300])[0, 1]
    assert together > 0.9
    assert abs(apart) < 0.15
    np.testing.assert_array_equal(weights, block_weights(500, 5, 2000, 0))


@pytest.mark.parametrize("horizon", [1, 10])
def test_intervals_of_the_mean_hold_their_coverage_also_with_overlapping_targets(
    horizon: int,
) -> None:
    rng = np.random.default_rng(horizon)
    worlds, n, held = 150, 1000, 0
    weights = block_weights(n, horizon, 300, 0)
    for _ in range(worlds):
        sums = np.cumsum(rng.standard_normal(n + horizon))
        losses = sums[horizon:] - sums[:-horizon]
        lower, upper = np.quantile(weights @ losses / n, [0.025, 0.975])
        held += lower <= 0 <= upper
    assert 0.87 <= held / worlds <= 0.995


def test_no_skill_is_inside_the_interval_of_a_world_without_skill() -> None:
    rng = np.random.default_rng(8)
    rows = direction_rows(2000).assign(target=rng.integers(0, 2, 2000).astype(float))
    table = score(rows, "direction", 1).set_index("metric")
    for name, nothing in {"accuracy": 0.5, "roc_auc": 0.5, "mcc": 0.0}.items():
        assert table.loc[name, "lower"] < nothing < table.loc[name, "upper"]
    assert table.loc["skill", "value"] < 0


def test_metrics_of_27_years_take_less_than_a_second() -> None:
    rows = direction_rows(5600)
    score(rows.head(100), "direction", 1)
    best = min(_seconds(rows) for _ in range(3))
    assert best < 1.0


def _seconds(rows: pd.DataFrame) -> float:
    started = time.process_time()
    score(rows, "direction", 1)
    return time.process_time() - started


def test_rows_without_an_outcome_do_not_count_and_too_few_are_refused() -> None:
    rows = direction_rows(60)
    rows.loc[30:, "target"] = np.nan
    assert (score(rows, "direction", 1, n_boot=10)["n"] == 30).all()
    rows.loc[29, "target"] = np.nan
    with pytest.raises(NotEnoughDataError, match="there are 29"):
        score(rows, "direction", 1)


def test_reliability_compares_what_was_said_with_what_happened() -> None:
    table = reliability(direction_rows(20_000, edge=0.4), bins=5)
    assert len(table) == 5
    assert table["n"].sum() == 20_000
    assert ((table["lower"] < table["predicted"]) & (table["predicted"] < table["upper"])).all()
    constant = reliability(direction_rows(100).assign(prediction=0.5), bins=5)
    assert list(constant["n"]) == [100]


def test_cumulative_advantage_ends_at_the_sum_of_loss_differences() -> None:
    rows = direction_rows(300)
    table = cumulative_loss_difference(rows, "direction")
    expected = 300 * 0.25 - np.square(rows["target"] - rows["prediction"]).sum()
    assert table["advantage"].iloc[-1] == pytest.approx(expected)
    assert str(table["event_time"].dtype) == "datetime64[us, UTC]"


@pytest.mark.slow
@pytest.mark.long
def test_percentile_intervals_have_the_nominal_share_of_the_draws_inside() -> None:
    """Of a mean of independent rows, 95 % reach 1.96 standard errors to both sides."""
    rng = np.random.default_rng(3)
    errors = rng.standard_normal(4000)
    rows = pd.DataFrame({"prediction": 0.0, "target": errors, "baseline": 0.0})
    for coverage, reach in ((0.95, 1.96), (0.9, 1.645), (0.5, 0.674)):
        table = score(rows, "return", 1, coverage=coverage, n_boot=4000)
        half = (value(table, "mse", "upper") - value(table, "mse", "lower")) / 2
        error = np.square(errors).std() / np.sqrt(len(errors))
        assert half == pytest.approx(reach * error, rel=0.06)
    default = score(rows, "return", 1, n_boot=4000)
    assert default.equals(score(rows, "return", 1, coverage=0.95, n_boot=4000))
