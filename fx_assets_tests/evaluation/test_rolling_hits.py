"""The hit rate over time, with the band that so many trials leave."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from fx_assets.evaluation.rolling_hits import RollingHits, rolling_hits

WINDOW = 250


def planted(share: float, n: int = 2000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Coins, and forecasts that are on the right side of about this share of them."""
    random = np.random.default_rng(seed)
    came = random.integers(0, 2, n).astype(float)
    right = random.random(n) < share
    return came, np.where(right, 0.5 + 0.2 * (came - 0.5), 0.5 - 0.2 * (came - 0.5))


def of(came: np.ndarray, said: np.ndarray, horizon: int = 1) -> RollingHits:
    base = np.full(len(came), 0.51)
    return rolling_hits(came, said, base, "binary", horizon, window=WINDOW)


def test_each_point_is_the_share_of_its_window_with_wilsons_band() -> None:
    came, said = planted(0.55)
    found = of(came, said)
    assert found.last[-1] == len(came) - 1
    for i, last in enumerate(found.last):
        rows = slice(last - WINDOW + 1, last + 1)
        hits = int(((said > 0.5) == (came == 1))[rows].sum())
        assert found.rate[i] == pytest.approx(hits / WINDOW)
        band = proportion_confint(hits, WINDOW, method="wilson")
        assert (found.lower[i], found.upper[i]) == pytest.approx(band)
        assert found.baseline[i] == pytest.approx(came[rows].mean())


def test_the_band_of_a_coin_holds_one_half_nearly_always_and_a_planted_signal_leaves_it() -> None:
    inside = []
    for seed in range(40):
        found = of(*planted(0.5, seed=seed))
        inside += list((found.lower <= 0.5) & (found.upper >= 0.5))
    assert 0.9 < np.mean(inside) < 0.99
    assert (of(*planted(0.65)).lower > 0.5).all()


def test_overlapping_outcomes_count_for_fewer_trials() -> None:
    came, said = planted(0.55)
    one, five = of(came, said), of(came, said, horizon=5)
    assert (five.rate == one.rate).all()
    assert (five.upper - five.lower > 2 * (one.upper - one.lower)).all()


def test_rows_on_neither_side_do_not_count_and_variances_have_no_sides() -> None:
    came = np.tile([1.0, -1.0, 0.0, 2.0], 100)
    said = np.tile([1.0, 1.0, 1.0, 0.0], 100)
    found = rolling_hits(came, said, np.zeros(400), "real", 1, window=WINDOW)
    assert found.rate == pytest.approx(0.5, abs=0.01)
    assert np.isnan(found.baseline).all()
    assert len(rolling_hits(came**2, said, said, "positive", 1, window=WINDOW).last) == 0
    assert len(rolling_hits(came, 0 * said, said, "real", 1, window=WINDOW).last) == 0
    assert len(of(*planted(0.5, n=WINDOW - 1)).last) == 0
