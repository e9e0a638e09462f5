from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from fx_assets.evaluation.cusum import choice_bias, fall_limit, falls, steps
from fx_assets.evaluation.losses import Floats

RATE = {"rows_a_year": 260, "horizon": 1, "rate": 0.05, "seed": 1}


def gains(mean: float, n: int, seed: int) -> Floats:
    return mean + 0.05 * np.random.default_rng(seed).standard_normal(n)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.floats(0, 2))
def test_a_fall_is_what_has_been_lost_since_the_best_and_never_negative(
    rows: list[float], head_start: float
) -> None:
    fall, expected = head_start, []
    for gain in rows:
        fall = max(0.0, fall - gain)
        expected.append(fall)
    assert falls(np.array(rows), head_start) == pytest.approx(expected, abs=1e-9)


def test_a_champion_as_good_as_ever_exceeds_the_limit_in_the_stated_share_of_years() -> None:
    history = gains(0.0, 100_000, 1)
    limit = fall_limit(0.0025 + history - history.mean(), **RATE)
    rows = 0.0025 + 0.05 * np.random.default_rng(2).standard_normal((4000, 520))
    crossed = falls(rows, limit.head_start) > limit.limit
    first, second = crossed[:, :260].any(axis=1), crossed[:, 260:].any(axis=1)
    assert first.mean() == pytest.approx(0.05, abs=0.02)
    assert (second & ~first).mean() == pytest.approx(0.065, abs=0.015)


def test_a_champion_whose_signal_is_dead_is_found_the_sooner_the_better_it_was() -> None:
    weeks: list[float] = []
    for skill in (0.01, 0.02):
        mean, deviation = 0.25 * skill, 0.5 * np.sqrt(skill)
        rng = np.random.default_rng(3)
        limit = fall_limit(mean + deviation * rng.standard_normal(100_000), **RATE)
        rows = -mean + deviation * rng.standard_normal((500, 1000))
        crossed = falls(rows, limit.head_start)[:, 4::5] > limit.limit
        assert crossed.any(axis=1).mean() > 0.9
        weeks.append(np.median(crossed.argmax(axis=1) + 1))
    assert weeks[0] <= 65
    assert weeks[1] <= 45


def test_limits_allow_for_the_dependence_of_overlapping_targets() -> None:
    shocks = gains(0.0025, 3019, 4)
    sums = np.convolve(shocks, np.ones(20), "valid") / np.sqrt(20)
    overlapping = 0.0025 + sums - sums.mean()
    apart, together = (fall_limit(overlapping, **RATE | {"horizon": h}) for h in (1, 20))
    assert together.limit > 1.2 * apart.limit


def test_intraday_rows_are_looked_at_a_few_hundred_times_a_year() -> None:
    limit = fall_limit(gains(0.0025, 24_000, 5), **RATE | {"rows_a_year": 6240})
    assert limit.step == 24
    assert steps(np.ones(50), 24).tolist() == [24, 24, 2]


def test_too_short_a_history_gives_no_limit() -> None:
    assert fall_limit(gains(0.0025, 249, 6), **RATE) is None


@pytest.mark.parametrize("truth", [2.0, 3.0, 5.0])
def test_what_the_choice_of_a_champion_adds_to_its_mean_is_taken_off(truth: float) -> None:
    found = float(truncnorm(2.5 - truth, np.inf, loc=truth).mean())
    assert choice_bias(found, 2.5) == pytest.approx(min(1.0, found - truth), abs=1e-6)
    assert choice_bias(float("inf"), 2.5) == 0
