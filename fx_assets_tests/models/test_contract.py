"""What every family must do, by the suite that anybody can run; and that the suite can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.models import FEATURES, Model
from fx_assets.models.base import NoParams, Params, row_dot
from fx_assets.models.onnx_export import Graph
from fx_assets.models.onnx_predict import OnnxModel, difference
from fx_assets.specs import TargetSpec
from fx_assets.testing import ContractError, families
from fx_assets.testing.families import (
    CHECKS,
    FEATURE_NAMES,
    FamilyCase,
    exported,
    fitted,
    require_legal,
)
from fx_assets_tests.examples import examples
from fx_assets_tests.models.cases import CASES

every_case = pytest.mark.parametrize(
    "case",
    [c if c.target.horizon == 1 else pytest.param(c, marks=pytest.mark.slow) for c in CASES],
    ids=str,
)


@every_case
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_family_keeps_the_contract(
    case: FamilyCase, check: Callable[[FamilyCase], None]
) -> None:
    check(case)


@every_case
@settings(max_examples=examples(25), deadline=None, derandomize=True, database=None)
@given(values=st.lists(st.floats(), min_size=1, max_size=12), seed=st.integers(0, 1000))
def test_any_row_is_predicted_alike_by_object_and_graph(
    case: FamilyCase, values: list[float], seed: int
) -> None:
    row = np.random.default_rng(seed).choice(values, size=(1, case.width))
    prediction = fitted(case).predict(row)
    require_legal(case, prediction)
    found = OnnxModel(exported(case)).predict(row)
    assert difference(case.target.definition, prediction, found) <= fitted(case).onnx_tolerance


@every_case
def test_the_planted_feature_is_the_most_important(case: FamilyCase) -> None:
    importance = fitted(case).feature_importance(FEATURE_NAMES)
    if case.reads_features:
        assert importance is not None
        planted = "volatility" if case.target.kind == "volatility" else "next_sign_hint"
        assert max(importance, key=lambda name: abs(importance[name])) == planted
    else:
        assert importance is None


class Honest(Model[NoParams]):
    """Ordinary least squares on limited inputs: what the broken ones below are made from."""

    name = "honest"
    targets = ("return",)
    inputs = FEATURES
    params_type = NoParams

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        Z = np.clip(np.nan_to_num(X), -1.0, 1.0)
        self.coef_ = np.linalg.solve(Z.T @ Z + np.eye(Z.shape[1]), Z.T @ (y - y.mean()))
        self.mean_ = float(y.mean())

    def _predict(self, X: np.ndarray) -> np.ndarray:
        filled = np.where(np.isnan(X), 0.0, X)
        return row_dot(np.clip(filled, -1.0, 1.0), self.coef_) + self.mean_

    def _graph(self) -> Graph:
        graph = Graph(len(self.coef_)).where_nan(np.zeros(len(self.coef_))).clip(-1.0, 1.0)
        return graph.dot(self.coef_).then("Add", self.mean_)


class LooksAtItsNeighbours(Honest):
    def _predict(self, X: np.ndarray) -> np.ndarray:
        return super()._predict(X) - super()._predict(X).mean()


class Restless(Honest):
    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        super()._fit(X, y)
        self.coef_ = self.coef_ + 1e-12 * np.random.default_rng().standard_normal(len(self.coef_))


class Remembers(Honest):
    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        before = getattr(self, "mean_", 0.0)
        super()._fit(X, y)
        self.mean_ += 0.1 * before


class SaysAnotherGraph(Honest):
    def _graph(self) -> Graph:
        return super()._graph().then("Add", 1e-4)


class GivesUpOnNaN(Honest):
    def _predict(self, X: np.ndarray) -> np.ndarray:
        return row_dot(np.clip(X, -1.0, 1.0), self.coef_) + self.mean_


class ChangesItsInputs(Honest):
    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        np.nan_to_num(X, copy=False)
        super()._fit(X, y)


class LooseParams(Params):
    strength: Any = 1.0


class AcceptsNonsense(Honest):
    params_type = LooseParams  # type: ignore[assignment]


BROKEN = {
    LooksAtItsNeighbours: {
        "a_row_alone_is_predicted_as_among_others",
        "a_prediction_does_not_depend_on_later_rows",
    },
    Restless: {"two_fits_with_one_seed_agree_to_the_last_bit"},
    Remembers: {"a_fit_forgets_the_fit_before"},
    SaysAnotherGraph: {"the_onnx_graph_computes_what_the_fitted_object_does"},
    GivesUpOnNaN: {"broken_inputs_give_a_legal_forecast"},
    ChangesItsInputs: {"fit_and_predict_leave_their_inputs_alone"},
    AcceptsNonsense: {"every_hyper_parameter_refuses_nonsense_and_is_documented"},
}


@pytest.fixture
def case_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Model[Any]]], FamilyCase]:
    def make(found: type[Model[Any]]) -> FamilyCase:
        for cached in (fitted, exported):
            cached.cache_clear()
        monkeypatch.setattr(families, "model_class", lambda _: found)
        monkeypatch.setattr(
            families,
            "build_model",
            lambda _, target, params=None, seed=0: found(
                target=target, seed=seed, **(params or {})
            ),
        )
        return FamilyCase(found.name, TargetSpec(kind="return"))

    return make


def _failures(case: FamilyCase) -> set[str]:
    failed = set()
    for check in CHECKS:
        try:
            check(case)
        except (ContractError, ValueError):
            failed.add(check.__name__)
    return failed


def test_an_honest_stranger_passes_every_check(case_of) -> None:
    assert _failures(case_of(Honest)) == set()


@pytest.mark.parametrize("broken", BROKEN, ids=lambda found: found.__name__)
def test_a_family_that_breaks_a_rule_fails_the_check_that_states_it(broken, case_of) -> None:
    assert BROKEN[broken] <= _failures(case_of(broken))
