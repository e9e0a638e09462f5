"""The LSTM: its ONNX graph against PyTorch, its early stopping, and life without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from fx_assets import models
from fx_assets.errors import SpecError
from fx_assets.models import Model, build_model, code_version, model_class, model_inputs
from fx_assets.specs import TargetSpec

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")

NAMES = ("a", "b", "c")
RNG = np.random.default_rng(6)
FRAME = dict(zip(NAMES, RNG.standard_normal((3, 2000)), strict=True))
MEMORY = FRAME["a"] + np.roll(FRAME["a"], 1) + np.roll(FRAME["a"], 2)
TARGETS: dict[Any, np.ndarray] = {
    "direction": (MEMORY + RNG.standard_normal(2000) > 0).astype(float),
    "return": 0.002 * MEMORY + 0.006 * RNG.standard_normal(2000),
}
X = model_inputs(FRAME, model_class("lstm"), NAMES)


def fit(kind: Any, y: np.ndarray | None = None, **params: Any) -> Model:
    quick = {"lookback": 6, "hidden": 8, "max_epochs": 12, "learning_rate": 0.02}
    model = build_model("lstm", TargetSpec(kind=kind), {**quick, **params}, seed=3)
    return model.fit(X[:1500], (TARGETS[kind] if y is None else y)[:1500])


def test_a_row_holds_the_features_of_the_last_bars_the_newest_last() -> None:
    assert X.shape == (2000, 24 * 3)
    assert X[50, -3:].tolist() == [FRAME[name][50] for name in NAMES]
    assert X[50, :3].tolist() == [FRAME[name][50 - 23] for name in NAMES]
    assert np.isnan(X[0, :-3]).all()
    names = model_class("lstm").input_columns(NAMES).names
    assert (names[0], names[1], names[-1]) == ("a_lag_23", "b_lag_23", "c_lag_0")


def test_the_rows_of_a_long_history_cost_no_memory() -> None:
    long = {name: np.zeros(100_000) for name in NAMES}
    rows = model_inputs(long, model_class("lstm"), NAMES)
    assert rows.shape == (100_000, 72)
    assert rows.strides == (24, 8)


@needs_torch
@pytest.mark.parametrize("kind", ["direction", "return"])
@pytest.mark.parametrize("lookback", [1, 6, 24])
def test_the_graph_computes_what_pytorch_does(kind: Any, lookback: int) -> None:
    import torch
    from torch import nn

    model = fit(kind, lookback=lookback, max_epochs=2)
    network = nn.ModuleDict({"lstm": nn.LSTM(3, 8, batch_first=True), "head": nn.Linear(8, 1)})
    network.load_state_dict({k: torch.from_numpy(v) for k, v in model.weights_.items()})
    cube = X[1500:].reshape(500, 24, 3)[:, -lookback:]
    Z = ((cube - model.mean_) / model.scale_).astype(np.float32)
    with torch.no_grad():
        states, _ = network["lstm"](torch.from_numpy(Z))
        score = network["head"](states[:, -1])[:, 0].numpy().astype(np.float64)
    expected = (
        1 / (1 + np.exp(-score)) if kind == "direction" else model.offset_ + model.spread_ * score
    )
    assert model.predict(X[1500:]) == pytest.approx(expected, abs=model.onnx_tolerance)


@needs_torch
@pytest.mark.parametrize("kind", ["direction", "return"])
def test_it_finds_what_only_a_memory_of_several_bars_can(kind: Any) -> None:
    y, said = TARGETS[kind][1500:], fit(kind, max_epochs=30).predict(X[1500:])
    newest = TARGETS[kind][:1500]
    slope, constant = np.polyfit(FRAME["a"][:1500], newest, 1)
    one_bar = constant + slope * FRAME["a"][1500:]
    assert np.mean((said - y) ** 2) < 0.9 * np.mean((one_bar - y) ** 2)


@needs_torch
def test_training_stops_where_the_newest_rows_stop_gaining() -> None:
    noise = np.random.default_rng(1).standard_normal(2000) * 0.006
    model = fit("return", noise, max_epochs=30, patience=3, learning_rate=0.05)
    assert model.epochs_ < 10
    assert model.predict(X[1500:]).std() < 0.002


@needs_torch
def test_the_kept_weights_are_chosen_by_the_newest_rows_alone() -> None:
    flipped = TARGETS["return"].copy()
    flipped[1270:1500] *= -1
    assert fit("return").epochs_ > 0
    assert fit("return", flipped).epochs_ == 0


@needs_torch
def test_another_seed_gives_another_network_and_leaves_torch_alone() -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    one = fit("return", max_epochs=2)
    two = build_model("lstm", one.target, one.params, seed=4).fit(
        X[:1500], TARGETS["return"][:1500]
    )
    assert not np.array_equal(one.predict(X), two.predict(X))
    torch.manual_seed(6)
    assert np.array_equal(one.predict(X), fit("return", max_epochs=2).predict(X))
    torch.manual_seed(5)
    assert torch.rand(1) == expected


def test_without_pytorch_the_family_is_refused_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = models.installed_version
    monkeypatch.setattr(
        models, "installed_version", lambda library: "" if library == "torch" else real(library)
    )
    with pytest.raises(SpecError, match="lstm needs torch, which is not installed") as caught:
        build_model("lstm", TargetSpec(kind="direction"))
    assert "pip install 'fx-assets[lstm]'" in caught.value.remedy
    assert code_version("lstm")
    assert build_model("xgboost", TargetSpec(kind="direction"))


@needs_torch
def test_predicting_needs_no_pytorch(tmp_path: Any) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(fit("direction", max_epochs=1).to_onnx(feature_columns=NAMES))
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from fx_assets.models.onnx_predict import OnnxModel\n"
        f"m = OnnxModel(Path({str(file)!r}).read_bytes()); m.predict(np.zeros((2, m.width)))\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
