"""Alarms come as often as promised where nothing is wrong, and soon where something is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from fx_assets.monitoring.calibration import Calibration, cached_calibration, calibrate
from fx_assets.monitoring.relation import Relation, cusum, cusum_limit, label_relation
from fx_assets.testing import worlds
from fx_assets.testing.drift_worlds import (
    RULE,
    YEAR,
    Plant,
    Watched,
    doubled_volatility,
    garch_returns,
    level_shift,
    shuffled_ecb_returns,
)

HISTORY = 5000
LIVE = 2 * YEAR
WORLDS = 12
RETURNS = [pytest.param(garch_returns, marks=pytest.mark.slow), shuffled_ecb_returns]


def interval(trials: int, probability: float) -> tuple[int, int]:
    """Where a binomial count lies with 99 %."""
    low, high = binom.ppf([0.005, 0.995], trials, probability)
    return int(low), int(high)


@pytest.mark.slow
@pytest.mark.parametrize("returns", RETURNS)
def test_false_alarms_come_at_the_stated_rate_where_nothing_changes(
    returns: Callable[[int, int], np.ndarray],
) -> None:
    watched = [Watched(returns(HISTORY + LIVE, seed), LIVE) for seed in range(WORLDS)]
    found = sum(world.false_alarms for world in watched)
    months = WORLDS * LIVE // RULE.window
    rate = RULE.column_alarms_a_year * RULE.window / YEAR
    low, high = interval(months, rate)
    assert low <= found <= high, (found, months, rate)


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "within"), [(level_shift, 40), (doubled_volatility, 126)])
@pytest.mark.parametrize("returns", RETURNS)
def test_a_planted_change_of_the_market_is_found(
    returns: Callable[[int, int], np.ndarray], plant: Plant, within: int
) -> None:
    delays = [Watched(returns(HISTORY + YEAR, seed), YEAR, plant).delay for seed in range(100, 104)]
    found = sorted(delay if delay is not None else 999 for delay in delays)
    assert found[len(found) * 2 // 3] <= within, found


def test_the_relation_alarm_comes_at_the_stated_rate_and_finds_a_changed_relation() -> None:
    rate, years = 0.25, 2
    alarms = 0
    for seed in range(150):
        z = np.random.default_rng(seed).standard_t(5, 3000 + years * YEAR) * 0.08 - 0.006
        past, now = z[:3000], z[3000:]
        mean, std = past.mean(), past.std()
        alarms += bool(
            (
                cusum((now - mean) / std) > cusum_limit((past - mean) / std, 1, rate, seed, YEAR)
            ).any()
        )
    low, high = interval(150, 1 - np.exp(-rate * years))
    assert low <= alarms <= high, alarms


def test_a_relation_that_turns_round_is_found_within_half_a_year() -> None:
    """Returns that followed each other begin to alternate; the model goes on as before."""
    strength, found = 0.3, 0
    for seed in range(10):
        noise = np.random.default_rng(seed)
        past = _excess_losses(noise, strength, strength, 3000)
        assert not label_relation(past, past[-100:], 1, 0.25, YEAR).alarm
        changed = label_relation(
            past, _excess_losses(noise, strength, -strength, 126), 1, 0.25, YEAR
        )
        assert changed.tested
        assert "changed" in changed.sentence or not changed.alarm
        found += changed.alarm
    assert found >= 8


def _excess_losses(noise: np.random.Generator, said: float, true: float, n: int) -> np.ndarray:
    """Brier minus the coin's, of a model that says 1/2 +- ``said``/2."""
    sign = noise.choice([-1.0, 1.0], n)
    up = noise.random(n) < 0.5 + sign * true / 2
    return (up - 0.5 - sign * said / 2) ** 2 - 0.25


def test_overlapping_targets_raise_the_limit_of_the_relation_test() -> None:
    steps = np.random.default_rng(1).standard_normal(5019)
    overlapping = np.convolve(steps, np.ones(20), "valid") / np.sqrt(20)
    assert cusum_limit(overlapping, 20, 0.25, 0, YEAR) > 3 * cusum_limit(steps, 1, 0.25, 0, YEAR)


def test_a_champion_that_is_the_baseline_claims_no_relation() -> None:
    found = label_relation(np.zeros(1000), [], 1, 0.25, YEAR)
    assert Relation.model_validate_json(found.model_dump_json()) == found
    assert not found.tested
    assert not found.alarm
    assert "baseline" in found.sentence


def test_a_calibration_is_kept_until_the_reference_changes() -> None:
    class Folder(dict[str, bytes]):
        writes = 0

        def write_blob(self, path: str, data: bytes) -> str:
            self.writes += 1
            self[path] = data
            return path

        def read_blob(self, path: str) -> bytes:
            from fx_assets.errors import LakeError

            if path not in self:
                raise LakeError("none")
            return self[path]

        def blob_exists(self, path: str) -> bool:
            return path in self

        def list_blobs(self, prefix: str) -> list[str]:
            return sorted(self)

    folder = Folder()
    reference = Watched(garch_returns(2000, 1), 252).monitored
    first = cached_calibration(folder, "f", reference, 30, 1.0, YEAR)
    again = cached_calibration(folder, "f", reference, 30, 1.0, YEAR)
    assert first == again == Calibration.model_validate_json(first.model_dump_json())
    assert folder.writes == 1
    cached_calibration(folder, "f", reference.iloc[:-1], 30, 1.0, YEAR)
    cached_calibration(folder, "f", reference.iloc[:-1], 30, 2.0, YEAR)
    assert folder.writes == 3
    assert calibrate(reference, 30, 12.0, YEAR).limit < first.limit


def test_the_real_history_raises_no_more_alarms_than_promised() -> None:
    returns = np.diff(np.log(worlds.ecb_bars()["close"].to_numpy()))
    reference = Watched(returns, 1).monitored
    found = calibrate(reference, RULE.window, 1.0, worlds.TARGET.bars_a_year)
    assert 0.8 * found.years <= found.alarms <= found.years
