from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fx_assets.models
from fx_assets.doors import FAMILIES
from fx_assets.errors import SpecError
from fx_assets.models import base as base_module
from fx_assets.models import build_model, code_version, model_class, model_inputs
from fx_assets.specs import TargetSpec

HEAVY = (
    "sklearn", "xgboost", "lightgbm", "torch", "optuna", "arch", "statsmodels", "scipy", "skl2onnx",
    "onnx", "mlflow", "dagster",
)  # fmt: skip


def imported_after(code: str) -> set[str]:
    """Which of the heavy libraries a new process has loaded after running ``code``."""
    report = f"{code}\nimport sys\nprint(*[m for m in {(*HEAVY, 'pandas')} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_every_family_is_one_module_and_declared_once():
    shared = {"base", "onnx_export", "onnx_predict", "pool", "reads"}
    modules = {m.name for m in pkgutil.iter_modules(fx_assets.models.__path__)}
    assert {m for m in modules if not m.startswith("_")} - shared == set(FAMILIES)


def test_naming_every_family_and_its_code_loads_no_training_library():
    code = (
        "from fx_assets.models import code_version, build_model, kinds_of\n"
        "from fx_assets.specs import TargetSpec\nfrom importlib.util import find_spec\n"
        "from fx_assets.doors import FAMILIES\n"
        "for family in FAMILIES:\n"
        "    code_version(family)\n"
        "    if family != 'lstm' or find_spec('torch'):\n"
        "        [build_model(family, TargetSpec(kind=kind)) for kind in kinds_of(family)]"
    )
    assert not imported_after(code)


def test_an_unknown_family_is_refused_with_those_that_exist():
    with pytest.raises(SpecError) as caught:
        build_model("prophet", TargetSpec(kind="direction"))
    assert "prophet" in str(caught.value)
    assert all(family in caught.value.remedy for family in FAMILIES)


def test_a_family_is_refused_for_a_target_that_it_does_not_predict():
    with pytest.raises(SpecError, match="garch does not predict direction") as caught:
        build_model("garch", TargetSpec(kind="direction"))
    assert "logistic_regression" in caught.value.remedy
    assert "garch" not in caught.value.remedy


def test_the_code_version_names_one_code_and_differs_between_families():
    versions = {family: code_version(family) for family in FAMILIES}
    assert len(set(versions.values())) == len(FAMILIES)
    assert versions == {family: code_version(family) for family in FAMILIES}


def test_a_window_row_holds_the_newest_return_last_and_nan_before_the_start():
    frame = pd.DataFrame({"log_return": np.arange(30.0)})
    X = model_inputs(frame, model_class("log_har"))
    assert X.shape == (30, 500)
    assert X[29, -30:].tolist() == list(range(30))
    assert np.isnan(X[4, :495]).all()
    assert X[4, 495:].tolist() == [0, 1, 2, 3, 4]
    names = model_class("log_har").input_columns().names
    assert (names[0], names[-1]) == ("log_return_lag_499", "log_return_lag_0")


def test_a_window_matrix_of_a_million_rows_costs_no_memory():
    X = model_inputs({"log_return": np.zeros(1_000_000)}, model_class("garch"))
    assert X.shape == (1_000_000, 500)
    assert X.strides == (8, 8)


def test_a_frame_and_its_arrays_give_the_same_inputs_in_the_order_asked_for():
    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, np.nan], "other": ["x", "y"]})
    arrays = {name: frame[name].to_numpy() for name in ("a", "b")}
    for given in (frame, arrays):
        X = model_inputs(given, model_class("ridge"), ["a", "b"])
        assert np.array_equal(X, [[3.0, 1.0], [np.nan, 2.0]], equal_nan=True)


def test_a_missing_column_is_named():
    with pytest.raises(SpecError, match="sma_9"):
        model_inputs({"close": np.ones(3)}, model_class("ridge"), ["close", "sma_9"])
    with pytest.raises(SpecError, match="no feature columns"):
        model_inputs({"close": np.ones(3)}, model_class("ridge"))


def test_the_documentation_names_every_family_and_every_default():
    page = Path(__file__).parents[2].joinpath("docs", "models.md").read_text(encoding="utf-8")
    for family in FAMILIES:
        _, found, section = page.partition(f"### `{family}`")
        assert found, family
        section = section.partition("###")[0]
        for name, field in model_class(family).params_type.model_fields.items():
            assert f"`{name}: {field.default}`" in section, (family, name)


def test_the_dot_product_of_a_row_does_not_depend_on_the_other_rows():
    rng = np.random.default_rng(0)
    for width in (1, 7, 37, 500):
        X, weights = rng.standard_normal((257, width)), rng.standard_normal(width)
        together = base_module.row_dot(X, weights)
        assert together == pytest.approx(X @ weights)
        alone = [base_module.row_dot(X[i : i + 1], weights)[0] for i in range(len(X))]
        assert np.array_equal(together, alone)


def test_predicting_from_a_graph_loads_neither_pandas_nor_a_training_library(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 4)), (rng.random(300) < 0.5).astype(float)
    model = build_model("random_forest", TargetSpec(kind="direction")).fit(X, y)
    file = tmp_path / "model.onnx"
    file.write_bytes(model.to_onnx())
    code = (
        "from pathlib import Path\nfrom fx_assets.models.onnx_predict import OnnxModel\n"
        f"OnnxModel(Path({str(file)!r}).read_bytes()).predict([[0.1, 0.2, 0.3, 0.4]])"
    )
    assert not imported_after(code)
