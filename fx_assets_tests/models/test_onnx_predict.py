from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from fx_assets.errors import RegistryError, SpecError
from fx_assets.models import build_model
from fx_assets.models.onnx_predict import OnnxModel, difference, parity
from fx_assets.specs import TargetSpec
from fx_assets.targets import target_definition
from fx_assets.testing.families import FEATURE_NAMES, TEST, FamilyCase, exported, fitted
from fx_assets_tests.models.cases import CASES

LOGISTIC = next(case for case in CASES if case.family == "logistic_regression")


@pytest.mark.parametrize("content", [b"", b"<html>", exported(LOGISTIC)[:-200]])
def test_bytes_that_are_no_model_are_refused(content):
    with pytest.raises(RegistryError, match="not the ONNX graph"):
        OnnxModel(content)


def test_a_foreign_graph_without_our_metadata_is_refused():
    foreign = onnx.load_from_string(exported(LOGISTIC))
    del foreign.metadata_props[:]
    with pytest.raises(RegistryError, match="columns"):
        OnnxModel(foreign.SerializeToString())


def test_rows_of_another_width_are_refused_with_the_columns_expected():
    with pytest.raises(RegistryError, match="next_sign_hint"):
        OnnxModel(exported(LOGISTIC)).predict(np.zeros((1, 3)))


def test_naming_the_wrong_number_of_columns_is_refused():
    with pytest.raises(SpecError, match="2 columns named, fitted on 6"):
        fitted(LOGISTIC).to_onnx(feature_columns=FEATURE_NAMES[:2])


def test_parity_finds_a_graph_of_another_fit():
    other = LOGISTIC.build().fit(LOGISTIC.rows(TEST)[:300], LOGISTIC.targets(TEST)[:300])
    content = other.to_onnx(feature_columns=FEATURE_NAMES)
    assert parity(fitted(LOGISTIC), content, LOGISTIC.rows(TEST)) > 0.01


def test_parity_is_relative_for_variances_and_infinite_for_nan():
    small, off = np.array([1e-6, 2e-6]), np.array([1.1e-6, 2e-6])
    assert difference(target_definition("volatility"), small, off) == pytest.approx(0.1)
    assert difference(target_definition("return"), small, off) == pytest.approx(1e-7)
    assert difference(target_definition("return"), small, np.array([np.nan, 2e-6])) == np.inf


@pytest.mark.parametrize("case", CASES, ids=str)
def test_graphs_are_valid_onnx_with_one_input_and_one_output(case: FamilyCase):
    graph = onnx.load_from_string(exported(case))
    onnx.checker.check_model(graph, full_check=True)
    (inputs,), (output,) = graph.graph.input, graph.graph.output
    assert (inputs.name, output.name) == ("inputs", "prediction")
    assert [d.dim_value for d in inputs.type.tensor_type.shape.dim] == [0, case.width]
    assert len(output.type.tensor_type.shape.dim) == 1


def test_a_graph_may_be_shared_between_threads():
    model, X = OnnxModel(exported(LOGISTIC)), LOGISTIC.rows(TEST)
    expected = model.predict(X)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(p, expected) for p in pool.map(model.predict, [X] * 40))


def test_single_precision_rows_are_accepted():
    model, X = OnnxModel(exported(LOGISTIC)), LOGISTIC.rows(TEST)
    assert model.predict(X.astype(np.float32)) == pytest.approx(model.predict(X), abs=1e-5)


def test_a_graph_of_an_export_without_names_still_predicts():
    X = np.random.default_rng(0).standard_normal((50, 3))
    model = build_model("ridge", TargetSpec(kind="return")).fit(X, X[:, 0])
    loaded = OnnxModel(model.to_onnx())
    assert loaded.columns == ()
    assert loaded.predict(X) == pytest.approx(model.predict(X))
