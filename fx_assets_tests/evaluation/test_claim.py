"""What may be said of skill: against the baseline, and against what costs no work."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fx_assets.evaluation.claim import Claim
from fx_assets.evaluation.compare import claim_of
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.metrics import measure
from fx_assets.specs import TargetSpec

Floats = NDArray[np.float64]
VARIANCE = TargetSpec(kind="volatility", horizon=1)
RETURN = TargetSpec(kind="return", horizon=1)
DIRECTION = TargetSpec(kind="direction", horizon=1)


def evidence(name: str, said: Floats, came: Floats, baseline: Floats) -> Evidence:
    times = pd.date_range("2000-01-01", periods=len(came), freq="D", tz="UTC", unit="us")
    rows = {"event_time": times, "label_available_at": times + pd.Timedelta(days=1)}
    return Evidence(
        name, name, pd.DataFrame({**rows, "target": came, "prediction": said, "baseline": baseline})
    )


class World:
    """Variances that move slowly, and forecasters who know more or less of them."""

    def __init__(self, seed: int, n: int = 3000) -> None:
        random = np.random.default_rng(seed)
        state = np.zeros(n)
        for i in range(1, n):
            state[i] = 0.97 * state[i - 1] + 0.2 * random.normal()
        self.truth = 1e-4 * np.exp(state)
        self.came = self.truth * random.chisquare(1, n)
        self.mean = np.full(n, self.truth.mean())
        self.smooth = np.empty(n)
        level = self.truth.mean()
        for i in range(n):
            self.smooth[i] = level
            level = 0.94 * level + 0.06 * self.came[i]

    def claim(self, said: Floats, *, tried: int = 1) -> Claim:
        sides = {"mean": self.mean, "smoothing": self.smooth, "mine": said}
        rows = {name: evidence(name, of, self.came, self.mean) for name, of in sides.items()}
        return claim_of(
            rows["mine"],
            rows["mean"],
            rows["smoothing"],
            VARIANCE,
            significance=0.05,
            tried=tried,
        )


def test_who_beats_the_average_alone_has_demonstrated_nothing() -> None:
    world = World(1)
    claim = world.claim(world.smooth * np.exp(np.random.default_rng(2).normal(0, 0.05, 3000)))
    assert claim.baseline.skill is not None
    assert claim.baseline.skill > 0.05
    assert claim.baseline.beats(claim.needed_p)
    assert claim.word != "demonstrated"
    assert "not shown to be better than smoothing" in claim.sentence


def test_who_beats_both_has_demonstrated_skill() -> None:
    world = World(3)
    claim = world.claim(world.truth)
    assert claim.word == "demonstrated"
    for found in (claim.baseline, claim.reference):
        assert found.skill is not None
        assert found.lower is not None
        assert found.lower > 0
    assert claim.sentence.startswith("Better than mean and than smoothing: skill +")


def test_knowledge_that_its_own_noise_eats_up_is_called_knowledge() -> None:
    world, random = World(4), np.random.default_rng(5)
    claim = world.claim(world.truth * np.exp(random.normal(0, 0.75, 3000)))
    assert claim.word == "knows something"
    assert claim.reference.clark_west_p is not None
    assert claim.reference.clark_west_p < 0.05
    assert claim.reference.skill is not None
    assert claim.reference.skill < 0.02
    assert claim.sentence.startswith("Its forecasts are not shown to be better than")


@pytest.mark.parametrize("seed", range(6))
def test_demonstrated_is_never_said_beside_an_interval_with_zero(seed: int) -> None:
    world = World(seed)
    for share in (0.0, 0.1, 0.3, 0.6, 1.0):
        claim = world.claim(world.smooth ** (1 - share) * world.truth**share)
        if claim.word == "demonstrated":
            for found in claim.benchmarks:
                assert found.lower is not None
                assert found.lower > 0


def test_all_that_was_tried_makes_a_claim_dearer() -> None:
    world = World(3)
    said = world.smooth**0.93 * world.truth**0.07
    once = world.claim(said)
    needed = max(once.reference.diebold_mariano_p or 1.0, once.reference.clark_west_p or 1.0)
    tried = int(0.05 / needed) + 1
    assert once.word == "demonstrated"
    assert world.claim(said, tried=tried).word != "demonstrated"


def test_the_baseline_claims_nothing_and_is_compared_with_the_reference() -> None:
    world = World(6)
    rows = {
        name: evidence(name, said, world.came, world.mean)
        for name, said in (("mean", world.mean), ("smoothing", world.smooth))
    }
    claim = claim_of(
        rows["mean"], rows["mean"], rows["smoothing"], VARIANCE, significance=0.05, tried=3
    )
    assert claim.word == "not demonstrated"
    assert claim.baseline.skill is None
    assert claim.reference.skill is not None
    assert claim.reference.skill < 0
    assert claim.sentence.startswith("It is the baseline, which claims no skill, and is not shown")


@pytest.mark.parametrize("target", [RETURN, DIRECTION])
def test_without_another_reference_the_baseline_is_the_benchmark(target: TargetSpec) -> None:
    random = np.random.default_rng(8)
    came = random.normal(0, 1, 1000)
    if target is DIRECTION:
        came = (came > 0).astype(float)
    base = np.full(1000, came.mean() if target is DIRECTION else 0.0)
    rows = evidence("base", base, came, base)
    mine = evidence("mine", base + 0.001 * random.normal(0, 1, 1000), came, base)
    claim = claim_of(mine, rows, rows, target, significance=0.05, tried=1)
    assert claim.baseline == claim.reference
    assert claim.benchmarks == (claim.baseline,)
    assert claim.word == "not demonstrated"


def test_the_interval_is_the_one_that_scores_show() -> None:
    world = World(9)
    said = world.smooth**0.5 * world.truth**0.5
    found = measure(world.came, said, world.mean, kind="volatility", horizon=1)
    at = found.names.index("skill")
    claim = world.claim(said)
    assert [claim.baseline.skill, claim.baseline.lower, claim.baseline.upper] == pytest.approx(
        [found.columns[name][at] for name in ("value", "lower", "upper")]
    )


def test_a_claim_survives_being_stored() -> None:
    world = World(10)
    claim = world.claim(world.truth)
    assert Claim.model_validate_json(claim.model_dump_json()) == claim


def test_the_reference_itself_is_called_so() -> None:
    world = World(11)
    claim = world.claim(world.smooth)
    assert claim.word == "not demonstrated"
    assert claim.reference.skill is None
    assert claim.sentence.startswith("It is smoothing itself: skill +")
