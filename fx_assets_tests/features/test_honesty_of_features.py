"""No feature set looks ahead, and a set that does is caught."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.features import Bars, Feature, FeatureSet, build_features
from fx_assets.features.frame import feature_frame
from fx_assets.specs.forecast import FEATURE_SETS
from fx_assets_tests.honesty import (
    PRICES,
    assert_future_scramble_invariant,
    assert_prefix_invariant,
)
from fx_assets_tests.worlds import TARGET, ecb_bars, garch_world, random_walk

every_set = pytest.mark.parametrize("name", FEATURE_SETS)


def builder(name: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda bars: build_features(bars, name, TARGET)


@every_set
@pytest.mark.parametrize("quote", ["USD", "JPY", "DKK", "BGN"])
def test_features_of_real_fixings_do_not_change_when_later_bars_arrive(
    name: str, quote: str
) -> None:
    bars = ecb_bars("EUR", quote)
    assert_prefix_invariant(builder(name), bars, [1, 252, 253, 254, 1777, len(bars) - 1])


@every_set
def test_features_of_real_fixings_ignore_what_comes_later(name: str) -> None:
    for cut in (300, 2501, 7000):
        assert_future_scramble_invariant(builder(name), ecb_bars(), cut, seed=cut)


@every_set
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(1, 599),
    vol=st.sampled_from([1e-7, 1e-4, 0.006, 0.2]),
    world=st.sampled_from([random_walk, garch_world]),
)
def test_features_of_random_worlds_do_not_look_ahead(
    name: str, seed: int, cut: int, vol: float, world: Callable[..., pd.DataFrame]
) -> None:
    bars = world(600, seed, vol=vol)
    assert_prefix_invariant(builder(name), bars, [cut])
    assert_future_scramble_invariant(builder(name), bars, cut, seed)


@every_set
def test_every_prefix_length_around_a_block_border_gives_the_same_bits(name: str) -> None:
    bars = random_walk(420, seed=3)
    assert_prefix_invariant(builder(name), bars, range(250, 420, 3))


def _centred_average(bars: Bars) -> np.ndarray:
    return np.convolve(bars.log_close, np.ones(5) / 5, mode="same")


def _full_sample_zscore(bars: Bars) -> np.ndarray:
    return (bars.log_close - bars.log_close.mean()) / bars.log_close.std()


def _tomorrow(bars: Bars) -> np.ndarray:
    return np.append(bars.log_return[1:], np.nan)


@pytest.mark.parametrize("leak", [_centred_average, _full_sample_zscore, _tomorrow])
@pytest.mark.parametrize(
    "check",
    [
        partial(assert_prefix_invariant, cuts=[200, 299]),
        partial(assert_future_scramble_invariant, cut=200, seed=1),
    ],
)
def test_a_leaky_feature_set_is_caught(
    leak: Callable[[Bars], np.ndarray], check: Callable[..., None]
) -> None:
    leaky = FeatureSet("leaky", (Feature("leak", "looks ahead", "1", 0, leak),))
    with pytest.raises(AssertionError, match="leak of row"):
        check(lambda bars: feature_frame(bars, leaky, TARGET), random_walk(300, seed=1))


def test_scrambling_changes_the_future_it_claims_to_change() -> None:
    bars = random_walk(300, seed=1)
    seen: list[pd.DataFrame] = []

    def record(frame: pd.DataFrame) -> pd.DataFrame:
        seen.append(frame)
        return frame

    assert_future_scramble_invariant(record, bars, 200, seed=1)
    original, scrambled = seen
    assert (scrambled["close"][200:] != original["close"][200:]).all()
    assert (scrambled["close"][:200] == original["close"][:200]).all()
    assert set(PRICES) <= set(bars.columns)
