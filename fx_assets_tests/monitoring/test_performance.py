"""What is said about live predictions holds, however often one looks."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from fx_assets.evaluation.losses import loss_for
from fx_assets.monitoring.confidence import confidence_sequence
from fx_assets.monitoring.performance import Performance, performance_report
from fx_assets.specs.watching import PerformanceRule
from fx_assets.testing.drift_worlds import spec

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def outcomes(
    kind: str,
    said: np.ndarray,
    came: np.ndarray,
    baseline: float,
    inside: np.ndarray | None = None,
) -> pd.DataFrame:
    n = len(said)
    times = pd.bdate_range(end="2025-12-31 14:15", periods=n, tz="UTC").as_unit("us")
    loss = loss_for(kind)  # type: ignore[arg-type]
    return pd.DataFrame(
        {
            "event_time": times,
            "known_at": times + pd.Timedelta(days=1),
            "mode": "live",
            "champion": "xgboost",
            "prediction": said,
            "baseline": baseline,
            "target": came,
            "loss": loss(came, said),
            "baseline_loss": loss(came, np.full(n, baseline)),
            "inside_interval": pd.array(
                [None] * n if inside is None else inside.tolist(), dtype="boolean"
            ),
        }
    )


def coin(n: int, seed: int, edge: float, truth: float | None = None) -> pd.DataFrame:
    """A model that says 1/2 +- ``edge`` where the truth is 1/2 +- ``truth``."""
    noise = np.random.default_rng(seed)
    side = noise.choice([-1.0, 1.0], n)
    came = (noise.random(n) < 0.5 + side * (edge if truth is None else truth)).astype(float)
    return outcomes("direction", 0.5 + side * edge, came, 0.5)


def verdict(frame: pd.DataFrame, kind: str = "direction", **rule: object) -> Performance:
    return performance_report(frame, spec(kind), NOW, PerformanceRule.model_validate(rule))


@pytest.mark.parametrize(
    ("horizon", "first"),
    [
        (1, 30),
        pytest.param(5, 150, marks=pytest.mark.slow),
        pytest.param(20, 600, marks=pytest.mark.slow),
    ],
)
def test_the_confidence_sequence_covers_at_all_looks_together(horizon: int, first: int) -> None:
    worlds, missed = 200, 0
    for seed in range(worlds):
        steps = np.random.default_rng(seed).standard_t(5, 1500 + horizon)
        x = np.convolve(steps, np.ones(horizon) / horizon, "valid")
        _, lower, upper = confidence_sequence(x, horizon, 0.95, first)
        missed += bool(((lower > 0) | (upper < 0)).any())
    assert missed <= binom.ppf(0.995, worlds, 0.05)


def test_rows_taken_for_independent_would_miss_far_too_often() -> None:
    missed = 0
    for seed in range(50):
        steps = np.random.default_rng(seed).standard_normal(1519)
        x = np.convolve(steps, np.ones(20) / 20, "valid")
        _, lower, upper = confidence_sequence(x, 1, 0.95, 30)
        missed += bool(((lower > 0) | (upper < 0)).any())
    assert missed > 25


def test_a_sequence_narrows_and_holds_nothing_before_its_first_row() -> None:
    _, lower, upper = confidence_sequence(np.random.default_rng(0).random(2000), 1, 0.95, 30)
    assert np.isinf(upper[:29] - lower[:29]).all()
    width = (upper - lower)[29:]
    assert width[-1] < width[500] < width[0]


def test_skill_and_its_opposite_are_told_from_luck() -> None:
    assert verdict(coin(1500, 1, 0.1)).verdict == "better"
    worse = verdict(coin(1500, 1, 0.15, truth=-0.05))
    assert worse.verdict == "worse"
    assert worse.alarm
    assert "worse than the baseline" in worse.sentence
    luck = [verdict(coin(500, seed, 0.02, truth=0.0)).verdict for seed in range(20)]
    assert luck.count("undecided") >= 19


def test_a_baseline_champion_is_not_judged_against_itself() -> None:
    found = verdict(coin(500, 0, 0.0))
    assert (found.verdict, found.skill) == ("baseline", 0.0)
    assert not found.alarm


def test_too_few_outcomes_say_so() -> None:
    assert verdict(coin(500, 0, 0.1).iloc[:0]).rows == 0
    few = verdict(coin(29, 0, 0.1))
    assert few.verdict == "too_few"
    assert "29 live outcomes; 30 are needed" in few.sentence
    assert Performance.model_validate_json(few.model_dump_json()) == few
    overlapping = performance_report(coin(300, 0, 0.1), spec("direction", 20), NOW)
    assert "600 are needed" in overlapping.sentence


def test_only_live_predictions_count_and_a_revised_truth_counts_once() -> None:
    frame = coin(400, 0, 0.1)
    late = frame.iloc[:100].assign(mode="late")
    revised = frame.iloc[-50:].assign(
        known_at=frame["known_at"].iloc[-50:] + pd.Timedelta(hours=1), loss=0.0
    )
    future = frame.iloc[-20:].assign(known_at=pd.Timestamp("2027-01-01", tz="UTC"), loss=9.0)
    found = verdict(pd.concat([late, frame.iloc[100:], revised, future]))
    assert found.rows == 300
    assert float(found.skill or 0) > float(verdict(frame.iloc[100:]).skill or 0)


def test_a_bias_is_found_and_an_honest_forecast_has_none() -> None:
    noise = np.random.default_rng(4)
    came = 0.006 * noise.standard_normal(800)
    honest = verdict(outcomes("return", np.zeros(800), came, 0.0), "return")
    assert honest.bias is not None
    assert not honest.bias.off
    biased = verdict(outcomes("return", np.full(800, 0.002), came, 0.0), "return")
    assert any("biased" in problem for problem in biased.problems)


@pytest.mark.parametrize(("held", "alarm"), [(0.9, False), (0.75, True)])
def test_intervals_that_hold_less_than_promised_are_found(held: float, alarm: bool) -> None:
    noise = np.random.default_rng(5)
    came = 0.006 * noise.standard_normal(800)
    frame = outcomes("return", np.zeros(800), came, 0.0, noise.random(800) < held)
    found = verdict(frame, "return")
    assert any("intervals hold" in problem for problem in found.problems) == alarm
    assert found.coverage is not None
    assert found.coverage.expected == 0.9


def test_the_sliding_error_is_held_against_its_limits() -> None:
    noise = np.random.default_rng(6)
    came = 0.006 * noise.standard_normal(300)
    said = np.concatenate([np.zeros(240), 0.02 * noise.choice([-1.0, 1.0], 60)])
    frame = outcomes("return", said, came, 0.0)

    def too_large(**rule: object) -> bool:
        found = verdict(frame, "return", **rule)
        return any("mean absolute error" in problem for problem in found.problems)

    assert too_large()
    assert not too_large(window=300, mae_ratio_limit=2.0)
    assert too_large(mae_ratio_limit=None, mae_limit=0.01)
    assert not too_large(mae_ratio_limit=None)


def test_skill_lies_within_its_bounds_and_a_verdict_survives_json() -> None:
    made = verdict(coin(400, 2, 0.1))
    assert made.skill is not None
    assert (made.skill_lower or 0) < made.skill < (made.skill_upper or 0)
    assert Performance.model_validate_json(made.model_dump_json()) == made
