"""What every family must do; a new family is tested because it is in FAMILIES."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.errors import NotEnoughDataError, SpecError
from fx_assets.models import model_inputs
from fx_assets.models.base import LIMITS, up_share
from fx_assets.models.onnx_predict import OnnxModel, difference, parity
from fx_assets_tests.models.cases import (
    CASES,
    FEATURE_NAMES,
    TEST,
    TRAIN,
    Case,
    exported,
    fitted,
    frame,
    hostile_rows,
)

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def assert_legal(case: Case, prediction: np.ndarray) -> None:
    lowest, highest = LIMITS[case.target.kind]
    assert np.isfinite(prediction).all()
    assert prediction.min() >= lowest
    assert prediction.max() <= highest


@every_case
def test_two_fits_with_one_seed_agree_to_the_last_bit(case: Case) -> None:
    again = case.build().fit(case.rows(TRAIN), case.targets(TRAIN))
    assert np.array_equal(again.predict(case.rows(TEST)), fitted(case).predict(case.rows(TEST)))
    assert again.to_onnx(feature_columns=case.feature_columns) == exported(case)


@every_case
def test_fits_in_a_thread_pool_agree_with_a_fit_alone(case: Case) -> None:
    def fit_and_predict(_: int) -> np.ndarray:
        model = case.build().fit(case.rows(TRAIN), case.targets(TRAIN))
        return model.predict(case.rows(TEST))

    expected = fitted(case).predict(case.rows(TEST))
    with ThreadPoolExecutor(2) as pool:
        assert all(np.array_equal(p, expected) for p in pool.map(fit_and_predict, range(3)))


@every_case
def test_a_fit_forgets_the_fit_before(case: Case) -> None:
    model = case.build().fit(case.rows(TEST), np.ones(TEST.stop - TEST.start))
    model.fit(case.rows(TRAIN), case.targets(TRAIN))
    assert np.array_equal(model.predict(case.rows(TEST)), fitted(case).predict(case.rows(TEST)))


@every_case
def test_fit_and_predict_leave_their_inputs_alone(case: Case) -> None:
    X, y = case.rows(TRAIN).copy(), case.targets(TRAIN).copy()
    X.flags.writeable = y.flags.writeable = False
    model = case.build()
    before = model.params
    assert len(model.fit(X, y).predict(X)) == len(X)
    assert model.params == before


@every_case
def test_a_row_alone_is_predicted_as_among_others(case: Case) -> None:
    X = case.rows(TEST)
    together = fitted(case).predict(X)
    served = OnnxModel(exported(case)).predict(X)
    loaded = OnnxModel(exported(case))
    for i in range(0, len(X), 199):
        assert fitted(case).predict(X[i : i + 1])[0] == together[i]
    for size in (1, 3, 7):
        parts = [loaded.predict(X[i : i + size]) for i in range(0, len(X), size)]
        assert np.array_equal(np.concatenate(parts), served)


@every_case
def test_a_prediction_does_not_depend_on_later_rows(case: Case) -> None:
    whole = frame(case.target)
    expected = fitted(case).predict(case.rows())
    for cut in (1, 23, 700, 1999):
        prefix = {name: values[:cut] for name, values in whole.items()}
        scrambled = {
            name: np.concatenate([values[:cut], np.full(len(values) - cut, 1e6)])
            for name, values in whole.items()
        }
        for other in (prefix, scrambled):
            X = model_inputs(other, case.model_class, FEATURE_NAMES)
            assert np.array_equal(fitted(case).predict(X)[:cut], expected[:cut])


@every_case
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_target_gives_a_legal_forecast(case: Case, value: float) -> None:
    target = np.full(TRAIN.stop - TRAIN.start, value)
    model = case.build().fit(case.rows(TRAIN), target)
    prediction = model.predict(case.rows(TEST))
    assert_legal(case, prediction)
    if case.reads_features:
        share = up_share(target) if case.target.kind == "direction" else value
        assert prediction == pytest.approx(np.clip(share, *LIMITS[case.target.kind]), abs=1e-9)
    content = model.to_onnx(feature_columns=case.feature_columns)
    assert parity(model, content, case.rows(TEST)) <= model.onnx_tolerance


@every_case
def test_training_rows_and_whole_columns_may_be_nan(case: Case) -> None:
    X = case.rows(TRAIN).copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    X[:, 0] = np.nan
    model = case.build().fit(X, case.targets(TRAIN))
    assert_legal(case, model.predict(case.rows(TEST)))
    content = model.to_onnx(feature_columns=case.feature_columns)
    assert parity(model, content, np.vstack([X, case.rows(TEST)])) <= model.onnx_tolerance


@every_case
@pytest.mark.parametrize("rows", [1, 2, 30])
def test_very_few_training_rows_give_a_legal_forecast(case: Case, rows: int) -> None:
    few = slice(TRAIN.start, TRAIN.start + rows)
    model = case.build().fit(case.rows(few), case.targets(few))
    assert_legal(case, model.predict(case.rows(TEST)))


@every_case
def test_broken_inputs_give_a_legal_forecast(case: Case) -> None:
    rows = hostile_rows(case.width)
    assert_legal(case, fitted(case).predict(rows))
    assert_legal(case, OnnxModel(exported(case)).predict(rows))


@every_case
def test_the_onnx_graph_computes_what_the_fitted_object_does(case: Case) -> None:
    X = case.rows(TEST)
    some_nan = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    every = np.vstack([X, some_nan, hostile_rows(case.width)])
    assert len(X) == 2000
    assert parity(fitted(case), exported(case), every) <= fitted(case).onnx_tolerance


@every_case
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(values=st.lists(st.floats(), min_size=1, max_size=12), seed=st.integers(0, 1000))
def test_any_row_is_predicted_alike_by_object_and_graph(
    case: Case, values: list[float], seed: int
) -> None:
    row = np.random.default_rng(seed).choice(values, size=(1, case.width))
    prediction = fitted(case).predict(row)
    assert_legal(case, prediction)
    found = OnnxModel(exported(case)).predict(row)
    assert difference(case.target.kind, prediction, found) <= fitted(case).onnx_tolerance


@every_case
def test_a_saved_model_predicts_the_same_when_loaded(case: Case, tmp_path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(exported(case))
    X = case.rows(TEST)
    loaded = OnnxModel(file.read_bytes())
    assert np.array_equal(loaded.predict(X), OnnxModel(exported(case)).predict(X))
    copy = pickle.loads(pickle.dumps(fitted(case)))  # noqa: S301
    assert np.array_equal(copy.predict(X), fitted(case).predict(X))


@every_case
def test_a_graph_says_what_it_is(case: Case) -> None:
    content = fitted(case).to_onnx(
        feature_columns=case.feature_columns, metadata={"recipe": "0123abcd"}
    )
    loaded = OnnxModel(content)
    assert loaded.family == loaded.metadata["family"] == case.family
    assert loaded.metadata["target"] == case.target.kind
    assert loaded.metadata["horizon"] == str(case.target.horizon)
    assert loaded.metadata["seed"] == "7"
    assert loaded.metadata["recipe"] == "0123abcd"
    assert loaded.columns == case.model_class.input_columns(FEATURE_NAMES).names
    assert loaded.width == case.width == len(loaded.columns)


@every_case
def test_an_unknown_hyper_parameter_is_refused_with_those_allowed(case: Case) -> None:
    with pytest.raises(SpecError) as caught:
        case.build(no_such_parameter=1)
    assert "no_such_parameter" in str(caught.value)
    allowed = case.model_class.params_type.model_fields
    assert all(name in caught.value.remedy for name in allowed or ["none"])


@every_case
def test_every_hyper_parameter_refuses_nonsense_and_is_documented(case: Case) -> None:
    for name, field in case.model_class.params_type.model_fields.items():
        assert field.description
        for nonsense in ("often", None, True, float("nan"), -1.0):
            with pytest.raises(SpecError, match=name):
                case.build(**{name: nonsense})


@every_case
def test_parameters_and_seed_describe_a_model_fully(case: Case) -> None:
    model = fitted(case)
    twin = case.build(seed=model.seed, **model.params).fit(case.rows(TRAIN), case.targets(TRAIN))
    assert np.array_equal(twin.predict(case.rows(TEST)), model.predict(case.rows(TEST)))


@every_case
def test_wrong_rows_are_refused_with_what_was_expected(case: Case) -> None:
    X, y = case.rows(TRAIN), case.targets(TRAIN)
    with pytest.raises(SpecError, match="not fitted"):
        case.build().predict(X)
    with pytest.raises(SpecError, match="not fitted"):
        case.build().to_onnx()
    with pytest.raises(NotEnoughDataError):
        case.build().fit(X[:0], y[:0])
    with pytest.raises(SpecError, match="targets of"):
        case.build().fit(X, y[:-1])
    with pytest.raises(SpecError, match=f"row 5 is not a {case.target.kind}"):
        case.build().fit(X, np.where(np.arange(len(y)) == 5, np.nan, y))
    with pytest.raises(SpecError, match=rf"expected \(n, {case.width}\)"):
        fitted(case).predict(np.zeros((3, case.width + 1)))


@every_case
def test_no_rows_in_are_no_predictions_out(case: Case) -> None:
    nothing = np.empty((0, case.width))
    assert fitted(case).predict(nothing).shape == (0,)
    assert OnnxModel(exported(case)).predict(nothing).shape == (0,)


@every_case
def test_importance_names_every_feature_or_is_none(case: Case) -> None:
    importance = fitted(case).feature_importance(FEATURE_NAMES)
    if case.reads_features:
        assert importance is not None
        assert tuple(importance) == FEATURE_NAMES
        planted = "volatility" if case.target.kind == "volatility" else "next_sign_hint"
        assert max(importance, key=lambda name: abs(importance[name])) == planted
    else:
        assert importance is None
