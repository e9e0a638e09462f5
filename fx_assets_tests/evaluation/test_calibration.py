"""Probabilities of a direction are shrunk to the base rate, as far as labels known ask for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fx_assets.evaluation.pooling import MIN_ROWS, shrinkage
from fx_assets.evaluation.study import Study
from fx_assets.models import candidate_code
from fx_assets.models.onnx_predict import OnnxModel
from fx_assets.specs import ForecastSpec
from fx_assets.specs.universe import UniverseSpec
from fx_assets_tests.evaluation.helpers import forecast, labelled_frame

POOL = {"family": "pool", "members": ["persistence", "logistic_regression"]}


def spec(*, calibrate: bool = True, candidates: list[Any] | None = None) -> ForecastSpec:
    tried = candidates or ["persistence", "logistic_regression"]
    made = forecast("direction", candidates=tried).model_copy(update={"calibrate": calibrate})
    return ForecastSpec.model_validate(made.model_dump())


def log_odds(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    signal=st.floats(0, 1.5),
    confidence=st.floats(0.2, 8),
    n=st.integers(MIN_ROWS, 2000),
)
def test_the_share_has_the_least_log_loss_of_all_shares_on_labels_known(
    seed: int, signal: float, confidence: float, n: int
) -> None:
    rng = np.random.default_rng(seed)
    base = np.full(n, 0.51)
    knows = signal * rng.standard_normal(n)
    came = (rng.uniform(size=n) < 1 / (1 + np.exp(-log_odds(base) - knows))).astype(float)
    away = confidence * (knows + 0.1 * rng.standard_normal(n))
    said = np.clip(1 / (1 + np.exp(-log_odds(base) - away)), 0.001, 0.999)

    def loss(share: float) -> float:
        z = log_odds(base) + share * (log_odds(said) - log_odds(base))
        return float(np.logaddexp(0, z).mean() - (came * z).mean())

    share = shrinkage(said, base, came)
    assert 0 <= share <= 1
    assert all(loss(share) <= loss(other) + 1e-9 for other in np.linspace(0, 1, 21))


def test_a_model_that_is_twice_too_sure_is_halved_and_one_that_is_right_stays() -> None:
    rng = np.random.default_rng(0)
    n, base = 40_000, np.full(40_000, 0.5)
    knows = rng.standard_normal(n)
    came = (rng.uniform(size=n) < 1 / (1 + np.exp(-knows))).astype(float)
    for confidence, share in ((2.0, 0.5), (1.0, 1.0), (0.5, 1.0), (-1.0, 0.0)):
        said = 1 / (1 + np.exp(-confidence * knows))
        assert shrinkage(said, base, came) == pytest.approx(share, abs=0.03)


@pytest.mark.slow
def test_without_skill_the_base_rate_is_said_and_before_250_labels_always() -> None:
    declared = spec()
    for signal in (0.0, 1.5):
        study = Study(declared, labelled_frame(1500, signal=signal))
        rows = study.walk_forward(declared.candidates[1]).predictions
        known = rows["target"].notna().cumsum().groupby(rows["fold"]).transform("first")
        first = rows[known < MIN_ROWS]
        assert len(first) >= MIN_ROWS
        assert np.allclose(first["prediction"], first["baseline"], atol=1e-12)
        assert (first["uncalibrated"] - first["baseline"]).abs().max() > 0.01
        raw, said = (
            float(np.square(rows[name] - rows["target"]).mean())
            for name in ("uncalibrated", "prediction")
        )
        base = float(np.square(rows["baseline"] - rows["target"]).mean())
        share = study.final(declared.candidates[1]).model.params["calibration"]
        if signal:
            assert share > 0.8
            assert said < 0.8 * base
        else:
            assert share < 0.3
            assert abs(said - base) <= 0.35 * (raw - base)


def test_shares_are_found_from_labels_that_were_known_only() -> None:
    declared, frame, cut = spec(), labelled_frame(900, signal=0.7), 600
    scrambled = frame.copy()
    late = np.arange(len(frame)) >= cut
    scrambled.loc[late, "target"] = 1 - scrambled.loc[late, "target"]
    first, second = (
        Study(declared, each).walk_forward(declared.candidates[1]).predictions
        for each in (frame, scrambled)
    )
    early = first["label_available_at"] <= frame["label_available_at"].iloc[cut - 1]
    same = first["fold"] <= first["fold"][early].max()
    assert (first["prediction"][same] == second["prediction"][same]).all()
    assert (first["prediction"][~same] != second["prediction"][~same]).any()


@pytest.mark.slow
def test_rows_of_before_calibration_are_shrunk_without_a_fit_and_the_other_way_round() -> None:
    frame, plain, declared = labelled_frame(700, signal=1.0), spec(calibrate=False), spec()
    before = Study(plain, frame).walk_forward(plain.candidates[1])
    fresh = Study(declared, frame).walk_forward(declared.candidates[1])
    later = Study(declared, frame, stored=before.new_rows).walk_forward(declared.candidates[1])
    assert (later.fits, len(later.new_rows)) == (0, len(later.predictions))
    pd.testing.assert_frame_equal(later.predictions, fresh.predictions)
    assert later.predictions["uncalibrated"].equals(before.predictions["prediction"])
    again = Study(declared, frame, stored=later.new_rows).walk_forward(declared.candidates[1])
    assert (again.fits, len(again.new_rows)) == (0, 0)
    back = Study(plain, frame, stored=later.new_rows).walk_forward(plain.candidates[1])
    assert (back.fits, len(back.new_rows)) == (0, len(back.predictions))
    pd.testing.assert_frame_equal(back.predictions, before.predictions)


@pytest.mark.parametrize("name", ["logistic_regression", "pool"])
def test_one_graph_computes_what_calibrated_candidates_and_pools_of_them_say(name: str) -> None:
    declared = spec(candidates=["persistence", "logistic_regression", POOL])
    study = Study(declared, labelled_frame(900, signal=0.5))
    (candidate,) = (c for c in declared.all_candidates if c.name == name)
    fitted, inputs = study.final(candidate), study.inputs(candidate)
    assert fitted.model.family == name
    rows = np.ascontiguousarray(inputs.matrix[study.labelled])
    said = fitted.model.predict(rows)
    graph = OnnxModel(fitted.model.to_onnx(feature_columns=study.columns))
    assert graph.predict(rows) == pytest.approx(said, abs=1e-12)
    parts = [study.final(each) for each in declared.candidates[:2]]
    if name == "pool":
        odds = [
            log_odds(each.model.predict(study.inputs(each.candidate).matrix[study.labelled]))
            for each in parts
        ]
        assert log_odds(said) == pytest.approx(np.mean(odds, axis=0), abs=1e-9)
    assert len(study.previous(candidate)) == declared.promotion.refresh_rows


def test_calibration_is_part_of_a_recipe_and_of_directions_only() -> None:
    declared, plain = spec(), spec(calibrate=False)
    candidate = declared.candidates[1]
    assert ForecastSpec.model_fields["calibrate"].default is True
    assert declared.recipe_hash(candidate) != plain.recipe_hash(candidate)
    assert candidate_code(declared, candidate) != candidate_code(plain, candidate)
    assert declared.recipe_hash(declared.baseline) == plain.recipe_hash(plain.baseline)
    own = spec(candidates=[{"family": "logistic_regression", "calibrate": False}])
    assert own.recipe_hash(own.candidates[0]) == plain.recipe_hash(candidate)
    assert spec(candidates=["base_rate"]).calibrates(own.baseline) is False
    other = forecast("volatility", candidates=["ewma"])
    assert other.model_copy(update={"calibrate": True}).recipe_hash(
        other.candidates[0]
    ) == other.recipe_hash(other.candidates[0])
    with pytest.raises(ValidationError, match="ewma is to calibrate a volatility"):
        forecast("volatility", candidates=[{"family": "ewma", "calibrate": True}])
    with pytest.raises(ValidationError, match="neither params nor tune nor calibrate"):
        spec(candidates=["persistence", "logistic_regression", {**POOL, "calibrate": True}])


def test_a_universe_calibrates_where_it_is_asked_to() -> None:
    def declared(of_all: bool | None = None, **settings: Any) -> UniverseSpec:
        target: dict[str, Any] = {
            "kind": "direction",
            "candidates": [{"family": "logistic_regression", **settings}],
        }
        target |= {} if of_all is None else {"calibrate": of_all}
        return UniverseSpec.model_validate(
            {"name": "u", "source": {"kind": "ecb"}, "targets": [target]}
        )

    made = declared()
    told = made.forecast("EURUSD", made.targets[0])
    assert not told.calibrates(told.candidates[0])
    assert not made.calibrates
    assert declared(calibrate=True).calibrates
    assert declared(of_all=True).calibrates
    assert not declared(of_all=True, calibrate=False).calibrates
