"""Out-of-sample predictions for all of history, paid for once.

Every row carries two keys. ``fold_key`` identifies the fit: recipe, code and the content of the
training rows. ``row_key`` identifies what is predicted and what came of it. A row whose keys are
in the cache is not computed again, and a fold without a new row is not fitted again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets import models
from fx_assets.errors import FxAssetsError, NotEnoughDataError
from fx_assets.evaluation.folds import Fold, Positions, feature_columns, labelled_rows
from fx_assets.evaluation.losses import Floats, baseline_forecast
from fx_assets.models.base import Model
from fx_assets.specs import CandidateSpec, ForecastSpec
from fx_assets.specs.base import digest

Progress = Callable[[int, int], None]
"""Called with the number of fits done and to do."""

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
class Backtest:
    """The stitched walk-forward rows of one recipe.

    ``predictions`` has one row for every labelled test row of every fold, sorted by event time,
    with the columns in ``PREDICTION_COLUMNS``. ``new_rows`` are those that were not cached: what is
    to be appended to the ``backtest`` table. ``fits`` is how many models were fitted.
    """

    predictions: pd.DataFrame
    new_rows: pd.DataFrame
    fits: int


@dataclass(frozen=True)
class FittedCandidate:
    """A recipe fitted on every labelled row: what predicts tomorrow if it is the champion.

    ``trained_through`` is the event time of the newest training row, ``label_end`` the moment at
    which the last of its labels was known (both UTC).
    """

    model: Model[Any]
    candidate: CandidateSpec
    recipe: str
    seed: int
    trained_through: pd.Timestamp
    label_end: pd.Timestamp
    n_rows: int
    train_row_hash: str


@dataclass(frozen=True)
class _Problem:
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
    def of(cls, candidate: CandidateSpec, spec: ForecastSpec, frame: pd.DataFrame) -> _Problem:
        model = models.build_model(candidate.family, spec.target, candidate.params)
        inputs = models.model_inputs(frame, type(model), feature_columns(frame))
        return cls(
            candidate=candidate,
            spec=spec,
            frame=frame,
            inputs=inputs,
            target=frame["target"].to_numpy(dtype=np.float64),
            recipe=spec.recipe_hash(candidate),
            code=models.code_version(candidate.family),
            digests=[hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in inputs],
        )

    def fit(self, rows: Positions, seed: int) -> Model[Any]:
        model = models.build_model(
            self.candidate.family, self.spec.target, self.candidate.params, seed=seed
        )
        return model.fit(self.inputs[rows], self.target[rows])

    def seed(self, fold: int | str) -> int:
        return int(digest([self.recipe, fold])[:8], 16) >> 1

    def content_hash(self, rows: Positions) -> str:
        """Identifies what a fit on these rows sees: inputs, targets and when each row was."""
        times = self.frame["event_time"].iloc[rows[[0, -1]]]
        content = hashlib.blake2b(digest_size=16)
        content.update(times.to_numpy(dtype="datetime64[us]").tobytes())
        content.update(b"".join([self.digests[i] for i in rows]))
        content.update(self.target[rows].tobytes())
        return content.hexdigest()

    def fold_key(self, fold: Fold) -> str:
        return digest(
            [self.recipe, self.code, self.content_hash(fold.train), self.seed(fold.index)]
        )

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

    def rows(self, fold: Fold, baseline: Floats) -> pd.DataFrame:
        """The fold's rows, without their predictions."""
        table = self.frame[list(_CARRIED)].iloc[fold.test].reset_index(drop=True)
        return table.assign(
            recipe=self.recipe,
            family=self.candidate.family,
            candidate=self.candidate.name,
            fold=fold.index,
            prediction=np.nan,
            baseline=baseline[fold.test],
            fold_key=self.fold_key(fold),
            row_key=self.row_keys(fold.test, baseline),
        )[list(PREDICTION_COLUMNS)]


def walk_forward(
    candidate: CandidateSpec,
    spec: ForecastSpec,
    frame: pd.DataFrame,
    folds: Sequence[Fold],
    cached: pd.DataFrame | None = None,
    progress: Progress | None = None,
    max_workers: int | None = None,
) -> Backtest:
    """Predict every fold's test rows with a model fitted on its training rows.

    Parameters
    ----------
    candidate, spec
        The recipe and the forecast that it is a candidate of.
    frame
        Labelled frame.
    folds
        From :func:`fx_assets.evaluation.folds.folds` on the same frame.
    cached
        Rows of earlier backtests, of any recipes; ``None`` computes everything.
    progress
        Told how many fits are done and to do.
    max_workers
        Threads that fit; every core by default. The result does not depend on it.

    Raises
    ------
    FxAssetsError
        A model predicted something that is not a finite number.
    """
    problem = _Problem.of(candidate, spec, frame)
    baseline = baseline_forecast(spec.target, frame["baseline_mean"])
    tables = [problem.rows(fold, baseline) for fold in folds]
    rows = pd.concat(tables, ignore_index=True)
    rows["prediction"] = _from_cache(rows, cached)
    missing = rows["prediction"].isna().to_numpy()

    bounds = np.cumsum([0, *(fold.n_test for fold in folds)])
    stale = [k for k in range(len(folds)) if missing[bounds[k] : bounds[k + 1]].any()]

    def predict(k: int) -> tuple[NDArray[np.bool_], Floats]:
        fold = folds[k]
        wanted = missing[bounds[k] : bounds[k + 1]]
        model = problem.fit(fold.train, problem.seed(fold.index))
        return wanted, _predict(model, problem, fold.test[wanted])

    with ThreadPoolExecutor(max_workers or os.cpu_count()) as pool:
        jobs = {pool.submit(predict, k): k for k in stale}
        predicted = rows["prediction"].to_numpy(copy=True)
        for done, job in enumerate(as_completed(jobs), start=1):
            wanted, values = job.result()
            predicted[bounds[jobs[job]] : bounds[jobs[job] + 1]][wanted] = values
            if progress is not None:
                progress(done, len(stale))
    rows["prediction"] = predicted
    return Backtest(rows, rows[missing].reset_index(drop=True), len(stale))


def previous_fits(
    candidate: CandidateSpec,
    spec: ForecastSpec,
    frame: pd.DataFrame,
    folds: Sequence[Fold],
    rows: int,
) -> pd.DataFrame:
    """What the fit before would have said of the newest ``rows`` test rows.

    Each row is predicted by the fit of the fold before its own, so that it is out of sample for
    both fits, and the loss of one refit more can be measured on identical rows. It costs one fit
    for each fold that the rows reach into.

    Returns
    -------
    DataFrame
        ``event_time`` and ``prediction``; fewer rows where there is no fold before.
    """
    problem = _Problem.of(candidate, spec, frame)
    parts: list[pd.DataFrame] = []
    left = rows
    for older, newer in reversed(list(pairwise(folds))):
        if left <= 0:
            break
        test = newer.test[-left:]
        left -= len(test)
        model = problem.fit(older.train, problem.seed(older.index))
        parts.append(
            pd.DataFrame(
                {
                    "event_time": frame["event_time"].iloc[test].to_numpy(),
                    "prediction": _predict(model, problem, test),
                }
            )
        )
    if not parts:
        return pd.DataFrame({"event_time": frame["event_time"].iloc[:0], "prediction": []})
    table = pd.concat(parts[::-1], ignore_index=True)
    return table.assign(event_time=pd.to_datetime(table["event_time"], utc=True).dt.as_unit("us"))


def fit_final(candidate: CandidateSpec, spec: ForecastSpec, frame: pd.DataFrame) -> FittedCandidate:
    """Fit a recipe on every labelled row, or on the newest of them if its window rolls.

    Raises
    ------
    NotEnoughDataError
        Fewer labelled rows than ``walk_forward.min_train``.
    """
    rows = np.flatnonzero(labelled_rows(frame)).astype(np.intp)
    if spec.walk_forward.window is not None:
        rows = rows[-spec.walk_forward.window :]
    if len(rows) < spec.walk_forward.min_train:
        raise NotEnoughDataError(
            f"{spec.name}/{candidate.name}: {len(rows)} labelled rows past the warm-up, fewer than "
            f"walk_forward.min_train = {spec.walk_forward.min_train}.",
            remedy="Load more bars, or lower walk_forward.min_train.",
        )
    problem = _Problem.of(candidate, spec, frame)
    seed = problem.seed("final")
    return FittedCandidate(
        model=problem.fit(rows, seed),
        candidate=candidate,
        recipe=problem.recipe,
        seed=seed,
        trained_through=frame["event_time"].iloc[rows[-1]],
        label_end=frame["label_available_at"].iloc[rows].max(),
        n_rows=len(rows),
        train_row_hash=problem.content_hash(rows),
    )


def _predict(model: Model[Any], problem: _Problem, rows: Positions) -> Floats:
    values = np.asarray(model.predict(problem.inputs[rows]), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        when = problem.frame["event_time"].iloc[rows[bad[0]]]
        raise FxAssetsError(
            f"{problem.spec.name}/{problem.candidate.name} predicted {values[bad[0]]} for the row "
            f"of {when}, and {len(bad) - 1} more such value(s).",
            remedy="Look at the row's features, or take the candidate out of the forecast.",
        )
    return values


def _from_cache(rows: pd.DataFrame, cached: pd.DataFrame | None) -> Floats:
    if cached is None or cached.empty:
        return np.full(len(rows), np.nan)
    known = cached[["fold_key", "row_key", "prediction"]].drop_duplicates(
        ["fold_key", "row_key"], keep="last"
    )
    found = rows[["fold_key", "row_key"]].merge(known, on=["fold_key", "row_key"], how="left")
    return found["prediction"].to_numpy(dtype=np.float64, copy=True)
