"""Searches hyper-parameters inside one training window, and knows nothing of what comes after it.

The newest rows of the window judge the trials; the older ones, purged by the horizon, fit them.
Optuna's TPE sampler (Bergstra et al., 2011) proposes, one trial after the other, from a seed. The
first trial is what the candidate would be without tuning, as far as its space has it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from fx_assets import models
from fx_assets.code_identity import code_identity
from fx_assets.errors import FxAssetsError, NotEnoughDataError, SpecError
from fx_assets.evaluation.folds import Positions
from fx_assets.specs import CandidateSpec, ForecastSpec, TargetSpec
from fx_assets.specs.base import meanings
from fx_assets.specs.tuning import Dimension, Range, Space, TuningSpec, Value

if TYPE_CHECKING:
    from optuna import Trial

Params = dict[str, Value]
Loss = Callable[[Params], float]
"""The mean loss on the judging rows of a candidate with these hyper-parameters."""

TRIAL_COLUMNS = (
    "recipe",
    "candidate",
    "tuning_key",
    "fold",
    "trained_through",
    "number",
    "state",
    "score",
    "seconds",
    "params",
    "chosen",
    "stopped_by",
)


@dataclass(frozen=True)
class Tuning:
    """What one search found.

    ``params`` are the hyper-parameters to fit with, the declared ones among them. ``trials`` has
    one row a trial with its ``number``, ``state`` (``complete`` or ``failed``), ``score`` (mean
    loss, smaller is better), ``seconds``, ``params`` (JSON), whether it was ``chosen``, and
    ``stopped_by``: ``trials``, or ``seconds`` where the time budget ended the search.
    """

    params: Params
    trials: pd.DataFrame

    @property
    def completed(self) -> int:
        """Settings that were compared."""
        return int((self.trials["state"] == "complete").sum())

    @property
    def stopped_by(self) -> str:
        """Which budget ended the search."""
        return str(self.trials["stopped_by"].iloc[0])


def search_space(candidate: CandidateSpec, target: TargetSpec) -> dict[str, Dimension]:
    """What tuning a candidate searches: its declared space, or its family's without fixed params.

    Raises
    ------
    SpecError
        There is nothing to search, or the family has no such hyper-parameter or value.
    """
    family = models.model_class(candidate.family)
    declared: Space = candidate.tune.space if candidate.tune else {}
    space = dict(declared) or {
        name: dimension
        for name, dimension in family.search_space.items()
        if name not in candidate.params
    }
    fields = family.params_type.model_fields
    if not space:
        raise SpecError(
            f"{candidate.name}: there is nothing to tune in {candidate.family}.",
            remedy="Take tune out, or name hyper-parameters in tune.space"
            + (f": {', '.join(fields)}." if fields else "; it has none."),
        )
    models.build_model(candidate.family, target, candidate.params)
    for name, dimension in space.items():
        if name not in fields:
            raise SpecError(
                f"{candidate.name}: tune.space names {name!r}, which {candidate.family} lacks.",
                remedy=f"Choose from {', '.join(fields) or 'none'}.",
            )
        declared_type: Any = Annotated[fields[name].annotation, fields[name]]
        allowed: TypeAdapter[Any] = TypeAdapter(declared_type)
        values = [dimension.low, dimension.high] if isinstance(dimension, Range) else dimension
        for value in values:
            try:
                allowed.validate_python(value, strict=True)
            except ValidationError as error:
                raise SpecError(
                    f"{candidate.name}: tune.space.{name} has {value!r}: "
                    f"{error.errors()[0]['msg']}.",
                    remedy=f"{name}: {meanings(family.params_type).get(name)}",
                ) from error
    return space


def inner_split(
    frame: pd.DataFrame, rows: Positions, spec: ForecastSpec, share: float
) -> tuple[Positions, Positions]:
    """Cut a training window in two: rows to fit on, and the newest ``share`` to judge on.

    Between them lie the forecast's purge and embargo, and no label of the older part was unknown
    when the first row of the newer part could be known.

    Raises
    ------
    NotEnoughDataError
        No row is left to fit on.
    """
    start = len(rows) - max(1, round(share * len(rows)))
    older, newer = rows[: max(0, start - spec.purge - spec.walk_forward.embargo)], rows[start:]
    known_by = frame["available_at"].iloc[newer].min()
    older = older[np.asarray(frame["label_available_at"].iloc[older] <= known_by, dtype=bool)]
    if not len(older):
        raise NotEnoughDataError(
            f"{spec.name}: a training window of {len(rows)} rows is too short for tuning, which "
            f"judges on {len(newer)} of them and purges {spec.purge}.",
            remedy="Raise walk_forward.min_train, or lower tune.validation.",
        )
    return older, newer


def search(
    space: Space,
    rule: TuningSpec,
    own: Mapping[str, Value],
    loss: Loss,
    seed: int,
) -> pd.DataFrame:
    """Compare settings within the budgets; one row a trial, in order, the best one ``chosen``.

    Parameters
    ----------
    space
        What to draw from.
    rule
        The budgets.
    own
        The values without tuning.
    loss
        Judges the drawn values; a setting that raises an ``FxAssetsError`` counts as failed.
    seed
        Fixes the sampler. Budgets of time make the number of trials depend on the machine.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({n: own[n] for n, d in space.items() if n in own and _holds(d, own[n])})
    known: dict[str, float] = {}
    rows: list[dict[str, Any]] = []

    def objective(trial: Trial) -> float:
        drawn = {name: _draw(trial, name, dimension) for name, dimension in space.items()}
        setting, began = json.dumps(drawn, sort_keys=True), time.monotonic()
        rows.append({"number": trial.number, "params": setting, "state": "failed", "score": np.nan})
        try:
            score = known[setting] = known[setting] if setting in known else loss(drawn)
            rows[-1] |= {"state": "complete", "score": score}
        finally:
            rows[-1]["seconds"] = time.monotonic() - began
        return score

    study.optimize(objective, n_trials=rule.trials, timeout=rule.seconds, catch=(FxAssetsError,))
    table = pd.DataFrame(rows)
    best = table["score"].idxmin() if table["score"].notna().any() else -1
    return table.assign(
        chosen=table.index == best,
        stopped_by="trials" if len(table) == rule.trials else "seconds",
    )


def tuning_of(candidate: CandidateSpec, trials: pd.DataFrame) -> Tuning:
    """The tuning that these trials are; without a complete one, the declared hyper-parameters."""
    ordered = trials.sort_values("number", ignore_index=True)
    chosen = ordered.loc[ordered["chosen"].astype(bool), "params"]
    found = json.loads(chosen.iloc[0]) if len(chosen) else {}
    return Tuning({**candidate.params, **found}, ordered)


def code_version() -> str:
    """A short hash of the code of a search and of Optuna's version: they decide what it finds."""
    return code_identity((__name__, "search"), (__name__, "inner_split")).digest


def _draw(trial: Trial, name: str, dimension: Dimension) -> Value:
    if not isinstance(dimension, Range):
        choice: Any = trial.suggest_categorical(name, dimension)
        value: Value = choice
        return value
    low, high, step, log = dimension.low, dimension.high, dimension.step, dimension.log
    if dimension.whole:
        return trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)


def _holds(dimension: Dimension, value: Value) -> bool:
    """Whether a value could be drawn."""
    if not isinstance(dimension, Range):
        return value in dimension
    if isinstance(value, bool | str) or not dimension.low <= value <= dimension.high:
        return False
    return not dimension.step or (value - dimension.low) % dimension.step == 0
