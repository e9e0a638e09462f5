"""Out-of-sample predictions for all of history, paid for once.

Every row carries two keys. ``fold_key`` identifies the fit: recipe, code and the content of the
training rows, and of those that its hyper-parameters were tuned on. ``row_key`` identifies what is
predicted and what came of it. A row whose keys are in the cache is not computed again, and a fold
without a new row is not fitted again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.folds import Fold, labelled_rows
from fx_assets.evaluation.folds import folds as cut_folds
from fx_assets.evaluation.losses import Floats, baseline_forecast
from fx_assets.evaluation.problem import PREDICTION_COLUMNS, FoldSettings, Problem, no_trials
from fx_assets.evaluation.tuning import Tuning
from fx_assets.models.base import Model
from fx_assets.specs import CandidateSpec, ForecastSpec

__all__ = [
    "PREDICTION_COLUMNS",
    "Backtest",
    "FittedCandidate",
    "fit_final",
    "previous_fits",
    "walk_forward",
]

Progress = Callable[[int, int], None]
"""Called with the number of fits and tunings done and to do."""


@dataclass(frozen=True)
class Backtest:
    """The stitched walk-forward rows of one recipe.

    ``predictions`` has one row for every labelled test row of every fold, sorted by event time,
    with the columns in ``PREDICTION_COLUMNS``. ``new_rows`` are those that were not cached: what is
    to be appended to the ``backtest`` table. ``fits`` is how many models were fitted, without the
    trials of a tuning. ``new_trials`` are the trials of the tunings that were not known, with the
    columns in ``TRIAL_COLUMNS``: what is to be appended to the ``trials`` table. ``trials`` is how
    many settings the promotion rule counts the recipe as: 1, or the most that a tuning compared.
    """

    predictions: pd.DataFrame
    new_rows: pd.DataFrame
    fits: int
    new_trials: pd.DataFrame = field(default_factory=no_trials)
    trials: int = 1


@dataclass(frozen=True)
class FittedCandidate:
    """A recipe fitted on every labelled row: what predicts tomorrow if it is the champion.

    ``trained_through`` is the event time of the newest training row, ``label_end`` the moment at
    which the last of its labels was known (both UTC). ``tuning`` is the newest of a tuned recipe,
    which the hyper-parameters are from.
    """

    model: Model[Any]
    candidate: CandidateSpec
    recipe: str
    seed: int
    trained_through: pd.Timestamp
    label_end: pd.Timestamp
    n_rows: int
    train_row_hash: str
    tuning: Tuning | None = None


def walk_forward(
    candidate: CandidateSpec,
    spec: ForecastSpec,
    frame: pd.DataFrame,
    folds: Sequence[Fold],
    cached: pd.DataFrame | None = None,
    progress: Progress | None = None,
    max_workers: int | None = None,
    trials: pd.DataFrame | None = None,
) -> Backtest:
    """Predict every fold's test rows with a model fitted on its training rows.

    A tuned candidate is tuned first, on the training rows of every ``retune_every``-th fold.

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
    trials
        Trials of earlier tunings, of any recipes, which are not carried out again.

    Raises
    ------
    FxAssetsError
        A model predicted something that is not a finite number.
    """
    problem = Problem.of(candidate, spec, frame)
    baseline = baseline_forecast(spec.target, frame["baseline_mean"])
    settings = FoldSettings(problem, folds, trials)
    tables = [problem.rows(fold, settings.fold_key(fold), baseline) for fold in folds]
    rows = pd.concat(tables, ignore_index=True)
    rows["prediction"] = _from_cache(rows, cached)
    missing = rows["prediction"].isna().to_numpy()

    bounds = np.cumsum([0, *(fold.n_test for fold in folds)])
    stale = [k for k in range(len(folds)) if missing[bounds[k] : bounds[k + 1]].any()]
    untuned = settings.missing([folds[k] for k in stale])
    steps = len(untuned) + len(stale)

    def predict(k: int) -> tuple[NDArray[np.bool_], Floats]:
        fold = folds[k]
        wanted = missing[bounds[k] : bounds[k + 1]]
        model = problem.fit(fold.train, problem.seed(fold.index), settings.of(fold))
        return wanted, problem.predict(model, fold.test[wanted])

    with ThreadPoolExecutor(max_workers or os.cpu_count()) as pool:
        tunings = [pool.submit(settings.tune, index) for index in untuned]
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
        new_trials=settings.new_trials,
        trials=settings.trials,
    )


def previous_fits(
    candidate: CandidateSpec,
    spec: ForecastSpec,
    frame: pd.DataFrame,
    folds: Sequence[Fold],
    rows: int,
    trials: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What the fit before would have said of the newest ``rows`` test rows.

    Each row is predicted by the fit of the fold before its own, so that it is out of sample for
    both fits, and the loss of one refit more can be measured on identical rows. It costs one fit
    for each fold that the rows reach into. ``trials`` are as for :func:`walk_forward`.

    Returns
    -------
    DataFrame
        ``event_time`` and ``prediction``; fewer rows where there is no fold before.
    """
    problem = Problem.of(candidate, spec, frame)
    settings = FoldSettings(problem, folds, trials)
    parts: list[pd.DataFrame] = []
    left = rows
    for older, newer in reversed(list(pairwise(folds))):
        if left <= 0:
            break
        test = newer.test[-left:]
        left -= len(test)
        model = problem.fit(older.train, problem.seed(older.index), settings.of(older))
        parts.append(
            pd.DataFrame(
                {
                    "event_time": frame["event_time"].iloc[test].to_numpy(),
                    "prediction": problem.predict(model, test),
                }
            )
        )
    if not parts:
        return pd.DataFrame({"event_time": frame["event_time"].iloc[:0], "prediction": []})
    table = pd.concat(parts[::-1], ignore_index=True)
    return table.assign(event_time=pd.to_datetime(table["event_time"], utc=True).dt.as_unit("us"))


def fit_final(
    candidate: CandidateSpec,
    spec: ForecastSpec,
    frame: pd.DataFrame,
    trials: pd.DataFrame | None = None,
) -> FittedCandidate:
    """Fit a recipe on every labelled row, or on the newest of them if its window rolls.

    A tuned recipe takes the hyper-parameters of the newest fold, as a fold of its own group would:
    so the backtest is of the same procedure. ``trials`` are as for :func:`walk_forward`.

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
    problem = Problem.of(candidate, spec, frame)
    seed = problem.seed("final")
    found = None
    if candidate.tune is not None:
        cut = cut_folds(frame, spec)
        found = FoldSettings(problem, cut, trials).tuning(cut[-1])
    params = candidate.params if found is None else found.params
    return FittedCandidate(
        model=problem.fit(rows, seed, params),
        candidate=candidate,
        recipe=problem.recipe,
        seed=seed,
        trained_through=frame["event_time"].iloc[rows[-1]],
        label_end=frame["label_available_at"].iloc[rows].max(),
        n_rows=len(rows),
        train_row_hash=problem.content_hash(rows),
        tuning=found,
    )


def _from_cache(rows: pd.DataFrame, cached: pd.DataFrame | None) -> Floats:
    if cached is None or cached.empty:
        return np.full(len(rows), np.nan)
    known = cached[["fold_key", "row_key", "prediction"]].drop_duplicates(
        ["fold_key", "row_key"], keep="last"
    )
    found = rows[["fold_key", "row_key"]].merge(known, on=["fold_key", "row_key"], how="left")
    return found["prediction"].to_numpy(dtype=np.float64, copy=True)
