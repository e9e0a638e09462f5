"""A candidate's view of a labelled frame, and the hyper-parameters of each of its fits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fx_assets import models
from fx_assets.errors import FxAssetsError
from fx_assets.evaluation import tuning
from fx_assets.evaluation.folds import Fold, Positions, feature_columns
from fx_assets.evaluation.losses import Floats, loss_for
from fx_assets.evaluation.tuning import TRIAL_COLUMNS, Tuning
from fx_assets.models.base import Model
from fx_assets.specs import CandidateSpec, ForecastSpec
from fx_assets.specs.base import digest
from fx_assets.specs.tuning import Value

PREDICTION_COLUMNS = (
    "recipe",
    "family",
    "candidate",
    "fold",
    "event_time",
    "target_time",
    "prediction",
    "target",
    "baseline",
    "fold_key",
    "row_key",
    "label_available_at",
)
_CARRIED = ("event_time", "target_time", "label_available_at", "target")


@dataclass(frozen=True)
class Problem:
    """A candidate's view of a labelled frame: input matrix, target, and a digest of each row."""

    candidate: CandidateSpec
    spec: ForecastSpec
    frame: pd.DataFrame
    inputs: Floats
    target: Floats
    recipe: str
    code: str
    digests: list[bytes]

    @classmethod
    def of(cls, candidate: CandidateSpec, spec: ForecastSpec, frame: pd.DataFrame) -> Problem:
        model = models.build_model(candidate.family, spec.target, candidate.params)
        inputs = models.model_inputs(frame, type(model), feature_columns(frame))
        return cls(
            candidate=candidate,
            spec=spec,
            frame=frame,
            inputs=inputs,
            target=frame["target"].to_numpy(dtype=np.float64),
            recipe=spec.recipe_hash(candidate),
            code=_code_version(candidate),
            digests=[hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in inputs],
        )

    def fit(self, rows: Positions, seed: int, params: Mapping[str, Value]) -> Model[Any]:
        """A model of the family with these hyper-parameters, fitted on these rows."""
        model = models.build_model(self.candidate.family, self.spec.target, params, seed=seed)
        return model.fit(self.inputs[rows], self.target[rows])

    def predict(self, model: Model[Any], rows: Positions) -> Floats:
        """What a fitted model says of rows: finite numbers, or an ``FxAssetsError``."""
        values = np.asarray(model.predict(self.inputs[rows]), dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            when = self.frame["event_time"].iloc[rows[bad[0]]]
            raise FxAssetsError(
                f"{self.spec.name}/{self.candidate.name} predicted {values[bad[0]]} for the row "
                f"of {when}, and {len(bad) - 1} more such value(s).",
                remedy="Look at the row's features, or take the candidate out of the forecast.",
            )
        return values

    def seed(self, fold: int | str) -> int:
        """Fixed by recipe and fold."""
        return int(digest([self.recipe, fold])[:8], 16) >> 1

    def content_hash(self, rows: Positions) -> str:
        """Identifies what a fit on these rows sees: inputs, targets and when each row was."""
        times = self.frame["event_time"].iloc[rows[[0, -1]]]
        content = hashlib.blake2b(digest_size=16)
        content.update(times.to_numpy(dtype="datetime64[us]").tobytes())
        content.update(b"".join([self.digests[i] for i in rows]))
        content.update(self.target[rows].tobytes())
        return content.hexdigest()

    def fit_key(self, fold: Fold) -> list[object]:
        """Identifies a fit, but for tuned hyper-parameters."""
        return [self.recipe, self.code, self.content_hash(fold.train), self.seed(fold.index)]

    def row_keys(self, rows: Positions, baseline: Floats) -> list[str]:
        """Identifies each row's inputs, truth and baseline."""
        carried = self.frame[list(_CARRIED)].iloc[rows]
        facts = np.column_stack(
            [
                *(
                    carried[name].to_numpy(dtype="datetime64[us]").view(np.int64)
                    for name in _CARRIED[:-1]
                ),
                carried["target"].to_numpy(dtype=np.float64).view(np.int64),
                baseline[rows].view(np.int64),
            ]
        )
        return [
            hashlib.blake2b(self.digests[i] + fact.tobytes(), digest_size=12).hexdigest()
            for i, fact in zip(rows, facts, strict=True)
        ]

    def rows(self, fold: Fold, fold_key: str, baseline: Floats) -> pd.DataFrame:
        """The fold's rows, without their predictions."""
        table = self.frame[list(_CARRIED)].iloc[fold.test].reset_index(drop=True)
        return table.assign(
            recipe=self.recipe,
            family=self.candidate.family,
            candidate=self.candidate.name,
            fold=fold.index,
            prediction=np.nan,
            baseline=baseline[fold.test],
            fold_key=fold_key,
            row_key=self.row_keys(fold.test, baseline),
        )[list(PREDICTION_COLUMNS)]


class FoldSettings:
    """The hyper-parameters of each fold: declared ones, or those of the tuning that it shares."""

    def __init__(self, problem: Problem, folds: Sequence[Fold], known: pd.DataFrame | None) -> None:
        self._problem, self._rule = problem, problem.candidate.tune
        self._first: dict[int, Fold] = {}
        self._keys: dict[int, str] = {}
        self._found: dict[int, Tuning] = {}
        self._new: set[int] = set()
        if self._rule is None:
            return
        every = self._rule.retune_every
        self._first = {fold.index: fold for fold in folds if fold.index % every == 0}
        self._keys = {
            index: digest([*problem.fit_key(fold), "tuning"]) for index, fold in self._first.items()
        }
        trials = no_trials() if known is None or known.empty else known
        for index, key in self._keys.items():
            rows = trials[trials["tuning_key"] == key]
            if len(rows):
                self._found[index] = tuning.tuning_of(problem.candidate, rows)

    def fold_key(self, fold: Fold) -> str:
        """Identifies a fold's fit."""
        tuned = [] if self._rule is None else [self._keys[self._group(fold)]]
        return digest([*self._problem.fit_key(fold), *tuned])

    def missing(self, folds: Sequence[Fold]) -> list[int]:
        """The tunings that these folds need and that are not known, oldest first."""
        needed = set() if self._rule is None else {self._group(fold) for fold in folds}
        return sorted(needed - self._found.keys())

    def tune(self, index: int) -> None:
        """Carry out one of the missing tunings. Threads may carry out different ones at once."""
        self._found[index] = self._tuning(self._first[index])
        self._new.add(index)

    def of(self, fold: Fold) -> Mapping[str, Value]:
        """What a fold is fitted with."""
        found = self.tuning(fold)
        return self._problem.candidate.params if found is None else found.params

    def tuning(self, fold: Fold) -> Tuning | None:
        """The fold's tuning, carried out if need be; ``None`` for a recipe without."""
        if self._rule is None:
            return None
        for index in self.missing([fold]):
            self.tune(index)
        return self._found[self._group(fold)]

    @property
    def new_trials(self) -> pd.DataFrame:
        """The trials of the tunings that were carried out here."""
        parts = [self._found[index].trials for index in sorted(self._new)]
        return pd.concat(parts, ignore_index=True) if parts else no_trials()

    @property
    def trials(self) -> int:
        """Settings that the recipe counts as."""
        if self._rule is None:
            return 1
        most = max((found.completed for found in self._found.values()), default=self._rule.trials)
        return max(1, most)

    def _group(self, fold: Fold) -> int:
        return fold.index - fold.index % (self._rule.retune_every if self._rule else 1)

    def _tuning(self, fold: Fold) -> Tuning:
        problem, rule = self._problem, self._rule
        if rule is None:
            raise FxAssetsError(f"{problem.candidate.name} is not tuned.")
        candidate, target = problem.candidate, problem.spec.target
        older, newer = tuning.inner_split(problem.frame, fold.train, problem.spec, rule.validation)
        seed = problem.seed(fold.index)
        own = models.build_model(candidate.family, target, candidate.params).params

        def loss(drawn: Mapping[str, Value]) -> float:
            model = problem.fit(older, seed, {**candidate.params, **drawn})
            said = problem.predict(model, newer)
            return float(loss_for(target.kind)(problem.target[newer], said).mean())

        space = tuning.search_space(candidate, target)
        table = tuning.search(space, rule, own, loss, seed).assign(
            recipe=problem.recipe,
            candidate=candidate.name,
            tuning_key=self._keys[fold.index],
            fold=fold.index,
            trained_through=fold.train_end,
        )
        return tuning.tuning_of(candidate, table[list(TRIAL_COLUMNS)])


def no_trials() -> pd.DataFrame:
    """A table of trials without a row."""
    return pd.DataFrame(columns=list(TRIAL_COLUMNS))


def _code_version(candidate: CandidateSpec) -> str:
    fits = models.code_version(candidate.family)
    return fits if candidate.tune is None else digest([fits, tuning.code_version()])
