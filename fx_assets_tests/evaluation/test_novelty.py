from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.evaluation.novelty import Novelty, learn


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.sampled_from([0.001, 0.01]))
def test_at_most_the_stated_share_of_training_rows_is_out_of_range(
    seed: int, width: int, rate: float
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_t(3, (2000, width)) * rng.uniform(0.001, 1000, width)
    X[rng.random(X.shape) < 0.01] = np.nan
    novelty = learn(X, rate)
    assert novelty is not None
    assert (novelty.distances(X) > 1).any(axis=1).mean() <= rate


def test_the_share_is_held_on_rows_that_were_not_seen() -> None:
    rng, found, rows = np.random.default_rng(4), 0, 0
    for _ in range(200):
        novelty = learn(rng.lognormal(size=(1000, 3)), 0.01)
        assert novelty is not None
        found += int((novelty.distances(rng.lognormal(size=(500, 3))) > 1).any(axis=1).sum())
        rows += 500
    assert found / rows == pytest.approx(0.01, abs=0.002)


def test_what_is_far_out_on_either_side_is_named() -> None:
    rng = np.random.default_rng(5)
    novelty = learn(np.column_stack([rng.normal(size=3000), rng.exponential(size=3000)]), 0.001)
    assert novelty is not None
    far = novelty.distances([[0.0, 1.0], [9.0, 1.0], [0.0, -5.0], [np.nan, 1.0], [0.0, np.inf]])
    assert (far > 1).tolist() == [
        [False, False], [True, False], [False, True], [False, False], [False, True],
    ]  # fmt: skip


def test_a_constant_input_that_moves_is_out_of_range() -> None:
    X = np.column_stack([np.ones(2000), np.random.default_rng(1).normal(size=2000)])
    novelty = learn(X, 0.001)
    assert novelty is not None
    assert (novelty.distances([[1.0, 0.0], [1.1, 0.0]]) > 1).any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize(("rows", "rate"), [(900, 0.001), (5000, 0.0), (0, 0.001)])
def test_too_few_rows_for_the_rate_say_nothing(rows: int, rate: float) -> None:
    assert learn(np.random.default_rng(1).normal(size=(rows, 2)), rate) is None


def test_of_a_window_the_newest_bar_is_judged() -> None:
    novelty = learn(np.random.default_rng(1).normal(size=(3000, 20)), 0.001, newest=1)
    assert novelty is not None
    old, new = np.zeros((1, 20)), np.zeros((1, 20))
    old[0, 3], new[0, -1] = 50, 50
    assert (novelty.distances(old) <= 1).all()
    assert (novelty.distances(new) > 1).any()
    assert Novelty.model_validate_json(novelty.model_dump_json()) == novelty
