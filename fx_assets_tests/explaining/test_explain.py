"""An explanation adds up, is exact where it can be, and says what the model is known to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fx_assets.bundles.bundle import Golden, LoadedBundle, load, publish
from fx_assets.errors import RegistryError
from fx_assets.explaining.explain import (
    Background,
    exact_shapley,
    explain,
    load_background,
    make_background,
    sampled_shapley,
    store_background,
)
from fx_assets.models import model_class
from fx_assets.testing.families import FEATURE_NAMES, TEST, TRAIN, FamilyCase, exported
from fx_assets.testing.lakes.samples import Folder, champion
from fx_assets_tests.models.cases import CASES

READABLE = [case for case in CASES if case.target.horizon == 1 or case.family == "garch"]


def published(case: FamilyCase) -> tuple[Folder, LoadedBundle, Background]:
    """A case as a champion in production, with its background beside it."""
    from fx_assets.models.onnx_predict import OnnxModel

    inputs = model_class(case.family).input_columns(FEATURE_NAMES)
    onnx = exported(case)
    golden = case.rows(TEST)[-4:]
    bundle = replace(
        champion(
            target=case.target.kind,
            horizon=case.target.horizon,
            family=case.family,
            columns=inputs.columns,
            window=inputs.window,
            input_names=inputs.names,
        ),
        onnx=onnx,
        golden=Golden.of(golden, OnnxModel(onnx).predict(golden)),
    )
    folder = Folder()
    publish(folder, bundle)
    loaded = load(folder, "eurusd_direction")
    store_background(folder, make_background(loaded.manifest, case.rows(TRAIN)))
    return folder, loaded, load_background(folder, "eurusd_direction", 1)


@pytest.mark.parametrize("case", READABLE, ids=str)
def test_the_contributions_of_every_family_add_up_to_its_prediction(case: FamilyCase) -> None:
    _, bundle, background = published(case)
    row = case.rows(TEST)[-7]
    found = explain(bundle, row, background)
    assert found.base + sum(c.effect for c in found.contributions) == pytest.approx(
        found.total, abs=1e-9
    )
    assert found.prediction == float(bundle.predict(row[None, :])[0])
    assert found == explain(bundle, row, background)
    of_targets = {"baseline_mean", "last_target"}
    assert all(c.meaning for c in found.contributions if c.name in of_targets)
    sizes = [abs(c.effect) for c in found.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert found.sentence


@pytest.mark.parametrize("family", ["logistic_regression", "ridge"])
def test_a_linear_family_is_explained_by_coefficients_times_distances(family: str) -> None:
    kind = "direction" if family == "logistic_regression" else "return"
    case = next(c for c in CASES if (c.family, c.target.kind) == (family, kind))
    _, bundle, background = published(case)
    row, rows = case.rows(TEST)[-3], background.array()
    found = {c.name: c.effect for c in explain(bundle, row, background).contributions}
    for i, name in enumerate(FEATURE_NAMES):
        shifted = row.copy()
        shifted[i] = rows[:, i].mean()
        scale = np.log if family == "logistic_regression" else None
        both = bundle.predict(np.array([row, shifted]))
        on_scale = scale(both / (1 - both)) if scale else both
        assert found[name] == pytest.approx(on_scale[0] - on_scale[1], abs=1e-6), name


def test_a_tree_gives_credit_to_the_input_that_was_planted() -> None:
    case = next(c for c in CASES if str(c) == "xgboost-direction-1")
    _, bundle, background = published(case)
    rows = case.rows(TEST)
    strong = rows[int(np.argmax(np.abs(rows[:, 1])))]
    assert explain(bundle, strong, background).contributions[0].name == "next_sign_hint"


def test_volatility_is_explained_by_bands_of_lags() -> None:
    case = next(c for c in CASES if c.family == "ewma" and c.target.horizon == 1)
    _, bundle, background = published(case)
    row = np.full(case.width, 0.001)
    row[-1] = 0.05
    found = explain(bundle, row, background)
    assert found.exact
    assert found.contributions[0].name == "log_return, lag 0"
    assert found.contributions[0].effect > 0
    assert len(found.contributions) == 7


def product(X: np.ndarray) -> np.ndarray:
    return X[:, 0] * X[:, 1] + X[:, 2]


def test_exact_values_are_those_of_the_definition() -> None:
    x, zero = np.array([2.0, 3.0, 5.0]), np.zeros((1, 3))
    groups = [np.array([i]) for i in range(3)]
    effects, _ = exact_shapley(product, x, zero, groups)
    np.testing.assert_allclose(effects, [3.0, 3.0, 5.0])


@pytest.mark.parametrize("seed", range(3))
def test_sampled_values_are_exact_ones_within_their_errors(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.standard_normal((6, 6))

    def interacting(X: np.ndarray) -> np.ndarray:
        return np.tanh(X @ weights).sum(axis=1)

    x, rows = random.standard_normal(6), random.standard_normal((64, 6))
    groups = [np.array([i]) for i in range(6)]
    exact, _ = exact_shapley(interacting, x, rows, groups)
    sampled, errors = sampled_shapley(interacting, x, rows, groups)
    assert sampled.sum() == pytest.approx(exact.sum())
    assert (np.abs(sampled - exact) < 5 * errors + 1e-12).all()
    assert errors.max() < 0.2 * np.abs(exact).max()


def test_inputs_that_a_model_ignores_have_no_effect() -> None:
    predict: Callable[[np.ndarray], np.ndarray] = lambda X: X[:, 0] ** 2  # noqa: E731
    x, rows = np.ones(12), np.random.default_rng(0).standard_normal((10, 12))
    effects, errors = sampled_shapley(predict, x, rows, [np.array([i]) for i in range(12)])
    assert (effects[1:] == 0).all()
    assert (errors[1:] == 0).all()


def test_a_changed_or_missing_background_is_refused() -> None:
    folder, bundle, background = published(READABLE[0])
    with pytest.raises(RegistryError, match="no background"):
        load_background(folder, "eurusd_direction", 2)
    other = background.model_copy(update={"rows": ((1.0,) * len(background.names),)})
    with pytest.raises(RegistryError, match="hash"):
        explain(bundle, np.zeros(len(background.names)), other)
