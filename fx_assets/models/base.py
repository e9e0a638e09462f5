"""What every model family is: a pure function of one fixed-width row, fitted on many of them.

Because a prediction depends on its own row and nothing else, a walk-forward, a live prediction and
a served one are the same computation.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, ValidationError

from fx_assets.errors import NotEnoughDataError, SpecError
from fx_assets.specs.base import Spec, meanings
from fx_assets.specs.forecast import TargetSpec
from fx_assets.specs.tuning import Space
from fx_assets.targets import TargetDefinition

if TYPE_CHECKING:
    import pandas as pd

    from fx_assets.models.onnx_export import Graph

FloatArray: TypeAlias = NDArray[np.float64]

INPUT_LIMIT: Final = 1e30
"""Inputs of tree families are limited to this size, which single precision can hold."""

RETURN_LIMIT: Final = 10.0
"""Log returns in a window are limited to this size, so that their squares stay finite."""

BLOCK: Final = 4096
"""Rows predicted at a time; bounds the memory of window families on long histories."""


@dataclass(frozen=True)
class Features:
    """Reads the columns of the feature set; rows with NaN are dropped before a fit."""


@dataclass(frozen=True)
class Columns:
    """Reads these columns of the labelled frame."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Window:
    """Reads the last ``length`` values of one column, the newest in the last place."""

    column: str
    length: int


@dataclass(frozen=True)
class FeatureWindow:
    """Reads the last ``length`` rows of the feature set, the newest in the last place."""

    length: int


Inputs: TypeAlias = Features | Columns | Window | FeatureWindow
FEATURES: Final = Features()


@dataclass(frozen=True)
class InputSpec:
    """Which columns of a frame a model reads, and which columns its matrix then has."""

    columns: tuple[str, ...]
    window: int = 0
    """Rows that the window reaches over; 0 where a row reads its own bar only."""

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each column of the matrix, in order: all columns of the oldest lag first."""
        if not self.window:
            return self.columns
        lags = reversed(range(self.window))
        return tuple(f"{column}_lag_{lag}" for lag in lags for column in self.columns)

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return len(self.columns) * (self.window or 1)


class Params(Spec):
    """Hyper-parameters of a family: typed, with limits, and unknown names are errors."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class NoParams(Params):
    """A family without hyper-parameters."""


P = TypeVar("P", bound=Params)


class Model(ABC, Generic[P]):
    """A model family. The constructor stores parameters, ``fit`` learns attributes ending in ``_``.

    Parameters
    ----------
    target
        What is predicted. One of the family's ``targets``.
    seed
        Seeds whatever the fit draws at random. Seed, parameters and rows fix the fit.
    params
        Hyper-parameters, the fields of ``params_type``.

    Raises
    ------
    SpecError
        A hyper-parameter is unknown or has a wrong value; the message names those allowed.
    """

    door: ClassVar[str] = "fx_assets.families"
    name: ClassVar[str]
    """What a candidate's ``family`` says."""
    targets: ClassVar[tuple[str, ...]]
    """The kinds of target that it predicts; or ``binary``, ``real`` or ``positive`` for all kinds
    whose outcomes are so."""
    inputs: ClassVar[Inputs]
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version decides what a fit learns."""
    extra: ClassVar[str] = ""
    """The optional dependencies of fx-assets, by name, that a fit needs."""
    search_space: ClassVar[Space] = {}
    """What tuning searches unless the candidate declares its own space."""
    onnx_tolerance: float = 1e-9
    """Largest ``parity`` between the fitted object and its ONNX graph."""
    params_type: type[P]

    def __init__(self, *, target: TargetSpec, seed: int = 0, **params: Any) -> None:
        self.target = target
        self.seed = seed
        self.settings = self._validated({**self.default_params(target.definition), **params})

    @property
    def family(self) -> str:
        """The family's name."""
        return self.name

    @property
    def params(self) -> dict[str, bool | int | float | str]:
        """Every hyper-parameter with its value, defaults included."""
        return self.settings.model_dump()

    @classmethod
    def default_params(cls, target: TargetDefinition) -> dict[str, Any]:  # noqa: ARG003
        """Defaults that depend on the kind of target."""
        return {}

    @classmethod
    def input_columns(cls, feature_columns: Sequence[str] = ()) -> InputSpec:
        """What this family reads, given the columns of the feature set.

        Raises
        ------
        SpecError
            The family reads features and there are none.
        """
        match cls.inputs:
            case Window(column, length):
                return InputSpec((column,), length)
            case Columns(names):
                return InputSpec(names)
            case Features() | FeatureWindow() if not feature_columns:
                raise SpecError(
                    f"{cls.__name__} reads the feature set, and no feature columns were given.",
                    remedy="Pass the feature set's columns as feature_columns.",
                )
            case FeatureWindow(length):
                return InputSpec(tuple(feature_columns), length)
            case _:
                return InputSpec(tuple(feature_columns))

    @classmethod
    def reads_features(cls) -> bool:
        """Whether the family reads the feature set."""
        return isinstance(cls.inputs, Features | FeatureWindow)

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from labelled rows.

        Parameters
        ----------
        X
            (n, p) inputs as built by :func:`model_inputs`, in order of time; may contain NaN.
        y
            (n,) targets: 0 or 1, log return, or variance over the horizon.

        Raises
        ------
        NotEnoughDataError
            There is no row.
        SpecError
            Shapes do not match, or a target is NaN, infinite or impossible for its kind.
        """
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        self._check_training_rows(X, y)
        self.n_features_in_ = X.shape[1]
        self._fit(X, y)
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """(n, p) inputs to (n,) P(up), expected log return, or expected variance over the horizon.

        NaN and infinite inputs are legal; the result is finite and within the target's limits.

        Raises
        ------
        SpecError
            The model is not fitted, or the rows have another width than those of the fit.
        """
        X = np.asarray(X, dtype=np.float64)
        self._check_fitted()
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise SpecError(
                f"{self.family}: inputs of shape {X.shape}, expected (n, {self.n_features_in_}).",
                remedy="Build the inputs with model_inputs and the columns of the fit.",
            )
        prediction = np.empty(len(X))
        for start in range(0, len(X), BLOCK):
            block = np.ascontiguousarray(X[start : start + BLOCK])
            prediction[start : start + BLOCK] = self._predict(block)
        return np.clip(prediction, *self.target.definition.limits)

    def to_onnx(
        self,
        *,
        feature_columns: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """The fitted model as an ONNX graph that computes exactly :meth:`predict`.

        One input ``inputs`` of shape [None, p] (float or double) and one output ``prediction`` of
        shape [None] (double). Equal fits give equal bytes. The graph's metadata hold family,
        target, horizon, params, seed, the JSON list of input columns, and ``metadata``.

        Parameters
        ----------
        feature_columns
            Names of the feature columns of the fit, in order; baselines and windows know theirs.
        metadata
            More to say about the model, such as its recipe.
        """
        self._check_fitted()
        named = bool(feature_columns) or not self.reads_features()
        columns = self.input_columns(feature_columns).names if named else ()
        if named and len(columns) != self.n_features_in_:
            raise SpecError(
                f"{self.family}: {len(columns)} columns named, fitted on {self.n_features_in_}.",
                remedy="Name the columns of the fit, in their order.",
            )
        graph = self._graph()
        graph.clip(*self.target.definition.limits)
        return graph.to_bytes(described(self, columns) | dict(metadata or {}))

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:  # noqa: ARG002
        """How much each input counts, by name; None for families without such a notion."""
        return None

    @abstractmethod
    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        """Learn from checked rows."""

    @abstractmethod
    def _predict(self, X: FloatArray) -> FloatArray:
        """Predict one contiguous block; the caller limits the result."""

    @abstractmethod
    def _graph(self) -> Graph:
        """The computation of ``_predict``."""

    def _validated(self, params: dict[str, Any]) -> P:
        try:
            return self.params_type.model_validate(params)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc']))}={e['input']!r}: {e['msg']}" for e in error.errors()
            )
            meaning = meanings(self.params_type)
            allowed = "; ".join(
                f"{name} (default {field.default!r}): {meaning.get(name)}"
                for name, field in self.params_type.model_fields.items()
            )
            raise SpecError(
                f"{self.family}: wrong hyper-parameter: {wrong}.",
                remedy=f"Allowed are {allowed or 'none'}.",
            ) from error

    def _check_training_rows(self, X: FloatArray, y: FloatArray) -> None:
        if X.ndim != 2 or y.shape != X.shape[:1]:
            raise SpecError(f"{self.family}: inputs of shape {X.shape}, targets of {y.shape}.")
        if not len(y):
            raise NotEnoughDataError(
                f"{self.family}: no labelled row to fit on.", remedy="Start later, or train longer."
            )
        good = np.isfinite(y) & self.target.definition.valid(y)
        if not good.all():
            at = int(np.argmin(good))
            raise SpecError(
                f"{self.family}: target {y[at]} in row {at} is not a {self.target.kind}.",
                remedy="Drop rows without a label before the fit.",
            )

    def _check_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            raise SpecError(f"{self.family} is not fitted.", remedy="Call fit first.")


def described(fitted: Any, columns: Sequence[str]) -> dict[str, str]:
    """What a graph's metadata say about a fitted model, or a pool of several."""
    return {
        "family": fitted.family,
        "target": fitted.target.kind,
        "horizon": str(fitted.target.horizon),
        "params": json.dumps(fitted.params, sort_keys=True),
        "seed": str(fitted.seed),
        "columns": json.dumps(list(columns)),
    }


def row_dot(X: FloatArray, weights: FloatArray) -> FloatArray:
    """``X @ weights`` whose rows do not depend, to the last bit, on how many rows there are."""
    product: FloatArray = (X * weights).sum(axis=1)
    return product


def up_share(y: FloatArray) -> float:
    """Share of ones with one more of each kind (Laplace's rule of succession)."""
    return (float(y.sum()) + 1) / (len(y) + 2)


def model_inputs(
    frame: Mapping[str, ArrayLike] | pd.DataFrame,
    model_class: type[Model[Any]],
    feature_columns: Sequence[str] = (),
) -> FloatArray:
    """The (n, p) matrix that a family reads, one row for each row of the frame.

    Windows reach back over the rows of ``frame`` and are NaN before its start: pass a frame without
    gaps and select rows afterwards. A window matrix is a read-only view that costs no memory.

    Parameters
    ----------
    frame
        A feature frame, or a mapping of its columns to arrays.
    model_class
        The family's class.
    feature_columns
        The feature set's columns.

    Raises
    ------
    SpecError
        The frame lacks a column.
    """
    spec = model_class.input_columns(feature_columns)
    missing = [name for name in spec.columns if name not in frame]
    if missing:
        raise SpecError(
            f"{model_class.__name__} reads {', '.join(missing)}, which the frame lacks.",
            remedy="Build the frame with the forecast's feature set and labels.",
        )
    return input_matrix(frame, spec)


def input_matrix(frame: Mapping[str, ArrayLike] | pd.DataFrame, spec: InputSpec) -> FloatArray:
    """As :func:`model_inputs`, for a frame that has the columns."""
    columns = [np.asarray(frame[name], dtype=np.float64) for name in spec.columns]
    table = columns[0][:, None] if len(columns) == 1 else np.column_stack(columns)
    if not spec.window:
        return table
    before = np.full((spec.window - 1, table.shape[1]), np.nan)
    values = np.concatenate([before, table]).ravel()
    return np.lib.stride_tricks.sliding_window_view(values, spec.width)[:: table.shape[1]]
