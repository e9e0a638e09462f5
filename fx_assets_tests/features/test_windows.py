"""Moving windows equal their definitions, and a row is the same however many follow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from fx_assets.features.windows import (
    PIECE,
    rolling_extreme,
    rolling_mean,
    rolling_moments,
    whole,
)
from fx_assets_tests.examples import examples


def mean(x: np.ndarray, window: int, first: int = 0) -> np.ndarray:
    return whole(rolling_mean(x.__getitem__, len(x), window, first), len(x))


def moments(x: np.ndarray, window: int, first: int = 0) -> np.ndarray:
    pieces = rolling_moments(x.__getitem__, len(x), window, first)
    return np.hstack(list(pieces))


def extreme(x: np.ndarray, window: int, ufunc: np.ufunc) -> np.ndarray:
    return whole(rolling_extreme(x.__getitem__, len(x), window, ufunc), len(x))


@settings(max_examples=examples(40), deadline=None)
@given(
    n=st.integers(0, 300),
    window=st.integers(2, 90),
    first=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
    level=st.sampled_from([0.0, 5.0, -1e3]),
)
def test_windows_equal_their_definitions(
    n: int, window: int, first: int, seed: int, level: float
) -> None:
    x = level + np.cumsum(0.01 * np.random.default_rng(seed).standard_normal(n))
    warm_up = min(n, first + window - 1)
    distance, std = moments(x, window, first)
    averages = mean(x * x, window, first)
    for column in (distance, std, averages):
        assert len(column) == n
        assert np.isnan(column[:warm_up]).all()
    if n == warm_up:
        return
    windows = sliding_window_view(x[first:], window)
    np.testing.assert_allclose(
        distance[warm_up:], windows[:, -1] - windows.mean(axis=1), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(std[warm_up:], windows.std(axis=1), rtol=1e-8)
    np.testing.assert_allclose(averages[warm_up:], (windows**2).mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("window", [2, 7, 64, 500])
def test_extremes_are_exact(window: int) -> None:
    x = np.random.default_rng(1).standard_normal(PIECE + 700)
    for ufunc in (np.maximum, np.minimum):
        expected = ufunc.reduce(sliding_window_view(x, window), axis=1)
        np.testing.assert_array_equal(extreme(x, window, ufunc)[window - 1 :], expected)


@settings(max_examples=examples(40), deadline=None)
@given(
    window=st.integers(2, 400),
    cut=st.integers(1, PIECE + 900),
    near=st.sampled_from([0, 1, 2]),
    seed=st.integers(0, 100),
)
def test_a_row_has_the_same_bits_however_many_follow(
    window: int, cut: int, near: int, seed: int
) -> None:
    x = np.random.default_rng(seed).standard_normal(PIECE + 1000)
    borders = [cut, cut // window * window, PIECE // window * window]
    cut = min(max(borders[near] + seed % 3 - 1, 1), len(x))
    for columns in (
        lambda v: moments(v, window),
        lambda v: moments(v, window, first=1),
        lambda v: mean(v * v, window)[None],
        lambda v: extreme(v, window, np.maximum)[None],
    ):
        full, part = columns(x)[:, :cut], columns(x[:cut])
        known = ~np.isnan(full)
        assert (known == ~np.isnan(part)).all()
        assert (full[known].view(np.uint64) == part[known].view(np.uint64)).all()


def test_a_constant_window_has_no_dispersion_wherever_it_lies() -> None:
    x = np.log(np.concatenate([np.full(50, 100.0), np.full(60, 1.95583)]))
    distance, std = moments(x, 20)
    constant = np.r_[19:50, 69:110]
    assert (std[constant] == 0).all()
    assert (distance[constant] == 0).all()
    assert (std[50:69] > 0).all()


def test_a_small_dispersion_on_a_high_level_keeps_its_digits() -> None:
    x = 1e6 + 1e-3 * np.random.default_rng(2).standard_normal(5000)
    centred = x - 1e6
    expected = sliding_window_view(centred, 1000).std(axis=1)
    np.testing.assert_allclose(moments(x, 1000)[1][999:], expected, rtol=1e-9)


def test_a_nan_is_missed_only_by_the_windows_that_hold_it() -> None:
    x = np.random.default_rng(3).standard_normal(200)
    for hole in (0, 40, 59, 60):
        spoilt = x.copy()
        spoilt[hole] = np.nan
        std = moments(spoilt, 20)[1]
        touched = np.arange(max(hole, 19), hole + 20)
        assert np.isnan(std[touched]).all()
        others = np.setdiff1d(np.arange(19, 200), touched)
        np.testing.assert_allclose(std[others], moments(x, 20)[1][others], rtol=1e-9)
