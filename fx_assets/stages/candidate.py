"""Tries one candidate: walk-forward, scores, fit on all rows, ONNX graph, MLflow run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import ValidationError

from fx_assets import clock, models
from fx_assets.bundles.copies import graph_path
from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import failed_text
from fx_assets.evaluation.intervals import (
    IntervalModel,
    ewma_volatility,
    fit_intervals,
    measure_coverage,
)
from fx_assets.evaluation.metrics import cumulative_loss_difference, reliability, score
from fx_assets.evaluation.study import FittedCandidate, Study
from fx_assets.evaluation.tuning import Tuning
from fx_assets.models.onnx_predict import OnnxModel, difference
from fx_assets.presentation import figures
from fx_assets.registry.records import DatasetInfo, LoggedModel
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import CandidateSpec, ForecastSpec
from fx_assets.specs.base import Spec
from fx_assets.stages.overrides import standing_overrides
from fx_assets.tables import BACKTEST, FEATURES, PRICES, RAW_PRICES, SCORES, TRIALS

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.registry.runs import ModelRegistry

PARITY_ROWS = 2000
EXAMPLE_ROWS = 5


class ScoredMetric(Spec):
    """A metric with its 95 % interval, on ``n`` out-of-sample rows."""

    metric: str
    value: float
    lower: float
    upper: float
    n: int
    baseline_value: float


class Draft(Spec):
    """A candidate that is ready to be published, should it become champion. Instants are UTC."""

    forecast: str
    series: str = ""
    """What the forecast was about; empty before drafts said so."""
    candidate: str
    family: str
    recipe: str
    code_version: str
    seed: int
    onnx_sha256: str
    columns: tuple[str, ...]
    """Columns of the labelled frame that the inputs are built from."""
    window: int
    """Rows that the inputs reach back over; 0 for the row itself."""
    trained_through: datetime
    label_end: datetime
    data_as_of: datetime
    n_rows: int
    train_row_hash: str
    table_versions: dict[str, int]
    parity: float
    tolerance: float
    intervals: IntervalModel
    coverage: float | None
    """Coverage that intervals of this kind had, walking forward; ``None`` where too few rows were
    out of sample to measure it."""
    scores: tuple[ScoredMetric, ...]
    mlflow_run_id: str
    mlflow_experiment_id: str
    mlflow_model_id: str

    @property
    def logged(self) -> LoggedModel:
        """The candidate's MLflow run."""
        return LoggedModel(
            forecast=self.forecast,
            run_id=self.mlflow_run_id,
            experiment_id=self.mlflow_experiment_id,
            model_id=self.mlflow_model_id,
        )

    def score_of(self, metric: str) -> ScoredMetric:
        return next(row for row in self.scores if row.metric == metric)


@dataclass(frozen=True)
class Trial:
    """What trying a candidate gave."""

    predictions: pd.DataFrame
    new_rows: int
    fits: int
    scores: pd.DataFrame
    figures: dict[str, bytes]
    parity: float
    logged: LoggedModel
    tuning: Tuning | None = None
    """The newest search for hyper-parameters of a tuned candidate."""


def try_candidate(
    candidate: CandidateSpec,
    study: Study,
    own: SeriesTables,
    *,
    registry: ModelRegistry,
    run_id: str,
    parent_run_id: str | None,
    progress: Callable[[int, int], None],
) -> Trial:
    """Walk forward through the frame, score, fit on all rows, log, and store the draft.

    Only folds with rows that the ``backtest`` table lacks are fitted, and only what the ``trials``
    table lacks is tuned.

    Raises
    ------
    RegistryError
        The ONNX graph does not compute what the fitted object does, or MLflow is away.
    """
    spec, store = own.spec, own.store
    backtest = study.walk_forward(candidate, progress)
    if len(backtest.new_trials):
        own.insert(TRIALS, backtest.new_trials, run_id)
    made_at = pd.Timestamp(clock.now()).as_unit("us")
    own.insert(BACKTEST, backtest.new_rows.assign(made_at=made_at), run_id)

    kind, horizon = spec.target.kind, spec.target.horizon
    scores = score(backtest.predictions, kind, horizon)
    fitted = study.final(candidate)
    onnx, inputs, parity = _export(fitted, study)
    versions = _versions(own)
    plots = _figures(fitted, backtest.predictions, study)
    logged = registry.log_candidate(
        forecast=spec.name,
        candidate_name=candidate.name,
        recipe_hash=fitted.recipe,
        params=_parameters(fitted, study),
        metrics=scores,
        onnx=onnx,
        input_columns=list(study.inputs(candidate.family).reads.names),
        example=inputs[-EXAMPLE_ROWS:],
        dataset=_dataset(own, study, versions, fitted),
        figures=plots,
        tags={
            "dagster_run_id": run_id,
            "instrument": own.feed.instrument,
            **_override_tags(own),
        },
        parent_run_id=parent_run_id,
        trials=None if fitted.tuning is None else _shown(fitted.tuning.trials),
    )
    draft = _draft(fitted, own, study, backtest.predictions, scores, onnx, parity, versions, logged)
    _store_draft(store, draft, onnx)
    _store_scores(own, draft, run_id)
    return Trial(
        predictions=backtest.predictions,
        new_rows=len(backtest.new_rows),
        fits=backtest.fits,
        scores=scores,
        figures=plots,
        parity=parity,
        logged=logged,
        tuning=fitted.tuning,
    )


def without_draft(store: Lake, spec: ForecastSpec) -> str | None:
    """A candidate whose draft is missing, so that it could not be published, or ``None``."""
    stored = set(store.list_blobs(f"candidates/{spec.name}/"))
    names = (candidate.name for candidate in spec.all_candidates)
    return next((name for name in names if _draft_path(spec.name, name) not in stored), None)


def load_draft(own: SeriesTables, candidate: str) -> tuple[Draft, bytes]:
    """The newest draft of a candidate and its ONNX graph.

    Raises
    ------
    RegistryError
        The candidate has not been tried on what the forecast is about, or its graph is not the one
        that the draft names.
    """
    store, forecast = own.store, own.forecast
    path = _draft_path(forecast, candidate)
    if not store.blob_exists(path):
        raise RegistryError(
            f"{forecast}/{candidate} has not been tried yet.",
            remedy=f"Materialize {forecast}/models/{candidate}.",
        )
    try:
        draft = Draft.model_validate_json(store.read_blob(path))
    except ValidationError as error:
        raise RegistryError(
            f"{path} is not a draft: {error.error_count()} values are wrong or missing.",
            remedy=f"Materialize {forecast}/models/{candidate} again.",
        ) from error
    if draft.series != own.series.id and (draft.series or not own.rows.knows(draft.recipe)):
        raise RegistryError(
            f"{forecast}/{candidate} has not been tried yet on {own.series.sentence}.",
            remedy=f"Materialize {forecast}/models/{candidate}.",
        )
    onnx = store.read_blob(_graph_path(draft))
    if hashlib.sha256(onnx).hexdigest() != draft.onnx_sha256:
        raise RegistryError(
            f"The graph of {forecast}/{candidate} is not the one that its draft names.",
            remedy=f"Materialize {forecast}/models/{candidate} again.",
        )
    return draft, onnx


def _export(fitted: FittedCandidate, study: Study) -> tuple[bytes, np.ndarray, float]:
    model = fitted.model
    onnx = model.to_onnx(feature_columns=study.columns, metadata={"recipe": fitted.recipe})
    matrix = study.inputs(fitted.candidate.family).matrix
    inputs = np.ascontiguousarray(matrix[study.labelled[-PARITY_ROWS:]])
    kind = model.target.kind
    parity = difference(kind, model.predict(inputs), OnnxModel(onnx).predict(inputs))
    if parity > model.onnx_tolerance:
        raise RegistryError(
            f"{fitted.candidate.name}: the ONNX graph differs from the fitted model by "
            f"{parity:.3g}, more than {model.onnx_tolerance:.3g}.",
            remedy="Check the versions of the ONNX converters against requirements.txt.",
        )
    return onnx, inputs, parity


def _override_tags(own: SeriesTables) -> dict[str, str]:
    failed = standing_overrides(own.store, own.feed, clock.now())
    return {"failed_checks": ", ".join(failed), "caveat": failed_text(failed)} if failed else {}


def _versions(own: SeriesTables) -> dict[str, int]:
    feed = own.feed.name
    wanted = [(RAW_PRICES, feed), (PRICES, feed), (FEATURES, own.forecast)]
    found = {f"{table.name}/{name}": own.store.version(table.name, name) for table, name in wanted}
    return {table: version for table, version in found.items() if version is not None}


def _parameters(fitted: FittedCandidate, study: Study) -> dict[str, object]:
    spec = study.spec
    return {
        **fitted.model.params,
        "family": fitted.candidate.family,
        "seed": fitted.seed,
        "features": spec.features,
        "target": spec.target.kind,
        "horizon": spec.target.horizon,
        "folds": len(study.folds),
        "refit_every": spec.walk_forward.refit_every,
        "purge": spec.purge,
        "rows": fitted.n_rows,
        **_tuning_parameters(fitted.tuning),
    }


def _shown(trials: pd.DataFrame) -> pd.DataFrame:
    """One column a hyper-parameter, and nothing that JSON cannot hold."""
    settings = pd.DataFrame([json.loads(text) for text in trials["params"]])
    columns = ["number", "state", "score", "seconds", "chosen"]
    return pd.concat([trials[columns].reset_index(drop=True), settings], axis=1)


def _tuning_parameters(tuning: Tuning | None) -> dict[str, object]:
    if tuning is None:
        return {}
    return {"tuning_trials": tuning.completed, "tuning_stopped_by": tuning.stopped_by}


def _dataset(
    own: SeriesTables,
    study: Study,
    versions: dict[str, int],
    fitted: FittedCandidate,
) -> DatasetInfo:
    name = f"{FEATURES.name}/{own.forecast}"
    return DatasetInfo(
        name=f"{own.forecast}/{FEATURES.name}",
        uri=f"{own.store.root}/{name}",
        version=versions[name],
        versions=versions,
        rows=fitted.n_rows,
        row_hash=fitted.train_row_hash,
        first_event=study.frame["event_time"].iloc[0].to_pydatetime(),
        last_event=fitted.trained_through.to_pydatetime(),
    )


def _draft(
    fitted: FittedCandidate,
    own: SeriesTables,
    study: Study,
    predictions: pd.DataFrame,
    scores: pd.DataFrame,
    onnx: bytes,
    parity: float,
    versions: dict[str, int],
    logged: LoggedModel,
) -> Draft:
    spec, frame = study.spec, study.frame
    kind = spec.target.kind
    volatility = pd.Series(
        ewma_volatility(frame["log_return"]), index=pd.DatetimeIndex(frame["event_time"])
    )
    reads = study.inputs(fitted.candidate.family).reads
    return Draft(
        forecast=spec.name,
        series=own.series.id,
        candidate=fitted.candidate.name,
        family=fitted.candidate.family,
        recipe=fitted.recipe,
        code_version=models.code_version(fitted.candidate.family),
        seed=fitted.seed,
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        columns=reads.columns,
        window=reads.window,
        trained_through=fitted.trained_through.to_pydatetime(),
        label_end=fitted.label_end.to_pydatetime(),
        data_as_of=frame["available_at"].max().to_pydatetime(),
        n_rows=fitted.n_rows,
        train_row_hash=fitted.train_row_hash,
        table_versions=versions,
        parity=parity,
        tolerance=fitted.model.onnx_tolerance,
        intervals=fit_intervals(predictions, kind, spec.coverage, volatility),
        coverage=_known(measure_coverage(predictions, kind, spec.coverage, volatility).measured),
        scores=_finite(scores),
        mlflow_run_id=logged.run_id,
        mlflow_experiment_id=logged.experiment_id,
        mlflow_model_id=logged.model_id,
    )


def _known(value: float) -> float | None:
    """A number that JSON can hold, or ``None``."""
    return value if math.isfinite(value) else None


def _finite(scores: pd.DataFrame) -> tuple[ScoredMetric, ...]:
    """Metrics that exist on these rows, such as no correlation of a constant forecast."""
    rows = scores.replace([np.inf, -np.inf], np.nan).dropna().to_dict("records")
    return tuple(ScoredMetric.model_validate(row) for row in rows)


def _figures(fitted: FittedCandidate, predictions: pd.DataFrame, study: Study) -> dict[str, bytes]:
    kind = study.spec.target.kind
    plots = {
        "cumulative_loss_difference": figures.cumulative_loss_figure(
            cumulative_loss_difference(predictions, kind), fitted.candidate.name
        )
    }
    if kind == "direction":
        plots["reliability"] = figures.reliability_figure(reliability(predictions))
    if kind == "volatility":
        plots["predicted_and_realised"] = figures.volatility_figure(predictions)
    importance = fitted.model.feature_importance(study.columns)
    if importance:
        plots["feature_importance"] = figures.importance_figure(importance)
    return plots


def _store_draft(store: Lake, draft: Draft, onnx: bytes) -> None:
    store.write_blob(_graph_path(draft), onnx)
    store.write_blob(
        _draft_path(draft.forecast, draft.candidate), draft.model_dump_json(indent=2).encode()
    )


def _store_scores(own: SeriesTables, draft: Draft, run_id: str) -> None:
    rows = pd.DataFrame([row.model_dump() for row in draft.scores]).assign(
        candidate=draft.candidate,
        recipe=draft.recipe,
        code_version=draft.code_version,
        row_hash=draft.train_row_hash,
        data_as_of=pd.Timestamp(draft.data_as_of),
        mlflow_run_id=draft.mlflow_run_id,
    )
    own.insert(SCORES, own.unknown(SCORES, rows), run_id)


def _draft_path(forecast: str, candidate: str) -> str:
    return f"candidates/{forecast}/{candidate}/draft.json"


def _graph_path(draft: Draft) -> str:
    return graph_path(draft.forecast, draft.candidate, draft.onnx_sha256)
