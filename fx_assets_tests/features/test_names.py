"""A name of a column has one formula, in every feature set and for every window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest

from fx_assets.doors import FEATURE_SETS
from fx_assets.features.base import Bars, FeatureSet, feature_set
from fx_assets.features.spans import DAY, SPANS, bars_in, present_name

WINDOW = re.compile(rf"(\w+?)_(\d+|{'|'.join(SPANS)})")
SETS = sorted(FEATURE_SETS)
PAIRS = list(combinations(SETS, 2))


def bars(n: int = 700) -> Bars:
    draws = np.random.default_rng(7)
    close = np.exp(np.cumsum(draws.normal(0.0005, 0.01, n)))
    high, low = (
        close * np.exp(draws.exponential(0.01, n)),
        close * np.exp(-draws.exponential(0.01, n)),
    )
    day = np.arange(n, dtype=np.int64)
    return Bars(
        close, day, day + 1, open=draws.uniform(low, high), high=high, low=low,
        volume=draws.exponential(1e6, n), market_cap=1e9 * close, event_time=day * 86_400_000_000,
    )  # fmt: skip


def stems(columns: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Of columns with one window: the column and its window in daily bars, by the rest of it."""
    found = ((name, WINDOW.fullmatch(name)) for name in columns)
    parts = [(name, match[1], match[2]) for name, match in found if match]
    return {
        stem: (name, int(window) if window.isdecimal() else bars_in(window, DAY))
        for name, stem, window in parts
    }


def shared(one: str, other: str) -> Iterator[tuple[str, str, FeatureSet]]:
    """Columns of two sets with the same window, and the other set with bars that make it so."""
    mine, theirs = (stems(feature_set(name).columns) for name in (one, other))
    for stem in mine.keys() & theirs.keys():
        name, window = mine[stem]
        for span in SPANS:
            made = FEATURE_SETS[other].features(SPANS[span] / window)
            if bars_in(span, SPANS[span] / window) == window:
                wide = FeatureSet(other, made)
                if f"{stem}_{span}" in wide.columns:
                    yield name, f"{stem}_{span}", wide
                    break


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_same_name_is_the_same_formula(one: str, other: str) -> None:
    known, mine, theirs = bars(), feature_set(one), feature_set(other)
    left = dict(zip(mine.columns, mine.compute(known).T, strict=True))
    right = dict(zip(theirs.columns, theirs.compute(known).T, strict=True))
    for name in left.keys() & right.keys():
        np.testing.assert_allclose(left[name], right[name], rtol=1e-9, atol=1e-12, err_msg=name)
    for name, column, wide in shared(one, other):
        values = dict(zip(wide.columns, wide.compute(bars()).T, strict=True))[column]
        np.testing.assert_allclose(left[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_names_of_columns_with_two_windows_are_of_one_set_or_of_the_same_windows(
    one: str, other: str
) -> None:
    several = re.compile(rf"(\w+?)((?:_(?:\d+|{'|'.join(SPANS)})){{2,}})")
    mine, theirs = (
        {m[1]: m[2] for m in map(several.fullmatch, feature_set(name).columns) if m}
        for name in (one, other)
    )
    for stem in mine.keys() & theirs.keys():
        assert not any(
            window.isdecimal() for window in (mine[stem] + theirs[stem]).split("_") if window
        )


def test_columns_that_bundles_of_0_1_name_are_found_under_their_present_name() -> None:
    former = ("volatility_24h", "volatility_ratio_1h_24h", "return_zscore_30d", "sma_ratio_4h")
    present = feature_set("ohlc", SPANS["1h"] / 60).columns
    for column in former:
        assert column not in present
        assert present_name(column) in present
    assert "range_position_7d" not in feature_set("price_cap_volume").columns
    assert present_name("range_position_7d") in feature_set("price_cap_volume").columns
    assert all(present_name(column) == column for column in feature_set("fx_close").columns)
