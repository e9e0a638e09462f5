"""The worlds that other tests rely on are as stated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fx_assets.testing.worlds import (
    TARGET,
    ecb_bars,
    garch_world,
    planted_direction,
    planted_edge,
    random_walk,
)


def returns(bars: pd.DataFrame) -> np.ndarray:
    return np.diff(np.log(bars["close"].to_numpy()))


def correlation(x: np.ndarray) -> float:
    return float(np.corrcoef(x[1:], x[:-1])[0, 1])


def test_a_cross_is_the_ratio_of_two_fixings_of_the_same_day() -> None:
    cross = ecb_bars("GBP", "USD", first="2016-06-24", last="2016-06-24")
    dollar, pound = (ecb_bars("EUR", c, "2016-06-24", "2016-06-24") for c in ("USD", "GBP"))
    assert cross["close"][0] == dollar["close"][0] / pound["close"][0]


def test_every_world_has_one_bar_on_each_target_day_with_the_publication_of_its_time() -> None:
    for bars in (random_walk(3500, 1), ecb_bars()):
        days = list(TARGET.day_index(pd.DatetimeIndex(bars["event_time"])).date)
        assert days == TARGET.open_days(days[0], days[-1])
        delay = (bars["available_at"] - bars["event_time"]).dt.total_seconds() / 60
        assert set(delay) == {15.0, 105.0}


@pytest.mark.slow
def test_the_planted_signal_has_the_stated_edge_and_stops() -> None:
    x = returns(planted_direction(40_000, 5, 0.2, stops_at=30_000, start="1900-01-01"))
    hits = (x[1:29_999] > 0) == (x[:29_998] > 0)
    assert hits.mean() == pytest.approx(planted_edge(0.2).accuracy, abs=3 * 0.5 / 30_000**0.5)
    assert abs(correlation(x[30_000:])) < 0.03
    assert x.std() == pytest.approx(0.006, rel=0.02)


@pytest.mark.slow
def test_garch_persists_in_variance_only() -> None:
    x = returns(garch_world(7000, 1))
    assert correlation(x**2) > 0.1
    assert abs(correlation(np.sign(x))) < 0.04
    assert abs(correlation(returns(random_walk(7000, 1)) ** 2)) < 0.04
