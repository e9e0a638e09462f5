from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from fx_assets.evaluation.sequential import budget_shares, long_run_correlation, spend

LOOKS = [2000.0 + 20 * look for look in range(14)]


@given(st.lists(st.integers(0, 30), max_size=12))
def test_shares_never_sum_to_more_than_the_whole_and_never_change_by_what_comes_later(
    settings_of: list[int],
) -> None:
    shares = budget_shares(settings_of)
    assert len(shares) == len(settings_of)
    assert sum(shares) <= 1 + 1e-9
    for end in range(len(settings_of)):
        assert budget_shares(settings_of[:end]) == shares[:end]


def test_recipes_that_come_alone_or_together_share_the_same() -> None:
    alone = budget_shares([4, 1, 1, 1])
    assert budget_shares([4, 3])[1] == pytest.approx(sum(alone[1:]))
    assert alone[1] > 2 * alone[2] > 3 * alone[3]


def test_one_look_at_one_recipe_is_tested_at_the_whole_budget() -> None:
    level, spent, spends = spend(np.eye(1), [], [2000], budget=0.05, seed=1)
    assert level == pytest.approx(0.05, abs=0.004)
    assert spent == 0
    assert spends == pytest.approx(0.05, abs=1e-3)


def test_four_independent_recipes_and_fourteen_looks_have_the_boundary_of_the_issue() -> None:
    level, _, _ = spend(np.eye(4), [], LOOKS, budget=0.05, seed=2)
    assert -ndtri(level) == pytest.approx(2.457, abs=0.03)


@pytest.mark.parametrize("budget", [1e-2, 1e-4, 1e-6])
def test_small_budgets_are_met_as_closely_as_large_ones(budget: float) -> None:
    level = spend(np.eye(1), [], [2000], budget=budget, seed=9)[0]
    assert level == pytest.approx(budget, rel=0.1)
    looks = spend(np.eye(1), [], LOOKS, budget=budget, seed=9)[0]
    assert budget / 3 < looks < budget


def test_recipes_that_say_the_same_cost_as_much_as_one() -> None:
    same, one, apart = (
        spend(np.asarray(c), [], LOOKS, budget=0.05, seed=3)[0]
        for c in (np.ones((4, 4)), np.eye(1), np.eye(4))
    )
    assert same == pytest.approx(one, rel=0.1)
    assert apart < 0.4 * same


def test_settings_that_are_absent_cost_as_much_as_recipes_on_trial() -> None:
    ghosts = spend(np.eye(1), [], LOOKS, budget=0.05, seed=4, absent=9)[0]
    present = spend(np.eye(10), [], LOOKS, budget=0.05, seed=5)[0]
    assert ghosts == pytest.approx(present, rel=0.2)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 1000), k=st.integers(1, 5), absent=st.integers(0, 20))
def test_a_budget_that_is_spent_look_by_look_is_kept(seed: int, k: int, absent: int) -> None:
    past: list[tuple[int, float]] = []
    spent = spends = 0.0
    for look in range(4):
        level, spent, spends = spend(
            np.eye(k), past, LOOKS[look:4], budget=0.05, seed=seed, absent=absent
        )
        assert spent + spends <= 0.05 + 1e-9
        past.append((int(LOOKS[look]), level))
    assert spent + spends == pytest.approx(0.05, abs=0.003)


def test_no_more_than_the_budget_of_paths_that_nobody_has_drawn_yet_crosses() -> None:
    rng = np.random.default_rng(6)
    mixing = np.linalg.cholesky(0.5 * np.eye(6) + 0.5)
    level, _, _ = spend(mixing @ mixing.T, [], LOOKS, budget=0.05, seed=7)
    steps = np.sqrt(np.diff(LOOKS, prepend=0.0))
    shocks = rng.standard_normal((14, 20_000, 6)) @ mixing.T
    paths = np.cumsum(shocks * steps[:, None, None], axis=0) / np.sqrt(LOOKS)[:, None, None]
    crossed = (ndtr(-paths) < level).any(axis=(0, 2)).mean()
    assert crossed == pytest.approx(0.05, abs=0.006)


def test_the_correlation_of_overlapping_series_is_that_of_their_means() -> None:
    rng = np.random.default_rng(8)
    shocks = rng.standard_normal((40_000, 2)) @ np.linalg.cholesky([[1, 0.6], [0.6, 1]]).T
    sums = np.cumsum(shocks, axis=0)
    overlapping = np.column_stack([sums[20:, 0] - sums[:-20, 0], sums[10:-10, 1] - sums[:-20, 1]])
    found = long_run_correlation(np.column_stack([overlapping, np.ones(len(overlapping))]), 160)
    assert found[0, 1] == pytest.approx(0.6, abs=0.1)
    assert found[2].tolist() == [0, 0, 1]
