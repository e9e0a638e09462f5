"""What every model family must do, each check a sentence about one family and one target."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fx_assets.errors import NotEnoughDataError
from fx_assets.models import Model, build_model, kinds_of, model_class, model_inputs
from fx_assets.models.base import up_share
from fx_assets.models.onnx_predict import OnnxModel, difference, parity
from fx_assets.specs.base import meanings
from fx_assets.specs.forecast import TargetSpec
from fx_assets.targets import target_definition
from fx_assets.targets.base import NONE
from fx_assets.testing.require import (
    Checks,
    ContractError,
    require,
    require_refused,
    require_same_bits,
)

Floats = NDArray[np.float64]
ROWS: Final = 2600
TRAIN: Final = slice(600, 2000)
TEST: Final = slice(600, 2600)
FEATURE_NAMES: Final = (
    "last_return",
    "next_sign_hint",
    "volatility",
    "large",
    "tiny",
    "noise",
)
"""Columns of the simulated feature set; one knows the sign of the next return, with much noise."""
CHECKS: Final[Checks[FamilyCase]] = Checks()


@dataclass(frozen=True)
class FamilyCase:
    """A family, a target, and hyper-parameters that differ from the family's own."""

    family: str
    target: TargetSpec
    params: dict[str, Any] = field(default_factory=dict, hash=False)

    def build(self, seed: int = 7, **params: Any) -> Model[Any]:
        """An unfitted model."""
        return build_model(self.family, self.target, self.params | params, seed)

    @property
    def model_class(self) -> type[Model[Any]]:
        """The family's class."""
        return model_class(self.family)

    @property
    def reads_features(self) -> bool:
        """Whether the family reads the feature set."""
        return self.model_class.reads_features()

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """The columns of the feature set, where the family reads it."""
        return FEATURE_NAMES if self.reads_features else ()

    @property
    def width(self) -> int:
        """Columns of the family's inputs."""
        return self.model_class.input_columns(FEATURE_NAMES).width

    def rows(self, where: slice = slice(None)) -> Floats:
        """(n, p) inputs of the simulated frame."""
        return model_inputs(simulated_frame(self.target), self.model_class, FEATURE_NAMES)[where]

    def targets(self, where: slice = slice(None)) -> Floats:
        """(n,) targets of the simulated frame."""
        return simulated_frame(self.target)["target"][where]

    def __str__(self) -> str:
        return f"{self.family}-{self.target.kind}-{self.target.horizon}"


def cases_of(family: str, params: dict[str, Any] | None = None) -> list[FamilyCase]:
    """A family with every kind of target that it predicts."""
    return [
        FamilyCase(family, TargetSpec(kind=kind, horizon=horizon), params or {})
        for kind in kinds_of(family)
        for horizon in ((1, 20) if target_definition(kind).path else (1,))
    ]


@cache
def simulated_returns(n: int, seed: int, nu: float = 8.0) -> Floats:
    """(n,) log returns of a GARCH(1,1) with alpha 0.08, beta 0.9 and Student-t errors."""
    alpha, beta, unconditional = 0.08, 0.9, 0.006**2
    noise = np.random.default_rng(seed).standard_t(nu, n) * np.sqrt((nu - 2) / nu)
    returns = np.empty(n)
    variance = unconditional
    for i in range(n):
        returns[i] = np.sqrt(variance) * noise[i]
        variance = (1 - alpha - beta) * unconditional + alpha * returns[i] ** 2 + beta * variance
    return returns


@cache
def simulated_frame(target: TargetSpec) -> dict[str, Floats]:
    """A labelled frame of 2,600 rows as arrays."""
    rng = np.random.default_rng(11)
    horizon = target.horizon
    path = simulated_returns(ROWS + horizon, seed=3)
    returns = path[:ROWS]
    ends = np.append(np.arange(ROWS) + horizon, np.full(horizon, NONE))
    labels = target.definition.labels(100 * np.exp(np.cumsum(path)), ends)[:ROWS]
    known = np.full(ROWS, np.nan)
    known[horizon:] = labels[:-horizon]
    mean = np.full(ROWS, np.nan)
    mean[horizon:] = np.cumsum(labels[:-horizon]) / np.arange(1, ROWS - horizon + 1)
    log_return = returns.copy()
    log_return[0] = np.nan
    return {
        "log_return": log_return,
        "last_return": returns,
        "next_sign_hint": path[1 : ROWS + 1] + 0.012 * rng.standard_normal(ROWS),
        "volatility": np.sqrt(np.convolve(returns**2, np.ones(10) / 10)[:ROWS]),
        "large": 1e9 + 1e7 * rng.standard_normal(ROWS),
        "tiny": 1e-9 * rng.standard_normal(ROWS),
        "noise": rng.standard_normal(ROWS),
        "baseline_mean": mean,
        "last_target": known,
        "target": labels,
    }


@cache
def fitted(case: FamilyCase) -> Model[Any]:
    """The case's model, fitted on the training rows."""
    return case.build().fit(case.rows(TRAIN), case.targets(TRAIN))


@cache
def exported(case: FamilyCase) -> bytes:
    """The ONNX graph of :func:`fitted`."""
    return fitted(case).to_onnx(feature_columns=case.feature_columns)


def hostile_rows(width: int) -> Floats:
    """Rows of NaN, infinities, zeros and sizes at the end of both precisions, alone and mixed."""
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-320, 1e30, -1e30, 1e39, -1e39, 1e308, -1e308]
    uniform = np.repeat(np.array(values)[:, None], width, axis=1)
    rng = np.random.default_rng(5)
    mixed = rng.choice(values, size=(200, width))
    ordinary = np.where(rng.random((200, width)) < 0.5, rng.standard_normal((200, width)), mixed)
    return np.vstack([uniform, mixed, ordinary])


def require_legal(case: FamilyCase, prediction: Floats) -> None:
    """Predictions are finite and within the limits of their kind."""
    lowest, highest = case.target.definition.limits
    require(np.isfinite(prediction).all(), "a prediction is not a finite number")
    inside = prediction.min() >= lowest and prediction.max() <= highest
    require(
        inside, f"predictions from {prediction.min()!r} to {prediction.max()!r}, beyond the limits"
    )


@CHECKS.add
def two_fits_with_one_seed_agree_to_the_last_bit(case: FamilyCase) -> None:
    """Determinism."""
    again = case.build().fit(case.rows(TRAIN), case.targets(TRAIN))
    expected = fitted(case).predict(case.rows(TEST))
    require_same_bits(expected, again.predict(case.rows(TEST)), "by an equal fit")
    content = again.to_onnx(feature_columns=case.feature_columns)
    require(content == exported(case), "two equal fits give different ONNX graphs")


@CHECKS.add
def fits_in_a_thread_pool_agree_with_a_fit_alone(case: FamilyCase) -> None:
    """No state is shared between models."""

    def fit_and_predict(_: int) -> Floats:
        model = case.build().fit(case.rows(TRAIN), case.targets(TRAIN))
        return model.predict(case.rows(TEST))

    expected = fitted(case).predict(case.rows(TEST))
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(fit_and_predict, range(3)):
            require_same_bits(expected, found, "by a fit in a thread")


@CHECKS.add
def a_fit_forgets_the_fit_before(case: FamilyCase) -> None:
    """``fit`` begins anew."""
    model = case.build().fit(case.rows(TEST), np.ones(TEST.stop - TEST.start))
    model.fit(case.rows(TRAIN), case.targets(TRAIN))
    expected = fitted(case).predict(case.rows(TEST))
    require_same_bits(expected, model.predict(case.rows(TEST)), "after another fit")


@CHECKS.add
def fit_and_predict_leave_their_inputs_alone(case: FamilyCase) -> None:
    """Arrays that cannot be written are enough."""
    X, y = case.rows(TRAIN).copy(), case.targets(TRAIN).copy()
    X.flags.writeable = y.flags.writeable = False
    model = case.build()
    before = model.params
    require(len(model.fit(X, y).predict(X)) == len(X), "not one prediction a row")
    require(model.params == before, f"a fit changed the parameters {before} to {model.params}")


@CHECKS.add
def a_row_alone_is_predicted_as_among_others(case: FamilyCase) -> None:
    """A prediction is a function of its own row, in Python and in ONNX."""
    X = case.rows(TEST)
    together = fitted(case).predict(X)
    graph = OnnxModel(exported(case))
    served = graph.predict(X)
    for i in range(0, len(X), 199):
        alone = fitted(case).predict(X[i : i + 1])
        require_same_bits(together[i : i + 1], alone, f"alone (row {i})")
    for size in (1, 3, 7):
        parts = [graph.predict(X[i : i + size]) for i in range(0, len(X), size)]
        require_same_bits(served, np.concatenate(parts), f"by the graph in parts of {size}")


@CHECKS.add
def a_prediction_does_not_depend_on_later_rows(case: FamilyCase) -> None:
    """Prefix invariance, and a future that is scrambled."""
    whole = simulated_frame(case.target)
    expected = fitted(case).predict(case.rows())
    for cut in (1, 23, 700, 1999):
        prefix = {name: values[:cut] for name, values in whole.items()}
        scrambled = {
            name: np.concatenate([values[:cut], np.full(len(values) - cut, 1e6)])
            for name, values in whole.items()
        }
        for frame, how in ((prefix, "without"), (scrambled, "with other")):
            X = model_inputs(frame, case.model_class, FEATURE_NAMES)
            found = fitted(case).predict(X)[:cut]
            require_same_bits(expected[:cut], found, f"{how} rows after the {cut}th")


@CHECKS.add
def a_constant_target_gives_a_legal_forecast(case: FamilyCase) -> None:
    """Nothing to learn is nothing to fail at."""
    for value in (0.0, 1.0):
        target = np.full(TRAIN.stop - TRAIN.start, value)
        model = case.build().fit(case.rows(TRAIN), target)
        prediction = model.predict(case.rows(TEST))
        require_legal(case, prediction)
        if case.reads_features:
            share = up_share(target) if case.target.definition.outcome == "binary" else value
            expected = np.clip(share, *case.target.definition.limits)
            furthest = float(np.abs(prediction - expected).max())
            require(furthest <= 1e-9, f"{furthest!r} away from a target that is always {value}")
        _require_parity(model, case, case.rows(TEST))


@CHECKS.add
def training_rows_and_whole_columns_may_be_nan(case: FamilyCase) -> None:
    """Missing inputs are legal."""
    X = case.rows(TRAIN).copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    X[:, 0] = np.nan
    model = case.build().fit(X, case.targets(TRAIN))
    require_legal(case, model.predict(case.rows(TEST)))
    _require_parity(model, case, np.vstack([X, case.rows(TEST)]))


@CHECKS.add
def very_few_training_rows_give_a_legal_forecast(case: FamilyCase) -> None:
    """1, 2 and 30 rows."""
    for rows in (1, 2, 30):
        few = slice(TRAIN.start, TRAIN.start + rows)
        model = case.build().fit(case.rows(few), case.targets(few))
        require_legal(case, model.predict(case.rows(TEST)))


@CHECKS.add
def broken_inputs_give_a_legal_forecast(case: FamilyCase) -> None:
    """NaN, infinities and sizes at the end of both precisions."""
    rows = hostile_rows(case.width)
    require_legal(case, fitted(case).predict(rows))
    require_legal(case, OnnxModel(exported(case)).predict(rows))


@CHECKS.add
def the_onnx_graph_computes_what_the_fitted_object_does(case: FamilyCase) -> None:
    """Parity within the family's ``onnx_tolerance``."""
    X = case.rows(TEST)
    some_nan = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    _require_parity(fitted(case), case, np.vstack([X, some_nan, hostile_rows(case.width)]))
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((200, case.width)) * 10.0 ** rng.integers(-12, 12, (200, 1))
    prediction, served = fitted(case).predict(rows), OnnxModel(exported(case)).predict(rows)
    furthest = difference(case.target.definition, prediction, served)
    require(
        furthest <= fitted(case).onnx_tolerance,
        f"the graph is {furthest:.3g} away on rows of all sizes",
    )


@CHECKS.add
def a_saved_model_predicts_the_same_when_loaded(case: FamilyCase) -> None:
    """A graph and a pickled object are whole."""
    X = case.rows(TEST)
    served = OnnxModel(exported(case)).predict(X)
    require_same_bits(served, OnnxModel(bytes(exported(case))).predict(X), "by a loaded graph")
    copy = pickle.loads(pickle.dumps(fitted(case)))  # noqa: S301
    require_same_bits(fitted(case).predict(X), copy.predict(X), "by a pickled copy")


@CHECKS.add
def a_graph_says_what_it_is(case: FamilyCase) -> None:
    """Its metadata name family, target, horizon, seed and inputs."""
    content = fitted(case).to_onnx(
        feature_columns=case.feature_columns, metadata={"recipe": "0123abcd"}
    )
    loaded = OnnxModel(content)
    expected = {
        "family": case.family,
        "target": case.target.kind,
        "horizon": str(case.target.horizon),
        "seed": "7",
        "recipe": "0123abcd",
    }
    said = {name: loaded.metadata.get(name) for name in expected}
    require(said == expected, f"the graph says {said}, not {expected}")
    names = case.model_class.input_columns(FEATURE_NAMES).names
    require(loaded.columns == names, f"the graph names {loaded.columns}, not {names}")
    require(loaded.width == case.width, f"{loaded.width} inputs, not {case.width}")


@CHECKS.add
def an_unknown_hyper_parameter_is_refused_with_those_allowed(case: FamilyCase) -> None:
    """A typing error is told, with what is possible."""
    call = partial(case.build, no_such_parameter=1)
    error = require_refused(call, "no_such_parameter", "an unknown hyper-parameter")
    for name in case.model_class.params_type.model_fields or ["none"]:
        require(name in error.remedy, f"the remedy does not name {name}: {error.remedy}")


@CHECKS.add
def every_hyper_parameter_refuses_nonsense_and_is_documented(case: FamilyCase) -> None:
    """Each has a sentence and limits."""
    meaning = meanings(case.model_class.params_type)
    for name in case.model_class.params_type.model_fields:
        require(bool(meaning.get(name)), f"{name} is not documented")
        for nonsense in ("often", None, True, float("nan"), -1.0):
            wrong: dict[str, Any] = {name: nonsense}
            call = partial(case.build, **wrong)
            require_refused(call, name, f"{name}={nonsense!r}")


@CHECKS.add
def parameters_and_seed_describe_a_model_fully(case: FamilyCase) -> None:
    """What MLflow records is enough to make the fit again."""
    model = fitted(case)
    twin = build_model(case.family, case.target, model.params, model.seed)
    twin.fit(case.rows(TRAIN), case.targets(TRAIN))
    expected, found = model.predict(case.rows(TEST)), twin.predict(case.rows(TEST))
    require_same_bits(expected, found, "by a model with these parameters and this seed")


@CHECKS.add
def wrong_rows_are_refused_with_what_was_expected(case: FamilyCase) -> None:
    """Unfitted models, no rows, rows and targets that do not match, impossible targets."""
    X, y = case.rows(TRAIN), case.targets(TRAIN)
    require_refused(lambda: case.build().predict(X), "not fitted", "a prediction before the fit")
    require_refused(lambda: case.build().to_onnx(), "not fitted", "a graph before the fit")
    nothing = require_refused(lambda: case.build().fit(X[:0], y[:0]), "", "a fit on no row")
    require(isinstance(nothing, NotEnoughDataError), f"a fit on no row raises {nothing!r}")
    require_refused(lambda: case.build().fit(X, y[:-1]), "targets of", "a target too few")
    unknown = np.where(np.arange(len(y)) == 5, np.nan, y)
    said = f"row 5 is not a {case.target.kind}"
    require_refused(lambda: case.build().fit(X, unknown), said, "a target of NaN")
    wide = np.zeros((3, case.width + 1))
    require_refused(
        lambda: fitted(case).predict(wide), f"expected (n, {case.width})", "a row too wide"
    )


@CHECKS.add
def no_rows_in_are_no_predictions_out(case: FamilyCase) -> None:
    """The empty matrix is legal."""
    nothing = np.empty((0, case.width))
    for found in (fitted(case).predict(nothing), OnnxModel(exported(case)).predict(nothing)):
        require(found.shape == (0,), f"predictions of shape {found.shape} for no row")


@CHECKS.add
def importance_names_every_feature_or_is_none(case: FamilyCase) -> None:
    """A family that reads features and ranks them ranks all of them."""
    importance = fitted(case).feature_importance(FEATURE_NAMES)
    if importance is None:
        return
    require(
        tuple(importance) == FEATURE_NAMES,
        f"importance is of {', '.join(importance)}, not of {', '.join(FEATURE_NAMES)}",
    )


def _require_parity(model: Model[Any], case: FamilyCase, rows: Floats) -> None:
    content = model.to_onnx(feature_columns=case.feature_columns)
    furthest = parity(model, content, rows)
    if furthest > model.onnx_tolerance:
        raise ContractError(
            f"the graph is {furthest:.3g} away from the fitted object, more than "
            f"onnx_tolerance = {model.onnx_tolerance:g}"
        )
