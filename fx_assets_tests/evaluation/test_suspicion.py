"""Results that are too good are held back, explained, and let pass by a person's word alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from fx_assets.evaluation.decision import Decision, ledger_table, read_ledger
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.plausible import excesses, plausible_limits
from fx_assets.evaluation.suspicion import Acknowledgement
from fx_assets.specs.suspicion import SuspicionRule
from fx_assets_tests.evaluation.helpers import forecast
from fx_assets_tests.evaluation.test_promotion import BASELINE, World

SPEC = forecast(candidates=["logistic_regression", "random_forest", "xgboost"])
TOO_GOOD = {"logistic_regression": "skilled", "xgboost": "noise"}
HOURLY: dict[str, Any] = {"frequency": "1h"}


def decisions(
    world: World, ledger: list[Decision], streams: dict[str, str], n: int, **arguments: Any
) -> list[Decision]:
    return world.decide(ledger, streams, n, spec=arguments.pop("spec", SPEC), **arguments)


def word(decision: Decision, candidate: str = "logistic_regression") -> Acknowledgement:
    """What a person says the day after."""
    found = next(s for s in decision.suspicions if s.candidate == candidate)
    return Acknowledgement(
        forecast=decision.forecast,
        candidate=candidate,
        recipe=found.recipe,
        judged=found.judged,
        excess=found.excess,
        reason="the exchange's own trades say the same",
        by="ada",
        acknowledged_at=decision.decided_at + timedelta(hours=1),
        sequence=decision.sequence,
    )


def test_a_result_beyond_what_is_plausible_is_held_and_says_with_which_figures() -> None:
    _, look = decisions(World(), [], TOO_GOOD, 2500)
    assert (look.verdict, look.champion, look.looked) == ("keep", BASELINE, True)
    assert "too good: look for a leak" in look.sentence
    assert "accuracy 0.5" in look.sentence
    assert [s.candidate for s in look.suspicions] == ["logistic_regression"]
    assert not look.skill_demonstrated
    assert read_ledger(ledger_table([look])) == [look]
    assert look.thresholds.plausible == {"accuracy": 0.53, "roc_auc": 0.53, "skill": 0.005}


def test_plausible_skill_is_promoted_without_a_word() -> None:
    world = World(n=8000, edge=0.018, seed=2)
    _, look = decisions(world, [], {"logistic_regression": "skilled"}, 8000)
    assert (look.verdict, look.champion) == ("replace", "logistic_regression")
    assert look.suspicions == ()
    assert look.caveat == ""


def test_another_candidate_is_not_promoted_on_data_that_are_suspected() -> None:
    world = World(n=6000, edge=0.06)
    world.says["lesser"] = 0.5 + 0.2 * (world.says["skilled"] - 0.5)
    spec = SPEC.model_copy(update={"suspicion": SuspicionRule(accuracy=1, roc_auc=1, skill=0.0075)})
    streams = {"xgboost": "skilled", "logistic_regression": "lesser"}
    _, look = decisions(world, [], streams, 6000, spec=spec)
    assert look.verdict == "keep"
    assert [s.candidate for s in look.suspicions] == ["xgboost"]
    weak = look.statistics_of("logistic_regression")
    assert weak is not None
    assert weak.objections == weak.excess == ()


def test_an_acknowledged_result_is_promoted_at_the_next_decision_and_says_by_whom_and_why() -> None:
    world = World()
    ledger = decisions(world, [], TOO_GOOD, 2500)
    said = word(ledger[-1])
    without = decisions(world, ledger, TOO_GOOD, 2505)
    assert [d.verdict for d in without] == ["refresh"]
    (found,) = decisions(world, ledger, TOO_GOOD, 2505, acknowledgements=[said])
    assert (found.verdict, found.champion) == ("replace", "logistic_regression")
    assert found.acknowledgement == said
    assert "acknowledged by ada" in found.sentence
    assert "the exchange's own trades say the same" in found.sentence
    assert found.trials == ledger[-1].trials
    assert found.skill_demonstrated
    assert "the exchange's own trades say the same" in found.caveat


def test_what_is_acknowledged_goes_on_through_refreshes() -> None:
    world = World()
    ledger = decisions(world, [], TOO_GOOD, 2500)
    said = [word(ledger[-1])]
    ledger += decisions(world, ledger, TOO_GOOD, 2505, acknowledgements=said)
    before = world.says["skilled"] + 1e-4
    again = decisions(world, ledger, TOO_GOOD, 2510, previous=before, acknowledgements=said)
    assert [(d.verdict, d.champion) for d in again] == [("refresh", "logistic_regression")]
    assert again[0].acknowledgement == said[0]
    lost = decisions(world, ledger, TOO_GOOD, 2510, previous=before)
    assert [(d.verdict, d.champion) for d in lost] == [("keep", "logistic_regression")]
    assert "too good" in lost[0].sentence
    assert "look for a leak" in lost[0].caveat


@pytest.mark.parametrize("change", ["recipe", "bar", "inputs", "series", "other candidate"])
def test_a_word_covers_no_other_recipe_and_no_other_data(change: str) -> None:
    world = World()
    world.rows["row_key"] = [f"{k:06d}" for k in range(len(world.rows))]
    ledger = decisions(world, [], TOO_GOOD, 2500, series="EURUSD|a")
    said, series = word(ledger[-1]), "EURUSD|a"
    streams = dict(TOO_GOOD)
    if change == "recipe":
        said = said.model_copy(update={"recipe": "another"})
    elif change == "bar":
        world.rows.loc[100, "target"] = 1 - world.rows.loc[100, "target"]
    elif change == "inputs":
        world.rows.loc[100, "row_key"] = "revised"
    elif change == "series":
        series = "GBPUSD|a"
    else:
        streams = {"random_forest": "skilled", "xgboost": "noise"}
    found = decisions(world, ledger, streams, 2520, series=series, acknowledgements=[said])[-1]
    assert (found.verdict, found.champion) == ("keep", BASELINE)
    assert found.looked
    assert "too good" in found.sentence


def test_a_held_look_that_a_demotion_follows_is_not_taken_up_again() -> None:
    world = World()
    ledger = decisions(world, [], TOO_GOOD, 2500)
    said = word(ledger[-1])
    fall = ledger[-1].model_copy(
        update={
            "verdict": "demote",
            "starts_cool_down": True,
            "looked": False,
            "sequence": 2,
            "suspicions": (),
            "data_as_of": world.as_of(2501),
            "label_end": world.as_of(2501),
        }
    )
    found = decisions(world, [*ledger, fall], TOO_GOOD, 2505, acknowledgements=[said])[-1]
    assert not found.looked
    assert found.champion == BASELINE


@pytest.mark.slow
def test_hourly_reversal_as_bitcoins_is_held_and_can_be_acknowledged() -> None:
    world = World(n=20_000, edge=0.045, seed=5)
    streams = {"logistic_regression": "skilled"}
    spec = forecast(candidates=["logistic_regression"])
    ledger = decisions(world, [], streams, 19_000, spec=spec, **HOURLY)
    assert ledger[-1].verdict == "keep"
    figures = {found.measure: found.value for found in ledger[-1].suspicions[0].excess}
    assert 0.54 < figures["accuracy"] < 0.55
    said = [word(ledger[-1])]
    found = decisions(world, ledger, streams, 19_024, spec=spec, acknowledgements=said, **HOURLY)
    assert found[-1].champion == "logistic_regression"


def rate(kind: Any, *, edge: float, n: int = 2000, worlds: int = 150) -> float:
    """The share of worlds whose best forecast is suspected; ``edge`` is in standard deviations."""
    limits = plausible_limits(SuspicionRule(), kind, 1, "1d")
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(worlds):
        sign = rng.choice([-1.0, 1.0], n)
        moves = edge * sign + rng.standard_normal(n)
        if kind == "direction":
            said = 0.5 + 0.02 * sign + 0.01 * rng.standard_normal(n)
            target, baseline = (moves > 0).astype(float), np.full(n, 0.5)
        else:
            said, target, baseline = 0.03 * sign, moves, np.zeros(n)
        found += bool(excesses(limits, 1, target, baseline, said))
    return found / worlds


@pytest.mark.parametrize("kind", ["direction", "return"])
def test_without_skill_hardly_anything_is_suspected_and_a_leak_nearly_always_is(kind: str) -> None:
    assert rate(kind, edge=0.0) <= 0.03
    assert rate(kind, edge=0.25) > 0.95


def variances(seed: int, n: int = 3000, horizon: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """What the true variance says, and what came of it, with normal returns."""
    rng = np.random.default_rng(seed)
    level = np.zeros(n)
    for i in range(1, n):
        level[i] = 0.98 * level[i - 1] + 0.1 * rng.standard_normal()
    said = horizon * 4e-5 * np.exp(level)
    return said, said * rng.chisquare(horizon, n) / horizon


@pytest.mark.parametrize("horizon", [1, 20])
def test_even_the_true_variance_is_seldom_suspected_and_half_of_the_outcome_is(
    horizon: int,
) -> None:
    limits = plausible_limits(SuspicionRule(), "volatility", horizon, "1d")
    suspected, leaks = 0, 0
    for seed in range(40):
        said, came = variances(seed, horizon=horizon)
        usual = np.full(len(came), came.mean())
        # Its correlation is that of a perfect forecast: only the error of the level is judged here.
        free = limits.model_copy(update={"shown": limits.shown | {"log_correlation": 1.0}})
        suspected += bool(excesses(free, horizon, came, usual, said))
        leaks += bool(excesses(limits, horizon, came, usual, np.sqrt(said * came)))
    assert suspected <= 4
    assert leaks == 40


def test_a_drift_that_favours_one_side_is_not_taken_for_skill() -> None:
    rng = np.random.default_rng(0)
    up = (rng.uniform(size=5000) < 0.6).astype(float)
    limits = plausible_limits(SuspicionRule(), "direction", 1, "1d")
    assert excesses(limits, 1, up, np.full(5000, 0.59), np.full(5000, 0.6)) == ()


def test_limits_grow_with_the_horizon_and_settings_replace_them() -> None:
    day, week = (plausible_limits(SuspicionRule(), "return", h, "1d").shown for h in (1, 5))
    assert day == {"accuracy": 0.53, "skill": 0.005}
    assert week["accuracy"] > day["accuracy"]
    assert week["skill"] > day["skill"]
    hour = plausible_limits(SuspicionRule(), "direction", 1, "1h").shown
    assert day["accuracy"] < hour["accuracy"] < 0.54
    own = plausible_limits(SuspicionRule(accuracy=0.56), "direction", 5, "1d").shown
    assert own["accuracy"] == 0.56
    variance = plausible_limits(SuspicionRule(), "volatility", 1, "1d").shown
    assert variance["qlike"] == pytest.approx(1.27, abs=0.001)


def test_a_champion_that_is_no_model_is_never_suspected() -> None:
    world = World()
    (_, look) = decisions(world, [], {"logistic_regression": "noise"}, 2500)
    assert look.suspicions == ()
    assert all(not row.excess for row in look.statistics)


def test_the_rows_of_a_word_are_the_candidates_own() -> None:
    world = World()
    _, look = decisions(world, [], TOO_GOOD, 2500)
    rows = world.evidence(TOO_GOOD, 2500)[1]
    assert isinstance(rows, Evidence)
    judged = look.suspicions[0].judged
    assert judged.rows == 2500
    assert judged.last_row == world.rows["event_time"].iloc[2499]
