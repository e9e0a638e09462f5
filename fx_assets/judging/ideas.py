"""What may be judged, and what it says of rows that it cannot have seen."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.errors import SpecError
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.folds import Fold
from fx_assets.evaluation.study import Study
from fx_assets.judging.identity import identity_of
from fx_assets.models.base import Model, model_inputs
from fx_assets.specs import CandidateSpec

Floats = NDArray[np.float64]
LATER = ("target", "target_time", "label_available_at")
"""Columns of a labelled frame that say what came after the row."""


@runtime_checkable
class Estimator(Protocol):
    """Anything that learns as scikit-learn's estimators do."""

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from (n, p) features and (n,) targets."""

    def predict(self, X: Any) -> Any:
        """(n, p) features to (n,) predictions."""


Past: TypeAlias = Callable[[pd.DataFrame], float]
"""Rows that are known, newest last, to a prediction of what follows them."""
Idea: TypeAlias = str | Mapping[str, Any] | CandidateSpec | type[Model[Any]] | Estimator | Past


def evidence_of(idea: Idea, study: Study, name: str | None = None) -> Evidence:
    """An idea's walk-forward rows on a study.

    Raises
    ------
    SpecError
        It is nothing that can be judged, or says something that is no prediction.
    """
    if isinstance(idea, str | Mapping | CandidateSpec):
        candidate = CandidateSpec.model_validate(idea)
        walked = study.walk_forward(candidate)
        recipe = study.spec.recipe_hash(candidate)
        return Evidence(name or candidate.name, recipe, walked.predictions, trials=walked.trials)
    said = _sayer(idea, study)
    shown = name or _name(idea)
    parts = [_rows(study, fold, said(fold), shown) for fold in study.folds]
    return Evidence(shown, identity_of(idea), pd.concat(parts, ignore_index=True))


def _sayer(idea: Any, study: Study) -> Callable[[Fold], Any]:
    """What an idea says of a fold's test rows."""
    if inspect.isclass(idea) and issubclass(idea, Model):
        return _of_model(idea, study)
    if isinstance(idea, Estimator) and not inspect.isclass(idea):
        return _of_estimator(idea, study)
    if callable(idea) and not inspect.isclass(idea):
        return _of_function(idea, study)
    raise SpecError(
        f"{idea!r} cannot be judged.",
        remedy="Give a family's name, a candidate as in defs.yaml, a Model class, an estimator "
        "with fit and predict, or a function of the rows that are known.",
    )


def _of_model(kind: type[Model[Any]], study: Study) -> Callable[[Fold], Floats]:
    if getattr(kind, "__abstractmethods__", None) == frozenset({"_graph"}):
        # Without a graph it can be judged; it takes one to be published.
        kind = type(kind.__name__, (kind,), {"_graph": _no_graph, "__module__": kind.__module__})
    matrix = model_inputs(study.frame, kind, study.columns)

    def said(fold: Fold) -> Floats:
        model = kind(target=study.spec.target, seed=fold.index)
        return model.fit(matrix[fold.train], study.target[fold.train]).predict(matrix[fold.test])

    return said


def _no_graph(model: Model[Any]) -> Any:
    raise SpecError(
        f"{model.family} has no ONNX graph.", remedy="Write _graph; docs/plugins.md has an example."
    )


def _of_estimator(estimator: Any, study: Study) -> Callable[[Fold], Any]:
    matrix = study.frame[study.columns].to_numpy(np.float64)

    def said(fold: Fold) -> Any:
        own = copy.deepcopy(estimator)
        own.fit(matrix[fold.train], study.target[fold.train])
        if study.spec.target.definition.outcome == "binary" and hasattr(own, "predict_proba"):
            return np.asarray(own.predict_proba(matrix[fold.test]))[:, -1]
        return own.predict(matrix[fold.test])

    return said


def _of_function(function: Past, study: Study) -> Callable[[Fold], list[float]]:
    known = study.frame.drop(columns=[name for name in LATER if name in study.frame])
    available = known["available_at"].to_numpy()
    in_order = bool((available[1:] >= available[:-1]).all())

    def said(fold: Fold) -> list[float]:
        answers = []
        for row in fold.test:
            past = known.iloc[: row + 1]
            if not in_order:
                past = past[available[: row + 1] <= available[row]]
            answers.append(function(past))
        return answers

    return said


def _rows(study: Study, fold: Fold, said: Any, name: str) -> pd.DataFrame:
    try:
        values = np.asarray(said, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    times = study.frame["event_time"].iloc[fold.test]
    bad = np.flatnonzero(~np.isfinite(values)) if values.shape == fold.test.shape else [0]
    if len(bad):
        found = said[bad[0]] if len(said) else said
        raise SpecError(
            f"{name} says {found!r} of the row of {times.iloc[bad[0]]:%Y-%m-%d %H:%M}, which is no "
            "number.",
            remedy="Return a finite float for every row: P(up), a log return, or a variance.",
        )
    carried = ["event_time", "target_time", "label_available_at", "target"]
    return (
        study.frame[carried]
        .iloc[fold.test]
        .assign(
            prediction=np.clip(values, *study.spec.target.definition.limits),
            baseline=study.baseline[fold.test],
            candidate=name,
            fold=fold.index,
        )
    )


def _name(idea: Any) -> str:
    name = getattr(idea, "__name__", None) or type(idea).__name__
    return "idea" if name == "<lambda>" else str(name)
