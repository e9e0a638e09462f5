"""A forecast's candidates on one labelled frame: walked forward, and fitted on all of it.

Out-of-sample predictions for all of history are paid for once. Every row carries two keys.
``fold_key`` identifies the fit: recipe, code and the content of the training rows, and of those
that its hyper-parameters were tuned on. ``row_key`` identifies what is predicted and what came of
it. A row whose keys are stored is not computed again, and a fold without a new row is not fitted
again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.errors import FxAssetsError, NotEnoughDataError
from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.pooling import pool_weights
from fx_assets.evaluation.recipe import PREDICTION_COLUMNS, Recipe, no_trials
from fx_assets.evaluation.study_frame import StudyFrame
from fx_assets.evaluation.tuning import Tuning
from fx_assets.models import candidate_code
from fx_assets.models.base import Model
from fx_assets.models.pool import Pool, pooled
from fx_assets.specs import CandidateSpec, ForecastSpec
from fx_assets.specs.base import digest

__all__ = ["PREDICTION_COLUMNS", "Backtest", "FittedCandidate", "Study"]

KEYS = ["fold_key", "row_key"]

Progress = Callable[[int, int], None]
"""Called with the number of fits and tunings done and to do."""


@dataclass(frozen=True)
class Backtest:
    """The stitched walk-forward rows of one recipe.

    ``predictions`` has one row for every labelled test row of every fold, sorted by event time,
    with the columns in ``PREDICTION_COLUMNS``. ``new_rows`` are those that were not stored: what is
    to be appended to the ``backtest`` table. ``fits`` is how many models were fitted, without the
    trials of a tuning. ``new_trials`` are the trials of the tunings that were not known, with the
    columns in ``TRIAL_COLUMNS``: what is to be appended to the ``trials`` table. ``trials`` is how
    many settings the promotion rule counts the recipe as: 1, or the most that a tuning compared.
    """

    predictions: pd.DataFrame
    new_rows: pd.DataFrame
    fits: int
    new_trials: pd.DataFrame
    trials: int


@dataclass(frozen=True)
class FittedCandidate:
    """A recipe fitted on every labelled row: what predicts tomorrow if it is the champion.

    ``trained_through`` is the event time of the newest training row, ``label_end`` the moment at
    which the last of its labels was known (both UTC). ``tuning`` is the newest of a tuned recipe,
    which the hyper-parameters are from.
    """

    model: Model[Any] | Pool
    candidate: CandidateSpec
    recipe: str
    seed: int
    trained_through: pd.Timestamp
    label_end: pd.Timestamp
    n_rows: int
    train_row_hash: str
    tuning: Tuning | None = None


class Study(StudyFrame):
    """What all candidates of a forecast share on one frame, each part found once.

    Parameters
    ----------
    spec
        The forecast.
    frame
        Its labelled frame.
    stored
        Rows of earlier backtests, of any recipes; without them everything is computed.
    trials
        Trials of earlier tunings, of any recipes, which are not carried out again.
    workers
        Threads that fit; every core by default. No result depends on it.
    """

    def __init__(
        self,
        spec: ForecastSpec,
        frame: pd.DataFrame,
        *,
        stored: pd.DataFrame | None = None,
        trials: pd.DataFrame | None = None,
        workers: int | None = None,
    ) -> None:
        super().__init__(spec, frame)
        self._trials = no_trials() if trials is None or trials.empty else trials
        self._known = None
        if stored is not None and len(stored):
            known = stored[[*KEYS, "prediction"]]
            self._known = known.drop_duplicates(KEYS, keep="last")
        self._workers = workers or os.cpu_count()
        self._walked: dict[tuple[str, str], Backtest] = {}
        self._fitted: dict[tuple[str, str], FittedCandidate] = {}

    def walk_forward(self, candidate: CandidateSpec, progress: Progress | None = None) -> Backtest:
        """Predict every fold's test rows with a model fitted on its training rows.

        A tuned candidate is tuned first, on the training rows of every ``retune_every``-th fold.
        Asked again, a study answers with the same rows.

        Raises
        ------
        FxAssetsError
            A model predicted something that is not a finite number.
        """
        key = candidate.name, self.spec.recipe_hash(candidate)
        if key not in self._walked:
            walk = self._pool if candidate.pools else self._walk
            found = self._walked[key] = walk(candidate, progress)
            if len(found.new_trials):
                known = [self._trials] if len(self._trials) else []
                self._trials = pd.concat([*known, found.new_trials], ignore_index=True)
        return self._walked[key]

    def previous(self, candidate: CandidateSpec) -> pd.DataFrame:
        """What the fit before would have said of the newest ``promotion.refresh_rows`` test rows.

        Each row is predicted by the fit of the fold before its own, so that it is out of sample for
        both fits, and the loss of one refit more can be measured on identical rows. It costs one
        fit for each fold that the rows reach into.

        Returns
        -------
        DataFrame
            ``event_time`` and ``prediction``; fewer rows where there is no fold before.
        """
        if candidate.pools:
            return self._pool_previous(candidate)
        recipe, left = self._recipe(candidate), self.spec.promotion.refresh_rows
        tests: list[NDArray[np.intp]] = []
        said: list[Floats] = []
        for older, newer in reversed(list(pairwise(self.folds))):
            if left <= 0:
                break
            tests.append(newer.test[-left:])
            said.append(recipe.predict(recipe.fit_fold(older), tests[-1]))
            left -= len(tests[-1])
        rows = np.concatenate([*tests[::-1], np.empty(0, dtype=np.intp)])
        times = self.frame["event_time"].iloc[rows].reset_index(drop=True)
        return pd.DataFrame(
            {"event_time": times, "prediction": np.concatenate([*said[::-1], np.empty(0)])}
        )

    def final(self, candidate: CandidateSpec) -> FittedCandidate:
        """Fit a recipe on every labelled row, or on the newest of them if its window rolls.

        A tuned recipe takes the hyper-parameters of the newest fold, as a fold of its own group
        would: so the backtest is of the same procedure.

        Raises
        ------
        NotEnoughDataError
            Fewer labelled rows than ``walk_forward.min_train``.
        """
        return self._finals(candidate)

    def _final(self, candidate: CandidateSpec) -> FittedCandidate:
        rule, rows = self.spec.walk_forward, self.labelled
        if rule.window is not None:
            rows = rows[-rule.window :]
        if len(rows) < rule.min_train:
            raise NotEnoughDataError(
                f"{self.spec.name}/{candidate.name}: {len(rows)} labelled rows past the warm-up, "
                f"fewer than walk_forward.min_train = {rule.min_train}.",
                remedy="Load more bars, or lower walk_forward.min_train.",
            )
        if candidate.pools:
            return self._pool_final(candidate)
        recipe = self._recipe(candidate)
        seed = recipe.seed("final")
        found = None if candidate.tune is None else recipe.tuning(self.folds[-1])
        params = candidate.params if found is None else found.params
        return FittedCandidate(
            model=recipe.fit(rows, seed, params),
            candidate=candidate,
            recipe=recipe.hash,
            seed=seed,
            trained_through=self.frame["event_time"].iloc[rows[-1]],
            label_end=self.frame["label_available_at"].iloc[rows].max(),
            n_rows=len(rows),
            train_row_hash=recipe.content_hash(rows),
            tuning=found,
        )

    def _pool(self, pool: CandidateSpec, progress: Progress | None) -> Backtest:
        """A pool's rows from those of its members, which are walked forward but once."""
        walked = [self.walk_forward(m, progress).predictions for m in self.spec.made_of(pool)]
        rows = walked[0].assign(
            recipe=self.spec.recipe_hash(pool), family=pool.family, candidate=pool.name
        )
        code, said = candidate_code(self.spec, pool), _said(walked)
        keys = [[*each] for each in zip(*(w["fold_key"] for w in walked), strict=True)]
        predicted, fold_keys = np.empty(len(rows)), np.empty(len(rows), dtype=object)
        for fold in np.unique(rows["fold"]):
            now = np.flatnonzero(rows["fold"] == fold)
            weights = self._weights(pool, rows, said, rows["event_time"].iloc[now[0]])
            predicted[now] = pooled(said[now], weights, self.spec.target)
            fold_keys[now] = digest(
                [rows["recipe"].iloc[0], code, *keys[now[0]], *weights.tolist()]
            )
        parts = zip(*(w["row_key"] for w in walked), strict=True)
        rows["prediction"], rows["fold_key"] = predicted, fold_keys.tolist()
        rows["row_key"] = [
            hashlib.blake2b("".join(part).encode(), digest_size=12).hexdigest() for part in parts
        ]
        missing = np.isnan(self._stored(rows))
        new_rows = rows[missing].reset_index(drop=True)
        return Backtest(
            predictions=rows, new_rows=new_rows, fits=0, new_trials=no_trials(), trials=1
        )

    def _weights(
        self, pool: CandidateSpec, rows: pd.DataFrame, said: Floats, when: pd.Timestamp | None
    ) -> Floats:
        """From the labels that were known at a time, or from all."""
        known = rows["target"].notna()
        if when is not None:
            known &= rows["label_available_at"] <= when
        at = np.flatnonzero(known)
        came = rows["target"].to_numpy(dtype=np.float64)[at]
        names, base = pool.members, self.spec.baseline.name
        baseline = names.index(base) if base in names else None
        return pool_weights(pool.weights, said[at], came, self.spec.target, baseline)

    def _pool_previous(self, pool: CandidateSpec) -> pd.DataFrame:
        """Its members' fits before, with the weights that it had before them."""
        walked = [self.walk_forward(m).predictions for m in self.spec.made_of(pool)]
        before = [self.previous(member) for member in self.spec.made_of(pool)]
        rows, said = before[0][["event_time"]].copy(), _said(before)
        first = walked[0].merge(rows.head(1), on="event_time")["fold"].min() if len(rows) else 0
        older = walked[0]["event_time"][walked[0]["fold"] == max(first - 1, 0)]
        when = older.iloc[0] if len(older) else walked[0]["event_time"].iloc[0]
        weights = self._weights(pool, walked[0], _said(walked), when)
        return rows.assign(prediction=pooled(said, weights, self.spec.target))

    def _pool_final(self, pool: CandidateSpec) -> FittedCandidate:
        """Its members fitted on every labelled row, with the weights that all labels give."""
        members = self.spec.made_of(pool)
        fitted = [self._finals(member) for member in members]
        weights = np.full(len(members), 1 / len(members))
        if pool.weights != "equal":
            walked = [self.walk_forward(m).predictions for m in members]
            weights = self._weights(pool, walked[0], _said(walked), None)
        model = Pool(
            target=self.spec.target,
            members={f.candidate.name: _single(f.model) for f in fitted},
            reads=self.reads(pool),
            weights=weights,
            how=pool.weights,
        )
        newest = max(fitted, key=lambda one: one.label_end)
        return replace(
            newest,
            model=model,
            candidate=pool,
            recipe=self.spec.recipe_hash(pool),
            seed=0,
            train_row_hash=digest([one.train_row_hash for one in fitted]),
            tuning=None,
        )

    def _finals(self, candidate: CandidateSpec) -> FittedCandidate:
        """A candidate fitted on every labelled row, which is done but once."""
        key = candidate.name, self.spec.recipe_hash(candidate)
        if key in self._fitted:
            return self._fitted[key]
        made = self._final(candidate)
        if any(candidate.name in other.members for other in self.spec.candidates):
            self._fitted[key] = made
        return made

    def _recipe(self, candidate: CandidateSpec) -> Recipe:
        return Recipe(self, candidate, self._trials)

    def _walk(self, candidate: CandidateSpec, progress: Progress | None) -> Backtest:
        recipe, cut = self._recipe(candidate), self.folds
        rows = pd.concat([recipe.rows(fold) for fold in cut], ignore_index=True)
        rows["prediction"] = self._stored(rows)
        missing = rows["prediction"].isna().to_numpy()

        bounds = np.cumsum([0, *(fold.n_test for fold in cut)])
        stale = [k for k in range(len(cut)) if missing[bounds[k] : bounds[k + 1]].any()]
        untuned = recipe.untuned([cut[k] for k in stale])
        steps = len(untuned) + len(stale)

        def predict(k: int) -> tuple[NDArray[np.bool_], Floats]:
            wanted = missing[bounds[k] : bounds[k + 1]]
            return wanted, recipe.predict(recipe.fit_fold(cut[k]), cut[k].test[wanted])

        with ThreadPoolExecutor(self._workers) as pool:
            tunings = [pool.submit(recipe.tune, index) for index in untuned]
            for done, tuned in enumerate(as_completed(tunings), start=1):
                tuned.result()
                if progress is not None:
                    progress(done, steps)
            jobs = {pool.submit(predict, k): k for k in stale}
            predicted = rows["prediction"].to_numpy(copy=True)
            for done, job in enumerate(as_completed(jobs), start=len(untuned) + 1):
                wanted, values = job.result()
                predicted[bounds[jobs[job]] : bounds[jobs[job] + 1]][wanted] = values
                if progress is not None:
                    progress(done, steps)
        rows["prediction"] = predicted
        return Backtest(
            predictions=rows,
            new_rows=rows[missing].reset_index(drop=True),
            fits=len(stale),
            new_trials=recipe.new_trials,
            trials=recipe.trials,
        )

    def _stored(self, rows: pd.DataFrame) -> Floats:
        if self._known is None:
            return np.full(len(rows), np.nan)
        found = rows[KEYS].merge(self._known, on=KEYS, how="left")
        return found["prediction"].to_numpy(dtype=np.float64, copy=True)


def _said(tables: Sequence[pd.DataFrame]) -> Floats:
    """(n, m) predictions of m members' rows."""
    return np.column_stack([table["prediction"].to_numpy(dtype=np.float64) for table in tables])


def _single(model: Model[Any] | Pool) -> Model[Any]:
    if isinstance(model, Pool):
        raise FxAssetsError("A pool's member is a pool.", remedy="Name the members of both in one.")
    return model
