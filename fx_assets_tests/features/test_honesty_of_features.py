"""No feature set looks ahead, and a set that does is caught."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.calendars import Calendar
from fx_assets.doors import FEATURE_SETS
from fx_assets.features import Bars, Feature, FeatureSet, build_features, feature_set
from fx_assets.features.frame import feature_frame
from fx_assets.features.windows import PIECE
from fx_assets.testing.features import CHECKS, FeatureCase, cases_of
from fx_assets.testing.honesty import (
    PRICES,
    assert_future_scramble_invariant,
    assert_prefix_invariant,
)
from fx_assets.testing.markets import bars_of_market, market
from fx_assets.testing.worlds import TARGET, ecb_bars, garch_world, random_walk
from fx_assets_tests.examples import examples

HOURLY, MINUTES, DAYS = market("1h"), market("1min"), market("1d", "24x5")
every_set = pytest.mark.parametrize("name", FEATURE_SETS)
timed_set = pytest.mark.parametrize("name", ["ohlcv", "price_cap_volume"])
frequencies = pytest.mark.parametrize("calendar", [HOURLY, DAYS], ids=["1h", "1d"])


def builder(name: str, calendar: Calendar = TARGET) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def build(bars: pd.DataFrame) -> pd.DataFrame:
        if "market_cap" in bars:  # moves with what is scrambled
            bars = bars.assign(market_cap=bars["market_cap"] * bars["low"])
        return build_features(bars, name, calendar)

    return build


@pytest.mark.parametrize("quote", ["USD", "JPY", "DKK", "BGN"])
def test_features_of_real_fixings_do_not_change_when_later_bars_arrive(quote: str) -> None:
    bars = ecb_bars("EUR", quote)
    assert_prefix_invariant(builder("fx_close"), bars, [1, 252, 253, 254, 1777, len(bars) - 1])


def test_features_of_real_fixings_ignore_what_comes_later() -> None:
    for cut in (300, 2501, 7000):
        assert_future_scramble_invariant(builder("fx_close"), ecb_bars(), cut, seed=cut)


@timed_set
def test_features_of_hours_do_not_change_at_the_borders_of_blocks_and_pieces(name: str) -> None:
    bars = bars_of_market(HOURLY, PIECE + 300, seed=1)
    build = builder(name, HOURLY)
    borders = (168, 720, 1440, PIECE // 720 * 720, PIECE)
    assert_prefix_invariant(build, bars, [1, *(b + k for b in borders for k in (0, 1))])
    assert_future_scramble_invariant(build, bars, 8000, seed=1)


@timed_set
def test_features_of_minutes_do_not_change_when_later_bars_arrive(name: str) -> None:
    bars = bars_of_market(MINUTES, 45_000, seed=2)
    assert_prefix_invariant(builder(name, MINUTES), bars, [43_201, 44_641])


@timed_set
@frequencies
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(1, 999),
    vol=st.sampled_from([1e-9, 1e-4, 0.05]),
    holes=st.floats(0, 0.2),
)
def test_features_of_random_markets_with_holes_do_not_look_ahead(
    name: str, calendar: Calendar, seed: int, cut: int, vol: float, holes: float
) -> None:
    bars = bars_of_market(calendar, 1000, seed, vol)
    rng = np.random.default_rng(seed)
    for column in ("open", "high", "low", "volume", "market_cap"):
        unknown = rng.random(len(bars)) < holes
        unknown[0] = False
        bars[column] = bars[column].where(~unknown)
    bars = bars[rng.random(len(bars)) >= holes / 2].reset_index(drop=True)
    build = builder(name, calendar)
    assert_prefix_invariant(build, bars, [cut])
    assert_future_scramble_invariant(build, bars, min(cut, len(bars)), seed)


@settings(max_examples=examples(25), deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(1, 599),
    vol=st.sampled_from([1e-7, 1e-4, 0.006, 0.2]),
    world=st.sampled_from([random_walk, garch_world]),
)
def test_features_of_random_worlds_do_not_look_ahead(
    seed: int, cut: int, vol: float, world: Callable[..., pd.DataFrame]
) -> None:
    bars = world(600, seed, vol=vol)
    assert_prefix_invariant(builder("fx_close"), bars, [cut])
    assert_future_scramble_invariant(builder("fx_close"), bars, cut, seed)


@pytest.mark.parametrize("case", [c for n in FEATURE_SETS for c in cases_of(n)], ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_feature_set_keeps_the_contract(
    case: FeatureCase, check: Callable[[FeatureCase], None]
) -> None:
    check(case)


@every_set
def test_every_prefix_length_around_a_block_border_gives_the_same_bits(name: str) -> None:
    world, calendar, every = random_walk(420, seed=3), TARGET, 3
    if name != "fx_close":
        world, calendar, every = bars_of_market(DAYS, 420, seed=3), DAYS, 13
    assert_prefix_invariant(builder(name, calendar), world, range(250, 420, every))


def test_the_columns_of_ohlc_are_all_in_ohlcv() -> None:
    for calendar in (MINUTES, HOURLY, DAYS):
        few, many = (feature_set(name, calendar.bar).columns for name in ("ohlc", "ohlcv"))
        assert many[: len(few)] == few


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
