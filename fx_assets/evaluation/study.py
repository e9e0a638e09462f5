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
from fx_assets.evaluation.pooling import pool_weights, shrinkage
from fx_assets.evaluation.recipe import PREDICTION_COLUMNS, Recipe, no_trials
from fx_assets.evaluation.study_frame import StudyFrame
from fx_assets.evaluation.tuning import Tuning
from fx_assets.models import candidate_code
from fx_assets.models.base import Model
from fx_assets.models.pool import Calibrated, Pool, pooled
from fx_assets.specs import CandidateSpec, ForecastSpec
from fx_assets.specs.base import digest
from fx_assets.tables import UNCALIBRATED

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
    bars_a_day
        Of the calendar; the reference of intraday bars knows the hours of a day.
    """

    def __init__(
        self,
        spec: ForecastSpec,
        frame: pd.DataFrame,
        *,
        stored: pd.DataFrame | None = None,
        trials: pd.DataFrame | None = None,
        workers: int | None = None,
        bars_a_day: int = 1,
    ) -> None:
        super().__init__(spec, frame, bars_a_day)
        self._trials = no_trials() if trials is None or trials.empty else trials
        self._known = None
        if stored is not None and len(stored):
            self._known = _known(stored).drop_duplicates(KEYS, keep="first")
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
            walk = self._pool if self._made(candidate) else self._walk
            found = self._walked[key] = walk(candidate, progress)
            if len(found.new_trials) and not self._made(candidate):
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
        if self._made(candidate):
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
        if self._made(candidate):
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

    def _made(self, candidate: CandidateSpec) -> bool:
        """Whether it is made of others: a pool, or a candidate that is calibrated."""
        return candidate.pools or self.spec.calibrates(candidate)

    def _pool(self, pool: CandidateSpec, progress: Progress | None) -> Backtest:
        """A pool's rows from those of its members, which are walked forward but once; or a
        calibrated candidate's from its own and the baseline's."""
        base = self.spec.baseline
        backtests = [
            self.walk_forward(m, None if m == base else progress) for m in self.spec.made_of(pool)
        ]
        walked = [each.predictions for each in backtests]
        rows = walked[0].assign(
            recipe=self.spec.recipe_hash(pool), family=pool.family, candidate=pool.name
        )
        rows = rows.drop(columns=UNCALIBRATED, errors="ignore")
        code, said = candidate_code(self.spec, pool), _said(walked)
        keys = [[*each] for each in zip(*(w["fold_key"] for w in walked), strict=True)]
        predicted, fold_keys = np.empty(len(rows)), np.empty(len(rows), dtype=object)
        for fold in np.unique(rows["fold"]):
            now = np.flatnonzero(rows["fold"] == fold)
            weights = self._weights(pool, rows, said, rows["event_time"].iloc[now[0]])
            alone = np.flatnonzero(weights == 1)
            predicted[now] = (
                said[now, alone[0]] if len(alone) else pooled(said[now], weights, self.spec.target)
            )
            key = digest([rows["recipe"].iloc[0], code, *keys[now[0]], *weights.tolist()])
            fold_keys[now] = key if pool.pools else f"{keys[now[0]][0]}:{key}"
        rows["prediction"], rows["fold_key"] = predicted, fold_keys.tolist()
        if pool.pools:
            parts = zip(*(w["row_key"] for w in walked), strict=True)
            rows["row_key"] = [
                hashlib.blake2b("".join(part).encode(), digest_size=12).hexdigest()
                for part in parts
            ]
        else:
            rows[UNCALIBRATED] = said[:, 0]
        made = Backtest(
            predictions=rows,
            new_rows=self._new(rows),
            fits=0,
            new_trials=no_trials(),
            trials=1,
        )
        if pool.pools:
            return made
        own = backtests[0]
        return replace(made, fits=own.fits, new_trials=own.new_trials, trials=own.trials)

    def _weights(
        self, pool: CandidateSpec, rows: pd.DataFrame, said: Floats, when: pd.Timestamp | None
    ) -> Floats:
        """From the labels that were known at a time, or from all."""
        known = rows["target"].notna()
        if when is not None:
            known &= rows["label_available_at"] <= when
        at = np.flatnonzero(known)
        came = rows["target"].to_numpy(dtype=np.float64)[at]
        if not pool.pools:
            share = shrinkage(said[at, 0], said[at, 1], came)
            return np.array([share, 1 - share])
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
        """What it is made of, fitted on every labelled row, with the weights that all labels give.

        Log-odds of calibrated members are weighted means themselves, so that one mean is enough.
        """
        shares = self._shares(pool)
        fitted = [self._finals(member) for member in self.spec.fitted_of(pool)]
        made = Pool if pool.pools else Calibrated
        model = made(
            target=self.spec.target,
            members={f.candidate.name: _single(f.model) for f in fitted},
            reads=self.reads(pool),
            weights=np.array([shares[one.candidate.name] for one in fitted]),
            how=pool.weights,
        )
        newest = max(fitted, key=lambda one: one.label_end) if pool.pools else fitted[0]
        return replace(
            newest,
            model=model,
            candidate=pool,
            recipe=self.spec.recipe_hash(pool),
            seed=0 if pool.pools else newest.seed,
            train_row_hash=digest([one.train_row_hash for one in fitted]),
            tuning=None if pool.pools else newest.tuning,
        )

    def _shares(self, candidate: CandidateSpec) -> dict[str, float]:
        """How much each candidate that is fitted for one counts, from all labels."""
        if not self._made(candidate):
            return {candidate.name: 1.0}
        members = self.spec.made_of(candidate)
        weights = np.full(len(members), 1 / len(members))
        if candidate.weights != "equal" or not candidate.pools:
            walked = [self.walk_forward(m).predictions for m in members]
            weights = self._weights(candidate, walked[0], _said(walked), None)
        found: dict[str, float] = {}
        for member, weight in zip(members, weights.tolist(), strict=True):
            for name, share in self._shares(member).items():
                found[name] = found.get(name, 0.0) + weight * share
        return found

    def _finals(self, candidate: CandidateSpec) -> FittedCandidate:
        """A candidate fitted on every labelled row, which is done but once."""
        key = candidate.name, self.spec.recipe_hash(candidate)
        if key in self._fitted:
            return self._fitted[key]
        made = self._final(candidate)
        if candidate == self.spec.baseline or any(
            candidate.name in other.members for other in self.spec.candidates
        ):
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
            new_rows=self._new(rows),
            fits=len(stale),
            new_trials=recipe.new_trials,
            trials=recipe.trials,
        )

    def _stored(self, rows: pd.DataFrame) -> Floats:
        if self._known is None:
            return np.full(len(rows), np.nan)
        found = rows[KEYS].merge(self._known, on=KEYS, how="left")
        return found["prediction"].to_numpy(dtype=np.float64, copy=True)

    def _new(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows that no stored row says itself."""
        if self._known is None:
            return rows.copy()
        told = self._known.loc[self._known["told"], KEYS]
        there = rows[KEYS].merge(told, on=KEYS, how="left", indicator="there")["there"]
        return rows[(there == "left_only").to_numpy()].reset_index(drop=True)


def _known(stored: pd.DataFrame) -> pd.DataFrame:
    """Predictions by their keys; of calibrated ones those that they were made of as well.

    The ``fold_key`` of a calibrated row begins with that of the fit.
    """
    found = stored[[*KEYS, "prediction"]].iloc[::-1].assign(told=True)
    if UNCALIBRATED not in stored:
        return found
    made = stored[stored[UNCALIBRATED].notna()]
    plain = made["fold_key"].str.split(":").str[0]
    raw = made.assign(fold_key=plain, prediction=made[UNCALIBRATED], told=False)[found.columns]
    return pd.concat([found, raw], ignore_index=True) if len(raw) else found


def _said(tables: Sequence[pd.DataFrame]) -> Floats:
    """(n, m) predictions of m members' rows."""
    return np.column_stack([table["prediction"].to_numpy(dtype=np.float64) for table in tables])


def _single(model: Model[Any] | Pool) -> Model[Any]:
    if isinstance(model, Pool):
        raise FxAssetsError("A pool's member is a pool.", remedy="Name the members of both in one.")
    return model
