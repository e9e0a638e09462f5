"""Evidence of live rows holds its level however often one looks, and finds what is planted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.evaluation.live_evidence import e_process, scale_of, weigh
from fx_assets.targets import target_definition

ROWS, WORLDS, LEVEL = 600, 400, 0.05
Differences = Callable[[np.random.Generator, int], np.ndarray]


def brier(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Two forecasters who know nothing, each with a noise of its own."""
    came = (rng.random(rows) < 0.5).astype(float)
    one, other = np.clip(0.5 + rng.normal(0, 0.05, (2, rows)), 0.01, 0.99)
    loss = target_definition("direction").loss
    return loss(came, one) - loss(came, other)


def squared(rng: np.random.Generator, rows: int) -> np.ndarray:
    came = 0.006 * rng.standard_t(4, rows)
    one, other = rng.normal(0, 0.001, (2, rows))
    loss = target_definition("return").loss
    return loss(came, one) - loss(came, other)


def qlike(rng: np.random.Generator, rows: int, horizon: int = 1) -> np.ndarray:
    """Two forecasters of a variance whose errors have one law, of overlapping targets."""
    squares = rng.standard_normal(rows + horizon) ** 2
    came = np.convolve(squares, np.ones(horizon), "valid")[:rows]
    one, other = horizon * np.exp(rng.normal(0, 0.2, (2, rows)))
    loss = target_definition("volatility").loss
    return loss(came, one) - loss(came, other)


WORLDS_OF: dict[str, tuple[Differences, int]] = {
    "a daily direction": (brier, 1),
    "a daily return": (squared, 1),
    "an hourly variance": (qlike, 1),
    "the variance of five days": (lambda rng, rows: qlike(rng, rows, 5), 5),
    "the variance of 20 days": (lambda rng, rows: qlike(rng, rows, 20), 20),
}


@pytest.mark.parametrize("world", WORLDS_OF)
def test_without_a_difference_the_level_is_held_at_all_times_together(world: str) -> None:
    made, horizon = WORLDS_OF[world]
    rng, found = np.random.default_rng(11), 0
    for _ in range(WORLDS):
        past, live = np.split(made(rng, 3 * ROWS), [2 * ROWS])
        x = np.clip(live / scale_of(past), -1, 1)
        found += e_process(x, horizon).max() >= 1 / LEVEL
    error = math.sqrt(LEVEL * (1 - LEVEL) / WORLDS)
    assert found / WORLDS <= LEVEL + 2 * error


def surprising(rng: np.random.Generator, rows: int) -> np.ndarray:
    """An hourly variance that the candidate knows, but for one hour in 50, which ruins it."""
    known = np.exp(rng.normal(0, 0.5, rows)) * rng.chisquare(3, rows) / 3
    came = np.where(rng.random(rows) < 0.02, 1e-4, known)
    loss = target_definition("volatility").loss
    return loss(came, np.ones(rows)) - loss(came, known)


def lucky(rng: np.random.Generator, rows: int) -> np.ndarray:
    """A daily direction of small differences, and some of half a loss."""
    sure = np.where(rng.random(rows) < 0.01, 0.5, 0.01)
    return sure * rng.choice([-1, 1], rows)


HEAVY: dict[str, tuple[Differences, int]] = {
    **WORLDS_OF,
    "an hourly variance with surprises": (surprising, 1),
    "a daily direction with gambles": (lucky, 1),
    "squared errors without a fourth moment": (lambda rng, rows: rng.standard_t(2, rows) ** 3, 1),
    "such of five hours": (
        lambda rng, rows: np.convolve(rng.standard_t(2, rows + 4), np.ones(5), "valid"), 5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("world", HEAVY)
def test_the_point_lies_within_bounds_that_hold_the_mean_at_all_times(world: str) -> None:
    made, horizon = HEAVY[world]
    rng, missed, worlds = np.random.default_rng(14), 0, 120
    past, all_rows = np.split(made(rng, 202 * ROWS), [2 * ROWS])
    scale = scale_of(past)
    truth = np.clip(all_rows / scale, -1, 1).mean()
    for world_number in range(worlds):
        live = made(rng, ROWS)
        x = np.clip(live / scale, -1, 1)
        below, above = (
            e_process((side * x - side * truth) / (1 + side * truth), horizon).max()
            for side in (1, -1)
        )
        missed += max(below, above) >= 2 / LEVEL
        for rows in (1, 3, 12, 60) if world_number < 30 else ():
            said = weigh(live[:rows], scale, horizon, 1 - LEVEL)
            assert said.lower <= said.mean <= said.upper
            assert said.mean == pytest.approx(scale * x[:rows].mean())
    assert missed / worlds <= LEVEL + 2 * math.sqrt(LEVEL * (1 - LEVEL) / worlds)


def test_bounds_of_streams_that_contradict_each_other_hold_the_mean() -> None:
    x = np.tile([0.8, 0.0, -0.8, 0.0], 300)
    said = weigh(x, 1.0, 4, 0.95)
    assert said.lower < -0.5 < said.mean < 0.5 < said.upper


@pytest.mark.parametrize("world", ["a daily direction", "a daily return", "an hourly variance"])
def test_one_who_has_become_worse_is_found(world: str) -> None:
    made, _ = WORLDS_OF[world]
    rng, found = np.random.default_rng(12), 0
    for _ in range(40):
        past, live = np.split(made(rng, 3 * ROWS), [2 * ROWS])
        hurt = live - 0.3 * live.std()
        found += weigh(hurt, scale_of(past), 1, 0.95).worse >= 1 / LEVEL
    assert found >= 30


def test_a_difference_that_changes_from_row_to_row_and_is_none_on_the_whole_is_no_evidence() -> (
    None
):
    rng, found = np.random.default_rng(13), 0
    for _ in range(WORLDS):
        mean = np.repeat([-0.2, 0.2] * 3, ROWS // 6)
        found += e_process(np.clip(mean + rng.uniform(-0.7, 0.7, ROWS), -1, 1)).max() >= 1 / LEVEL
    assert found / WORLDS <= LEVEL


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 5]), st.floats(-0.5, 0.5))
def test_bounds_hold_the_mean_and_agree_with_the_evidence(
    seed: int, horizon: int, mean: float
) -> None:
    rng = np.random.default_rng(seed)
    x = np.clip(mean + rng.normal(0, 0.3, 200), -1, 1)
    said = weigh(3 * x, 3.0, horizon, 0.999)
    assert said.lower <= x.mean() * 3 <= said.upper
    assert (said.lower > 0) == (said.better >= 2000)
    assert (said.upper < 0) == (said.worse >= 2000)


def test_without_rows_nothing_is_said() -> None:
    said = weigh([], 1.0, 1, 0.95)
    assert (said.better, said.worse) == (1.0, 1.0)
    assert said.lower == pytest.approx(-1)
    assert said.upper == pytest.approx(1)
