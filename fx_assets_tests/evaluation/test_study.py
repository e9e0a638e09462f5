from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import FxAssetsError, NotEnoughDataError
from fx_assets.evaluation.folds import folds
from fx_assets.evaluation.study import PREDICTION_COLUMNS, Backtest, Study
from fx_assets.models.base import Model, input_matrix
from fx_assets.specs import CandidateSpec, ForecastSpec
from fx_assets_tests.evaluation.helpers import forecast, labelled_frame

FRAME = labelled_frame(300, signal=0.5)
SPEC = forecast()
CANDIDATE = SPEC.candidates[0]


def run(
    frame: pd.DataFrame = FRAME,
    cached: pd.DataFrame | None = None,
    spec: ForecastSpec = SPEC,
    candidate: CandidateSpec = CANDIDATE,
    workers: int | None = None,
) -> Backtest:
    return Study(spec, frame, stored=cached, workers=workers).walk_forward(candidate)


def test_every_labelled_test_row_is_predicted_with_a_signal_found() -> None:
    result = run()
    assert tuple(result.predictions.columns) == PREDICTION_COLUMNS
    assert result.fits == len(folds(FRAME, SPEC))
    assert result.predictions["event_time"].is_monotonic_increasing
    hits = (result.predictions["prediction"] > 0.5) == (result.predictions["target"] > 0.5)
    assert hits.mean() > 0.6
    pd.testing.assert_frame_equal(result.predictions, result.new_rows)


def test_a_second_run_on_the_same_data_fits_nothing_and_returns_the_same() -> None:
    first = run()
    second = run(cached=first.new_rows)
    assert (second.fits, len(second.new_rows)) == (0, 0)
    pd.testing.assert_frame_equal(first.predictions, second.predictions)


def test_a_new_row_costs_one_fit_and_gives_what_a_full_run_gives() -> None:
    shorter = FRAME.iloc[:-1].reset_index(drop=True)
    shorter.loc[len(shorter) - 1, ["target", "label_available_at"]] = [np.nan, pd.NaT]
    first = run(shorter)
    second = run(cached=first.new_rows)
    assert (second.fits, len(second.new_rows)) == (1, 1)
    pd.testing.assert_frame_equal(second.predictions, run().predictions)


def test_changed_history_refits_the_folds_that_were_trained_on_it_and_no_other() -> None:
    first = run()
    cut = folds(FRAME, SPEC)
    changed = FRAME.copy()
    changed.loc[cut[2].test[0], "x"] += 1.0
    second = run(changed, cached=first.new_rows)
    trained_on_it = [fold.index for fold in cut if cut[2].test[0] in fold.train]
    assert set(second.new_rows["fold"]) == {2, *trained_on_it}
    assert (second.new_rows["fold"] == 2).sum() == 1
    assert 0 < len(trained_on_it) < len(cut)
    pd.testing.assert_frame_equal(second.predictions, run(changed).predictions)


def test_a_revised_label_appends_a_new_row_for_it() -> None:
    first = run()
    revised = FRAME.copy()
    row = folds(FRAME, SPEC)[-1].test[-1]
    revised.loc[row, "target"] = 1 - revised.loc[row, "target"]
    second = run(revised, cached=first.new_rows)
    assert list(second.new_rows["event_time"]) == [FRAME["event_time"].iloc[row]]


def test_another_recipe_is_never_answered_from_the_cache() -> None:
    first = run()
    other = forecast(candidates=[{"family": "logistic_regression", "params": {"C": 0.5}}])
    second = run(cached=first.new_rows, spec=other, candidate=other.candidates[0])
    assert second.fits == first.fits


def test_changed_code_is_never_answered_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    monkeypatch.setattr("fx_assets.models.code_version", lambda *_: "another version")
    assert run(cached=first.new_rows).fits == first.fits


def test_folds_fitted_in_a_thread_pool_give_what_one_thread_gives() -> None:
    candidate = CandidateSpec(
        family="random_forest", name="random_forest", params={"n_estimators": 10}
    )
    one = run(candidate=candidate, workers=1)
    four = run(candidate=candidate, workers=4)
    pd.testing.assert_frame_equal(one.predictions, four.predictions)


def test_progress_counts_the_fits() -> None:
    told: list[tuple[int, int]] = []
    study = Study(SPEC, FRAME)
    study.walk_forward(CANDIDATE, progress=lambda done, n: told.append((done, n)))
    assert told == [(i + 1, len(study.folds)) for i in range(len(study.folds))]


def test_what_candidates_share_is_found_once_and_a_walk_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = {"folds": 0, "input_matrix": 0}

    def counted(module: str, name: str, made: Any) -> None:
        def count(*given: Any, **named: Any) -> Any:
            counts[name] += 1
            return made(*given, **named)

        monkeypatch.setattr(f"{module}.{name}", count)

    counted("fx_assets.evaluation.study_frame", "folds", folds)
    counted("fx_assets.models.reads", "input_matrix", input_matrix)
    spec = forecast(candidates=["logistic_regression", "xgboost"])
    study = Study(spec, FRAME)
    for candidate in spec.candidates:
        first = study.walk_forward(candidate)
        assert study.walk_forward(candidate) is first
        study.previous(candidate)
        study.final(candidate)
    assert counts == {"folds": 1, "input_matrix": 1}


def test_the_baseline_candidate_predicts_the_baseline() -> None:
    result = run(candidate=SPEC.baseline)
    np.testing.assert_allclose(
        result.predictions["prediction"], result.predictions["baseline"], rtol=1e-12
    )


def test_a_prediction_that_is_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "predict", lambda self, X: np.full(len(X), np.nan))
    with pytest.raises(FxAssetsError, match="predicted nan"):
        run()


def test_the_fit_before_predicts_rows_that_neither_fit_has_seen() -> None:
    older = Study(forecast(promotion={"refresh_rows": 50}), FRAME).previous(CANDIDATE)
    assert len(older) == 50
    newer = run().predictions.tail(50).reset_index(drop=True)
    assert list(older["event_time"]) == list(newer["event_time"])
    assert (older["prediction"] != newer["prediction"]).all()
    np.testing.assert_allclose(older["prediction"], newer["prediction"], atol=0.2)


def test_the_final_fit_uses_every_labelled_row_and_says_so() -> None:
    fitted = Study(SPEC, FRAME).final(CANDIDATE)
    labelled = FRAME.dropna()
    assert fitted.n_rows == len(labelled)
    assert fitted.trained_through == labelled["event_time"].max()
    assert fitted.label_end == labelled["label_available_at"].max()
    assert Study(SPEC, FRAME).final(CANDIDATE).train_row_hash == fitted.train_row_hash
    revised = FRAME.copy()
    revised.loc[100, "x"] += 1e-12
    assert Study(SPEC, revised).final(CANDIDATE).train_row_hash != fitted.train_row_hash


def test_the_final_fit_of_a_rolling_window_uses_the_window() -> None:
    spec = forecast(walk_forward={"scheme": "rolling", "window": 80})
    assert Study(spec, FRAME).final(CANDIDATE).n_rows == 80


def test_a_final_fit_on_too_few_rows_is_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="min_train = 60"):
        Study(SPEC, labelled_frame(40)).final(CANDIDATE)
