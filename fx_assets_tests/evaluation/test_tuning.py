"""Tuning sees its training window only, keeps its budgets, and repeats itself from a seed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from fx_assets.doors import FAMILIES
from fx_assets.errors import FxAssetsError, NotEnoughDataError, SpecError
from fx_assets.evaluation import tuning
from fx_assets.evaluation.folds import folds
from fx_assets.evaluation.study import Backtest, Study
from fx_assets.evaluation.tuning import (
    TRIAL_COLUMNS,
    Params,
    inner_split,
    search,
    search_space,
    tuning_of,
)
from fx_assets.models import kinds_of, model_class
from fx_assets.specs import CandidateSpec, ForecastSpec, TargetSpec
from fx_assets.specs.tuning import Range, TuningSpec
from fx_assets_tests.evaluation.helpers import forecast, labelled_frame

FRAME = labelled_frame(400, signal=0.5)
DIRECTION = TargetSpec(kind="direction")
RULE = {"trials": 4, "retune_every": 3, "space": {"C": {"low": 1e-4, "high": 10.0, "log": True}}}


def tuned(**rule: Any) -> ForecastSpec:
    """A forecast with one tuned candidate."""
    candidate = {"family": "logistic_regression", "name": "tuned", "tune": {**RULE, **rule}}
    return forecast(candidates=[candidate])


SPEC = tuned()


def run(
    frame: pd.DataFrame = FRAME,
    spec: ForecastSpec = SPEC,
    cached: pd.DataFrame | None = None,
    trials: pd.DataFrame | None = None,
    workers: int | None = None,
) -> Backtest:
    study = Study(spec, frame, stored=cached, trials=trials, workers=workers)
    return study.walk_forward(spec.candidates[0])


@pytest.fixture(scope="module")
def first() -> Backtest:
    return run()


def quadratic(drawn: Params) -> float:
    return (np.log10(float(drawn["C"])) + 2) ** 2


SPACE = {"C": Range(low=1e-4, high=10.0, log=True)}


def test_the_search_finds_the_best_setting_and_says_which_it_was() -> None:
    table = search(SPACE, TuningSpec(trials=40), {"C": 1.0}, quadratic, seed=1)
    assert len(table) == 40
    assert table["score"].min() < 0.01
    assert table.loc[table["chosen"], "score"].tolist() == [table["score"].min()]
    assert set(table["stopped_by"]) == {"trials"}


def test_the_first_trial_is_the_candidate_without_tuning() -> None:
    table = search(SPACE, TuningSpec(trials=2), {"C": 0.25, "max_iter": 7}, quadratic, seed=1)
    assert json.loads(table["params"][0]) == {"C": 0.25}
    outside = search(SPACE, TuningSpec(trials=1), {"C": 99.0}, quadratic, seed=1)
    assert json.loads(outside["params"][0])["C"] <= 10


def test_a_seed_fixes_the_search_and_another_draws_otherwise() -> None:
    one, same, other = (
        search(SPACE, TuningSpec(trials=15), {}, quadratic, seed) for seed in (1, 1, 2)
    )
    assert one["params"].tolist() == same["params"].tolist()
    assert one["params"].tolist() != other["params"].tolist()


def test_the_time_budget_ends_the_search_and_is_named() -> None:
    def slow(drawn: Params) -> float:
        import time

        time.sleep(0.05)
        return quadratic(drawn)

    table = search(SPACE, TuningSpec(trials=500, seconds=0.2), {}, slow, seed=1)
    assert 1 <= len(table) < 10
    assert set(table["stopped_by"]) == {"seconds"}


def test_settings_that_cannot_be_fitted_are_failed_trials_and_are_not_chosen() -> None:
    def picky(drawn: Params) -> float:
        if float(drawn["C"]) > 0.01:
            raise FxAssetsError("too large")
        return quadratic(drawn)

    table = search(SPACE, TuningSpec(trials=20), {"C": 1.0}, picky, seed=1)
    assert table["state"][0] == "failed"
    assert set(table["state"]) == {"failed", "complete"}
    best = json.loads(table.loc[table["chosen"], "params"].iloc[0])
    assert best["C"] <= 0.01

    def hopeless(drawn: Params) -> float:
        raise FxAssetsError("never")

    none = search(SPACE, TuningSpec(trials=3), {}, hopeless, seed=1)
    candidate = CandidateSpec(family="logistic_regression", name="x", params={"C": 0.5})
    assert tuning_of(candidate, none).params == {"C": 0.5}
    assert tuning_of(candidate, none).completed == 0


def test_every_kind_of_dimension_is_drawn_as_declared() -> None:
    rule = TuningSpec.model_validate(
        {
            "trials": 40,
            "space": {
                "depth": {"low": 2, "high": 8, "step": 3},
                "rate": {"low": 0.5, "high": 2},
                "name": ["c", "n"],
                "count": [50, 400],
            },
        }
    )
    table = search(rule.space, rule, {}, lambda drawn: float(drawn["rate"]), seed=3)
    drawn = pd.DataFrame([json.loads(text) for text in table["params"]])
    assert set(drawn["depth"]) == {2, 5, 8}
    assert drawn["rate"].between(0.5, 2).all()
    assert drawn["rate"].nunique() > 20
    assert set(drawn["name"]) == {"c", "n"}
    assert set(drawn["count"]) == {50, 400}


def test_the_inner_split_is_ordered_purged_and_knew_its_labels() -> None:
    for horizon in (1, 5):
        spec = forecast(horizon=horizon, walk_forward={"min_train": 100, "embargo": 2})
        frame = labelled_frame(400, horizon=horizon)
        for fold in folds(frame, spec):
            older, newer = inner_split(frame, fold.train, spec, 0.25)
            assert len(newer) == round(0.25 * len(fold.train))
            assert newer[-1] == fold.train[-1]
            assert newer[0] - older[-1] > horizon + 2
            known = frame["label_available_at"].iloc[older].max()
            assert known <= frame["available_at"].iloc[newer].min()
    with pytest.raises(NotEnoughDataError, match="too short for tuning"):
        inner_split(frame, fold.train[:5], spec, 0.5)


def test_each_tuning_is_shared_by_its_folds_and_its_trials_are_recorded(first: Backtest) -> None:
    cut = folds(FRAME, SPEC)
    assert tuple(first.new_trials.columns) == TRIAL_COLUMNS
    assert first.new_trials.groupby("fold").size().to_dict() == dict.fromkeys(
        range(0, len(cut), 3), 4
    )
    assert first.trials == 4
    assert (first.new_trials.groupby("fold")["chosen"].sum() == 1).all()
    through = first.new_trials.groupby("fold")["trained_through"].first()
    assert all(through[fold.index] == fold.train_end for fold in cut if fold.index in through)


def test_rows_after_the_window_that_is_tuned_on_change_no_trial(first: Backtest) -> None:
    cut = folds(FRAME, SPEC)
    scrambled = FRAME.copy()
    later = cut[3].test[0] - 1
    scrambled.loc[later:, ["x", "z"]] = 77.0
    scrambled.loc[later:, "target"] = 1 - scrambled.loc[later:, "target"]
    found = run(scrambled).new_trials
    for fold in (0, 3):
        before, after = (
            t.loc[t["fold"] == fold, ["number", "score", "params", "chosen"]].reset_index(drop=True)
            for t in (first.new_trials, found)
        )
        pd.testing.assert_frame_equal(before, after)
    assert not found["score"].equals(first.new_trials["score"])


def test_a_second_run_tunes_nothing_and_returns_the_same(first: Backtest) -> None:
    again = run(cached=first.new_rows, trials=first.new_trials)
    assert (again.fits, len(again.new_rows), len(again.new_trials)) == (0, 0, 0)
    assert again.trials == 4
    pd.testing.assert_frame_equal(again.predictions, first.predictions)
    without_rows = run(trials=first.new_trials)
    assert len(without_rows.new_trials) == 0
    pd.testing.assert_frame_equal(without_rows.predictions, first.predictions)


def test_a_tuning_is_looked_up_and_not_repeated(
    first: Backtest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> pd.DataFrame:
        raise AssertionError("searched again")

    monkeypatch.setattr(tuning, "search", refuse)
    candidate = SPEC.candidates[0]
    study = Study(SPEC, FRAME, trials=first.new_trials)
    assert len(study.previous(candidate)) == SPEC.promotion.refresh_rows
    assert study.final(candidate).tuning is not None


def test_threads_do_not_change_what_is_found(first: Backtest) -> None:
    alone = run(workers=1)
    columns = [name for name in TRIAL_COLUMNS if name != "seconds"]
    pd.testing.assert_frame_equal(alone.new_trials[columns], first.new_trials[columns])
    pd.testing.assert_frame_equal(alone.predictions, first.predictions)


def test_a_new_row_repeats_no_tuning(first: Backtest) -> None:
    longer = labelled_frame(401, signal=0.5)
    found = run(longer, cached=first.new_rows, trials=first.new_trials)
    assert (found.fits, len(found.new_trials)) == (1, 0)


def test_changed_history_is_tuned_on_again(first: Backtest) -> None:
    changed = FRAME.copy()
    changed.loc[10, "x"] += 1.0
    found = run(changed, cached=first.new_rows, trials=first.new_trials)
    assert len(found.new_trials) == len(first.new_trials)


def test_tuned_folds_are_fitted_with_what_was_chosen(first: Backtest) -> None:
    chosen = first.new_trials[first.new_trials["chosen"]].set_index("fold")["params"]
    fold = folds(FRAME, SPEC)[4]
    params = json.loads(chosen[3])
    plain = forecast(candidates=[{"family": "logistic_regression", "params": params}])
    walked = Study(plain, FRAME).walk_forward(plain.candidates[0]).predictions
    expected = walked[walked["fold"] == fold.index]["prediction"]
    rows = first.predictions[first.predictions["fold"] == 4]["prediction"]
    np.testing.assert_array_equal(rows.to_numpy(), expected.to_numpy())


def test_the_final_fit_takes_the_newest_tuning(first: Backtest) -> None:
    fitted = Study(SPEC, FRAME).final(SPEC.candidates[0])
    newest = first.new_trials[first.new_trials["fold"] == first.new_trials["fold"].max()]
    assert fitted.tuning is not None
    assert fitted.tuning.trials["params"].tolist() == newest["params"].tolist()
    best = json.loads(newest.loc[newest["chosen"], "params"].iloc[0])
    assert fitted.model.params["C"] == best["C"]


def test_tuning_helps_where_the_default_is_wrong() -> None:
    wrong = {"params": {"max_iter": 1000}, "tune": {**RULE, "space": {"C": [1e-6, 1.0]}}}
    spec = forecast(candidates=[{"family": "logistic_regression", **wrong}])
    chosen = run(spec=spec).new_trials.query("chosen")["params"]
    assert set(chosen) == {'{"C": 1.0}'}


def test_the_recipe_names_the_tuning() -> None:
    recipes = {
        spec.recipe_hash(spec.candidates[0])
        for spec in (tuned(), tuned(trials=5), tuned(seconds=9), tuned(retune_every=2), forecast())
    }
    assert len(recipes) == 5


@pytest.mark.parametrize(("family", "kind"), [(f, k) for f in FAMILIES for k in kinds_of(f)])
def test_every_family_has_a_space_that_it_accepts_or_nothing_to_tune(
    family: str, kind: Any
) -> None:
    candidate = CandidateSpec.model_validate({"family": family, "tune": {}})
    target = TargetSpec(kind=kind)
    if not model_class(family).params_type.model_fields:
        with pytest.raises(SpecError, match=f"nothing to tune in {family}"):
            search_space(candidate, target)
    elif family != "lstm" or find_spec("torch"):
        assert search_space(candidate, target) == model_class(family).search_space


def test_fixed_hyper_parameters_are_not_searched() -> None:
    fixed = {"family": "xgboost", "params": {"max_depth": 3}, "tune": {}}
    space = search_space(CandidateSpec.model_validate(fixed), DIRECTION)
    assert "max_depth" not in space
    assert "learning_rate" in space
    with pytest.raises(ValidationError, match="both in params and in tune"):
        CandidateSpec.model_validate({**fixed, "tune": {"space": {"max_depth": [2, 3]}}})


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"depth": [1, 2]}, "names 'depth'"),
        ({"max_depth": [1, 99]}, "has 99"),
        ({"max_depth": {"low": 0, "high": 3}}, "has 0"),
        ({"max_depth": {"low": 1.5, "high": 3.5}}, r"has 1\.5"),
        ({"learning_rate": ["fast"]}, "has 'fast'"),
    ],
)
def test_a_space_outside_the_family_is_refused(space: dict[str, Any], said: str) -> None:
    spec = CandidateSpec.model_validate({"family": "xgboost", "tune": {"space": space}})
    with pytest.raises(SpecError, match=said):
        search_space(spec, DIRECTION)


@pytest.mark.parametrize(
    "rule",
    [
        {"trials": 0},
        {"seconds": 0},
        {"validation": 0.9},
        {"retune_every": 0},
        {"space": {"C": {"low": 2, "high": 1}}},
        {"space": {"C": {"low": 0, "high": 1, "log": True}}},
        {"space": {"C": {"low": 1, "high": 9, "log": True, "step": 2}}},
        {"space": {"C": []}},
        {"space": {"C": {"from": 1, "to": 2}}},
        {"trails": 3},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TuningSpec.model_validate(rule)
