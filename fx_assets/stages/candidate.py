"""Tries one candidate: walk-forward, scores, fit on all rows, ONNX graph, MLflow run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from fx_assets import build, clock, models
from fx_assets.bundles.copies import graph_path
from fx_assets.bundles.records import BaselineFacts, FittedFacts, ScoredMetric
from fx_assets.errors import RegistryError
from fx_assets.evaluation.compare import reference_predictions
from fx_assets.evaluation.coverage import coverage_scores
from fx_assets.evaluation.decision import failed_text
from fx_assets.evaluation.density import (
    Judged,
    calibration,
    density_scores,
    fit_distribution,
    walk_distributions,
)
from fx_assets.evaluation.intervals import IntervalModel, Learned, ewma_volatility, learn_intervals
from fx_assets.evaluation.metrics import (
    cumulative_loss_difference,
    reliability,
    score,
    skill_interval,
)
from fx_assets.evaluation.novelty import learn
from fx_assets.evaluation.stated import DistributionModel
from fx_assets.evaluation.study import FittedCandidate, Study
from fx_assets.evaluation.tuning import Tuning
from fx_assets.features import feature_set
from fx_assets.models.base import InputSpec
from fx_assets.models.onnx_predict import OnnxModel, difference
from fx_assets.presentation import figures
from fx_assets.registry.records import CandidateRun, LoggedModel
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import CandidateSpec, FeedSpec, ForecastSpec
from fx_assets.specs.base import Record
from fx_assets.stages.overrides import standing_overrides
from fx_assets.tables import BACKTEST, FEATURES, PRICES, QUANTILES, RAW_PRICES, SCORES, TRIALS

if TYPE_CHECKING:
    from fx_assets.registry.runs import ModelRegistry

PARITY_ROWS = 2000
EXAMPLE_ROWS = 5


class Draft(Record):
    """A candidate that is ready to be published, should it become champion."""

    facts: FittedFacts
    onnx_sha256: str
    coverage: float | None
    """As in :class:`~fx_assets.bundles.records.SkillFacts`."""
    scores: tuple[ScoredMetric, ...]
    logged: LoggedModel | None = None
    """``None`` of a member of a universe."""

    def score_of(self, metric: str) -> ScoredMetric:
        return next(row for row in self.scores if row.metric == metric)


@dataclass(frozen=True)
class Fit:
    """A candidate fitted on all rows: its graph, and what is said of it."""

    fitted: FittedCandidate
    facts: FittedFacts
    learned: Learned
    onnx: bytes
    example: np.ndarray
    """Newest inputs, (n, p)."""
    judged: Judged | None = None
    """Its walk-forward distributions, where they are asked for and measured."""

    @property
    def coverage(self) -> float | None:
        """As in :class:`~fx_assets.bundles.records.SkillFacts`."""
        return _known(self.learned.coverage.measured)


@dataclass(frozen=True)
class Trial:
    """What trying a candidate gave."""

    predictions: pd.DataFrame
    new_rows: int
    fits: int
    scores: pd.DataFrame
    figures: dict[str, str]
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
    backtest = study.walk_forward(candidate, progress)
    if len(backtest.new_trials):
        own.insert(TRIALS, backtest.new_trials, run_id)
    made_at = pd.Timestamp(clock.now()).as_unit("us")
    own.insert(BACKTEST, backtest.new_rows.assign(made_at=made_at), run_id)

    made = fit(candidate, study, own, backtest.predictions)
    scores = _scores(study, backtest.predictions, made.learned)
    fitted, facts = made.fitted, made.facts
    plots = _figures(fitted, backtest.predictions, study, own.feed)
    density = keep_density(own, made, made_at, run_id)
    if density and made.judged is not None and facts.distribution is not None:
        told = pd.DataFrame([row.model_dump() for row in density])[list(scores.columns)]
        scores = pd.concat([scores, told], ignore_index=True)
        plots |= _density_figures(made.judged, backtest.predictions, facts.distribution)
    logged = registry.log_candidate(
        CandidateRun(
            facts=facts,
            params=_parameters(fitted, study),
            metrics=scores,
            onnx=made.onnx,
            example=made.example,
            root=own.store.root,
            first_event=study.frame["event_time"].iloc[0].to_pydatetime(),
            figures=plots,
            tags={
                "dagster_run_id": run_id,
                "instrument": facts.instrument,
                **_override_tags(own),
            },
            parent_run_id=parent_run_id,
            about=_about(own.spec),
            trials=None if fitted.tuning is None else _shown(fitted.tuning.trials),
        )
    )
    keep_draft(own, made, _finite(scores), run_id, logged)
    return Trial(
        predictions=backtest.predictions,
        new_rows=len(backtest.new_rows),
        fits=backtest.fits,
        scores=scores,
        figures=plots,
        parity=facts.parity,
        logged=logged,
        tuning=fitted.tuning,
    )


def _scores(study: Study, predictions: pd.DataFrame, learned: Learned) -> pd.DataFrame:
    """All metrics of a candidate, skill against the reference among them where there is one."""
    target = study.spec.target
    found = score(predictions, target.kind, target.horizon)
    held = coverage_scores(learned, predictions, _volatility(study), target.horizon)
    if len(held):
        found = pd.concat([found, held], ignore_index=True)
    reference = reference_predictions(study)
    if reference is None:
        return found
    came, loss = predictions["target"], target.definition.loss
    ours, theirs = (loss(came, rows["prediction"]) for rows in (predictions, reference))
    value, lower, upper = skill_interval(ours, theirs, target.horizon)
    row = ["skill_on_reference", value, lower, upper, len(came), 0.0]
    return pd.concat([found, pd.DataFrame([row], columns=found.columns)], ignore_index=True)


def fit(
    candidate: CandidateSpec,
    study: Study,
    own: SeriesTables,
    predictions: pd.DataFrame,
    *,
    measures: bool = True,
) -> Fit:
    """Fit a candidate on all labelled rows of a study, and turn it into a graph.

    Parameters
    ----------
    predictions
        Its walk-forward rows, which the intervals are learned from: ``event_time``,
        ``label_available_at``, ``prediction`` and ``target``.
    measures
        Whether the coverage of the intervals is measured where no choice depends on it.

    Raises
    ------
    NotEnoughDataError
        Too few rows to fit it, or to learn its intervals.
    RegistryError
        The graph does not compute what the fitted object does.
    """
    spec, fitted = own.spec, study.final(candidate)
    onnx, inputs, parity = _export(fitted, study)
    volatility = _volatility(study)
    learned = learn_intervals(
        predictions, spec.target, spec.coverage, volatility, measures=measures
    )
    facts = _facts(fitted, own, study, learned.model, parity)
    distribution, judged = _distribution(study, predictions, volatility)
    return Fit(
        fitted,
        facts.model_copy(update={"distribution": distribution}),
        learned,
        onnx,
        inputs[-EXAMPLE_ROWS:],
        judged,
    )


def _distribution(
    study: Study, predictions: pd.DataFrame, volatility: pd.Series[float]
) -> tuple[DistributionModel | None, Judged | None]:
    """What is asked for, with how well it was calibrated, walking forward."""
    asked = study.spec.density
    if asked is None:
        return None, None
    model = fit_distribution(study, asked, predictions, volatility)
    judged = walk_distributions(study, asked, predictions, volatility)
    if judged is None:
        return model, None
    measured = calibration(judged, asked.quantiles, study.spec.target.horizon)
    return model.model_copy(update={"measured": measured}), judged


def keep_density(
    own: SeriesTables, made: Fit, made_at: pd.Timestamp, run_id: str
) -> tuple[ScoredMetric, ...]:
    """Store the quantiles of the distributions that were walked forward, and score these.

    Nothing where none are asked for, or too few rows are out of sample.
    """
    judged, model = made.judged, made.facts.distribution
    if judged is None or model is None or model.measured is None:
        return ()
    _store_quantiles(own, made.facts, judged, made_at, run_id)
    rows = density_scores(judged, model.measured, made.facts.horizon)
    return _finite(pd.DataFrame(rows, columns=list(ScoredMetric.model_fields)))


def _density_figures(
    judged: Judged, predictions: pd.DataFrame, model: DistributionModel
) -> dict[str, str]:
    came = predictions.set_index("event_time")["target"].reindex(judged.event_time).to_numpy()
    fan = figures.fan_figure(judged.event_time, judged.quantiles, model.quantiles, came)
    if model.measured is None:
        return {"fan": fan}
    measured = model.measured
    return {"fan": fan, "pit": figures.pit_figure(measured.histogram, measured.p_value)}


def _store_quantiles(
    own: SeriesTables, facts: FittedFacts, judged: Judged, made_at: pd.Timestamp, run_id: str
) -> None:
    levels = facts.distribution.quantiles if facts.distribution else ()
    rows = pd.DataFrame(
        {
            "recipe": facts.recipe,
            "candidate": facts.candidate,
            "event_time": judged.event_time.repeat(len(levels)).to_numpy(),
            "level": np.tile(levels, len(judged.event_time)),
            "value": judged.quantiles.ravel(),
            "made_at": made_at,
        }
    ).astype({name: QUANTILES.dtypes[name] for name in ("event_time", "made_at")})
    own.insert(QUANTILES, rows, run_id)


def without_draft(own: SeriesTables) -> list[CandidateSpec]:
    """The candidates whose draft is missing, so that they could not be published."""
    stored = set(own.store.list_blobs(f"candidates/{own.forecast}/"))
    tried = own.spec.all_candidates
    return [one for one in tried if _draft_path(own.forecast, one.name) not in stored]


def keep_draft(
    own: SeriesTables,
    made: Fit,
    scores: tuple[ScoredMetric, ...],
    run_id: str = "",
    logged: LoggedModel | None = None,
) -> Draft:
    """Store what was fitted, with what is told of it, until the next fit of the candidate.

    Of a member of a universe, which has no run in MLflow, the table ``scores`` tells how good its
    distribution is; the other scores follow from the rows.
    """
    store = own.store
    facts, digest = made.facts, hashlib.sha256(made.onnx).hexdigest()
    draft = Draft(
        facts=facts, onnx_sha256=digest, coverage=made.coverage, scores=scores, logged=logged
    )
    store.write_blob(graph_path(facts.forecast, facts.candidate, digest), made.onnx)
    path = _draft_path(facts.forecast, facts.candidate)
    store.write_blob(path, draft.model_dump_json(indent=2).encode())
    if logged or made.judged:
        _store_scores(own, draft, run_id)
    return draft


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
        written = json.loads(store.read_blob(path))
        draft = Draft.model_validate(written if "facts" in written else _lifted(own, written))
    except (ValidationError, ValueError, LookupError) as error:
        raise RegistryError(
            f"{path} is not a draft: {error}",
            remedy=f"Materialize {forecast}/models/{candidate} again.",
        ) from error
    if draft.facts.series != own.series.id:
        raise RegistryError(
            f"{forecast}/{candidate} has not been tried yet on {own.series.sentence}.",
            remedy=f"Materialize {forecast}/models/{candidate}.",
        )
    onnx = store.read_blob(graph_path(forecast, candidate, draft.onnx_sha256))
    if hashlib.sha256(onnx).hexdigest() != draft.onnx_sha256:
        raise RegistryError(
            f"The graph of {forecast}/{candidate} is not the one that its draft names.",
            remedy=f"Materialize {forecast}/models/{candidate} again.",
        )
    return draft, onnx


def _export(fitted: FittedCandidate, study: Study) -> tuple[bytes, np.ndarray, float]:
    model = fitted.model
    onnx = model.to_onnx(feature_columns=study.columns, metadata={"recipe": fitted.recipe})
    matrix = study.inputs(fitted.candidate).matrix
    inputs = np.ascontiguousarray(matrix[study.labelled[-PARITY_ROWS:]])
    said, definition = model.predict(inputs), model.target.definition
    parity = difference(definition, said, OnnxModel(onnx).predict(inputs))
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
    wanted = [(RAW_PRICES, feed), (PRICES, feed), (FEATURES, own.features_name)]
    found = {
        f"{table.name}/{own.store.stored_as(name)}": own.store.version(table.name, name)
        for table, name in wanted
    }
    return {table: version for table, version in found.items() if version is not None}


def _about(spec: ForecastSpec) -> str:
    """What people read on the page of the forecast's experiment."""
    return (
        f"{spec.description} A run is a retrain; below it each candidate of that day is a run, "
        "with its scores against the baseline. The registered model of the same name has the "
        "champion, by its alias."
    ).strip()


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


def _facts(
    fitted: FittedCandidate,
    own: SeriesTables,
    study: Study,
    intervals: IntervalModel,
    parity: float,
) -> FittedFacts:
    spec, feed, candidate = own.spec, own.feed, fitted.candidate
    inputs = study.inputs(candidate)
    seen = inputs.matrix[study.labelled]
    ranges = zip(np.nanmin(seen, axis=0).tolist(), np.nanmax(seen, axis=0).tolist(), strict=True)
    features = {f.name: f for f in feature_set(spec.features, feed.market.bar).features}
    declared = _declared(own, candidate)
    if spec.calibrates(candidate):
        share = round(float(fitted.model.params["calibration"]), 6)
        declared["params"] = {**candidate.params, "calibration": share}
    return FittedFacts(
        **declared,
        series=own.series.id,
        recipe=fitted.recipe,
        seed=fitted.seed,
        code_version=models.candidate_code(spec, candidate),
        columns=inputs.reads.columns,
        window=inputs.reads.window,
        parts=inputs.reads.stored,
        input_names=inputs.reads.names,
        units={
            name: f"{features[name].meaning} ({features[name].unit})"
            for name in inputs.reads.columns
            if name in features
        },
        input_ranges=dict(zip(inputs.reads.names, ranges, strict=True)),
        novelty=learn(
            seen, spec.abstain, newest=len(inputs.reads.columns) if inputs.reads.window else None
        )
        if candidate != spec.baseline
        else None,
        intervals=intervals,
        trained_through=fitted.trained_through.to_pydatetime(),
        label_end=fitted.label_end.to_pydatetime(),
        data_as_of=study.frame["available_at"].max().to_pydatetime(),
        n_rows=fitted.n_rows,
        train_row_hash=fitted.train_row_hash,
        table_versions=_versions(own),
        commit=build.commit(),
        image=build.image(),
        parity=parity,
        tolerance=fitted.model.onnx_tolerance,
    )


def _declared(own: SeriesTables, candidate: CandidateSpec) -> dict[str, Any]:
    """The facts of a candidate that its declaration gives."""
    spec, feed = own.spec, own.feed
    return {
        "forecast": spec.name,
        "term": spec.term,
        "feed": feed.name,
        "calendar": feed.market.key,
        "instrument": feed.instrument,
        "target": spec.target.kind,
        "horizon": spec.target.horizon,
        "target_unit": spec.target.definition.unit,
        "baseline": BaselineFacts(family=spec.baseline.family),
        "candidate": candidate.name,
        "family": candidate.family,
        "params": (
            {"weights": candidate.weights, "members": ", ".join(candidate.members)}
            if candidate.pools
            else candidate.params
        ),
        "feature_set": spec.features,
    }


def _lifted(own: SeriesTables, written: dict[str, Any]) -> dict[str, Any]:
    """A draft from what lakes of 0.1 hold: one level, without what is declared."""
    (candidate,) = (c for c in own.spec.all_candidates if c.name == written["candidate"])
    reads = InputSpec(tuple(written["columns"]), written["window"])
    known = not written.get("series") and own.rows.knows(written["recipe"])
    told = {"series": own.series.id} if known else {}
    logged = {name: written[f"mlflow_{name}"] for name in ("run_id", "experiment_id", "model_id")}
    facts = {**_declared(own, candidate), **written, **told, "input_names": reads.names}
    return {**written, "facts": facts, "logged": {"forecast": own.forecast, **logged}}


def _volatility(study: Study) -> pd.Series[float]:
    times = pd.DatetimeIndex(study.frame["event_time"])
    return pd.Series(ewma_volatility(study.frame["log_return"]), index=times)


def _known(value: float) -> float | None:
    """A number that JSON can hold, or ``None``."""
    return value if math.isfinite(value) else None


def _finite(scores: pd.DataFrame) -> tuple[ScoredMetric, ...]:
    """Metrics that exist on these rows, such as no correlation of a constant forecast."""
    rows = scores.replace([np.inf, -np.inf], np.nan).dropna().to_dict("records")
    return tuple(ScoredMetric.model_validate(row) for row in rows)


def _figures(
    fitted: FittedCandidate, predictions: pd.DataFrame, study: Study, feed: FeedSpec
) -> dict[str, str]:
    kind = study.spec.target.kind
    plots = {
        "cumulative_loss_difference": figures.cumulative_loss_figure(
            cumulative_loss_difference(predictions, kind), fitted.candidate.name
        )
    }
    definition = study.spec.target.definition
    if definition.outcome == "binary":
        plots["reliability"] = figures.reliability_figure(
            reliability(predictions), definition.wording.called
        )
    if definition.shown.annualised:
        plots["predicted_and_realised"] = figures.volatility_figure(
            predictions, study.spec.target.horizon, feed.market.bars_a_year
        )
    importance = fitted.model.feature_importance(study.columns)
    if importance:
        plots["feature_importance"] = figures.importance_figure(importance)
    return plots


def _store_scores(own: SeriesTables, draft: Draft, run_id: str) -> None:
    facts = draft.facts
    rows = pd.DataFrame([row.model_dump() for row in draft.scores]).assign(
        candidate=facts.candidate,
        recipe=facts.recipe,
        code_version=facts.code_version,
        row_hash=facts.train_row_hash,
        data_as_of=pd.Timestamp(facts.data_as_of),
        mlflow_run_id=draft.logged.run_id if draft.logged else "",
    )
    own.insert(SCORES, own.unknown(SCORES, rows), run_id)


def _draft_path(forecast: str, candidate: str) -> str:
    return f"candidates/{forecast}/{candidate}/draft.json"
