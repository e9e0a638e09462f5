"""One recipe on a study's frame: what it reads, what identifies its fits, and how each is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fx_assets import models
from fx_assets.errors import FxAssetsError
from fx_assets.evaluation import tuning
from fx_assets.evaluation.folds import Fold, Positions
from fx_assets.evaluation.losses import Floats, loss_for
from fx_assets.evaluation.study_frame import StudyFrame
from fx_assets.evaluation.tuning import TRIAL_COLUMNS, Tuning
from fx_assets.models.base import Model
from fx_assets.specs import CandidateSpec, TargetSpec
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


class Recipe:
    """A candidate on a study's frame. Threads may fit and tune at once.

    ``trials`` are those of earlier tunings, of any recipes.
    """

    def __init__(self, study: StudyFrame, candidate: CandidateSpec, trials: pd.DataFrame) -> None:
        self.study, self.candidate, self.frame = study, candidate, study.frame
        self.hash, self.inputs = study.spec.recipe_hash(candidate), study.inputs(candidate)
        self._code = models.code_version(candidate.family, study.spec.target.kind)
        if candidate.tune is not None:
            self._code = digest([self._code, tuning.code_version()])
        self._known = trials
        self._new: set[int] = set()

    def fit(self, rows: Positions, seed: int, params: Mapping[str, Value]) -> Model[Any]:
        """A model of the family with these hyper-parameters, fitted on these rows."""
        model = models.build_model(self.candidate.family, self._target, params, seed=seed)
        return model.fit(self.inputs.matrix[rows], self.study.target[rows])

    def fit_fold(self, fold: Fold) -> Model[Any]:
        """The model of a fold, with the hyper-parameters that were declared or found for it."""
        found = self.tuning(fold)
        params = self.candidate.params if found is None else found.params
        return self.fit(fold.train, self.seed(fold.index), params)

    def predict(self, model: Model[Any], rows: Positions) -> Floats:
        """What a fitted model says of rows: finite numbers, or an ``FxAssetsError``."""
        values = np.asarray(model.predict(self.inputs.matrix[rows]), dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            when = self.frame["event_time"].iloc[rows[bad[0]]]
            raise FxAssetsError(
                f"{self.study.spec.name}/{self.candidate.name} predicted {values[bad[0]]} for the "
                f"row of {when}, and {len(bad) - 1} more such value(s).",
                remedy="Look at the row's features, or take the candidate out of the forecast.",
            )
        return values

    def seed(self, fold: int | str) -> int:
        """Fixed by recipe and fold."""
        return int(digest([self.hash, fold])[:8], 16) >> 1

    def content_hash(self, rows: Positions) -> str:
        """Identifies what a fit on these rows sees: inputs, targets and when each row was."""
        times = self.frame["event_time"].iloc[rows[[0, -1]]]
        content = hashlib.blake2b(digest_size=16)
        content.update(times.to_numpy(dtype="datetime64[us]").tobytes())
        content.update(b"".join([self.inputs.digests[i] for i in rows]))
        content.update(self.study.target[rows].tobytes())
        return content.hexdigest()

    def rows(self, fold: Fold) -> pd.DataFrame:
        """The fold's rows, without their predictions."""
        tuned = [] if self.candidate.tune is None else [self._keys[self._group(fold)]]
        carried = self.frame[list(_CARRIED)].iloc[fold.test].reset_index(drop=True)
        baseline = self.study.baseline[fold.test]
        return carried.assign(
            recipe=self.hash,
            family=self.candidate.family,
            candidate=self.candidate.name,
            fold=fold.index,
            prediction=np.nan,
            baseline=baseline,
            fold_key=digest([*self._fit_key(fold), *tuned]),
            row_key=self._row_keys(fold.test, carried, baseline),
        )[list(PREDICTION_COLUMNS)]

    def tuning(self, fold: Fold) -> Tuning | None:
        """The fold's tuning, carried out if need be; ``None`` for a recipe without."""
        if self.candidate.tune is None:
            return None
        for index in self.untuned([fold]):
            self.tune(index)
        return self._found[self._group(fold)]

    def untuned(self, folds: Sequence[Fold]) -> list[int]:
        """The tunings that these folds need and that are not known, oldest first."""
        if self.candidate.tune is None:
            return []
        return sorted({self._group(fold) for fold in folds} - self._found.keys())

    def tune(self, index: int) -> None:
        """Carry out one of the missing tunings. Threads may carry out different ones at once."""
        self._found[index] = self._search(self._first[index])
        self._new.add(index)

    @property
    def new_trials(self) -> pd.DataFrame:
        """The trials of the tunings that were carried out here."""
        parts = [self._found[index].trials for index in sorted(self._new)]
        return pd.concat(parts, ignore_index=True) if parts else no_trials()

    @property
    def trials(self) -> int:
        """Settings that the recipe counts as."""
        rule = self.candidate.tune
        if rule is None:
            return 1
        return max(1, max((found.completed for found in self._found.values()), default=rule.trials))

    @property
    def _target(self) -> TargetSpec:
        return self.study.spec.target

    def _fit_key(self, fold: Fold) -> list[object]:
        """Identifies a fit, but for tuned hyper-parameters."""
        return [self.hash, self._code, self.content_hash(fold.train), self.seed(fold.index)]

    def _row_keys(self, rows: Positions, carried: pd.DataFrame, baseline: Floats) -> list[str]:
        """Identifies each row's inputs, truth and baseline."""
        facts = np.column_stack(
            [
                *(
                    carried[name].to_numpy(dtype="datetime64[us]").view(np.int64)
                    for name in _CARRIED[:-1]
                ),
                carried["target"].to_numpy(dtype=np.float64).view(np.int64),
                baseline.view(np.int64),
            ]
        )
        digests = self.inputs.digests
        return [
            hashlib.blake2b(digests[i] + fact.tobytes(), digest_size=12).hexdigest()
            for i, fact in zip(rows, facts, strict=True)
        ]

    def _group(self, fold: Fold) -> int:
        """The fold whose tuning a fold shares."""
        rule = self.candidate.tune
        return fold.index - fold.index % (rule.retune_every if rule else 1)

    @cached_property
    def _first(self) -> dict[int, Fold]:
        """The folds that are tuned on."""
        return {fold.index: fold for fold in self.study.folds if fold.index == self._group(fold)}

    @cached_property
    def _keys(self) -> dict[int, str]:
        return {k: digest([*self._fit_key(fold), "tuning"]) for k, fold in self._first.items()}

    @cached_property
    def _found(self) -> dict[int, Tuning]:
        parts = {str(key): rows for key, rows in self._known.groupby("tuning_key")}
        return {
            index: tuning.tuning_of(self.candidate, parts[key])
            for index, key in self._keys.items()
            if key in parts
        }

    def _search(self, fold: Fold) -> Tuning:
        candidate, spec, rule = self.candidate, self.study.spec, self.candidate.tune
        if rule is None:
            raise FxAssetsError(f"{candidate.name} is not tuned.")
        older, newer = tuning.inner_split(self.frame, fold.train, spec, rule.validation)
        seed = self.seed(fold.index)
        own = models.build_model(candidate.family, spec.target, candidate.params).params

        def loss(drawn: Mapping[str, Value]) -> float:
            said = self.predict(self.fit(older, seed, {**candidate.params, **drawn}), newer)
            return float(loss_for(spec.target.kind)(self.study.target[newer], said).mean())

        space = tuning.search_space(candidate, spec.target)
        table = tuning.search(space, rule, own, loss, seed).assign(
            recipe=self.hash,
            candidate=candidate.name,
            tuning_key=self._keys[fold.index],
            fold=fold.index,
            trained_through=fold.train_end,
        )
        return tuning.tuning_of(candidate, table[list(TRIAL_COLUMNS)])


def no_trials() -> pd.DataFrame:
    """A table of trials without a row."""
    return pd.DataFrame(columns=list(TRIAL_COLUMNS))
