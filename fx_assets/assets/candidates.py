"""One asset a candidate: its walk-forward predictions, its scores, and its fit on all rows."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from fx_assets.assets.declaring import asset_of
from fx_assets.assets.display import features_key, image
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import LakeResource, RegistryResource, SeriesOf, StudiesResource
from fx_assets.specs import CandidateSpec, FeedSpec, ForecastSpec
from fx_assets.tables import BACKTEST, SPLITS

if TYPE_CHECKING:
    from fx_assets.evaluation.tuning import Tuning


def build_candidate(
    spec: ForecastSpec, feed: FeedSpec, candidate: CandidateSpec, tables: SeriesOf
) -> dg.AssetsDefinition:
    """The asset that tries one recipe on every fold and prepares it for production."""

    @asset_of(
        spec,
        ("models", candidate.name),
        f"{_described(candidate)}{', calibrated' if spec.calibrates(candidate) else ''}: its "
        "predictions of every walk-forward fold, its scores against the baseline, and its fit on "
        "all labelled rows.",
        "onnx",
        "mlflow",
        table=BACKTEST,
        feed=feed.name,
        features=spec.features,
        pool="retrain",
        ins={"features": dg.AssetIn(key=features_key(feed.name, spec.features))},
        deps=[[spec.name, SPLITS.name], *([spec.name, "models", m] for m in candidate.members)],
        metadata={"recipe": spec.recipe_hash(candidate), "family": candidate.family},
    )
    def model(
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        registry: RegistryResource,
        mlflow: dg.ResourceParam[Any],
        studies: StudiesResource,
        features: pd.DataFrame,
    ) -> dg.MaterializeResult:
        from fx_assets.stages.candidate import try_candidate

        def progress(done: int, total: int) -> None:
            context.log.info(f"fit {done} of {total}")

        own = tables(lake)
        trial = try_candidate(
            candidate,
            studies.of(own, features),
            own,
            registry=registry.open(),
            run_id=context.run.run_id,
            parent_run_id=mlflow.active_run().info.run_id,
            progress=progress,
        )
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(trial.predictions),
                "rows_added": trial.new_rows,
                "fits": trial.fits,
                "scores": dg.MetadataValue.md(scores_table(trial.scores)),
                "mlflow_run": trial.logged.run_id,
                "mlflow_page": dg.MetadataValue.url(registry.page(trial.logged.run_path)),
                "onnx_parity": trial.parity,
                **({} if trial.tuning is None else tuning_metadata(trial.tuning)),
                **{name: image(svg) for name, svg in trial.figures.items()},
            }
        )

    return model


def _described(candidate: CandidateSpec) -> str:
    if candidate.pools:
        return f"pool of {', '.join(candidate.members)} with {candidate.weights} weights"
    settings = [f"{name} {value}" for name, value in candidate.params.items()]
    if candidate.tune is not None:
        settings.append(f"the best of {candidate.tune.trials} settings")
    return f"{candidate.family} with {', '.join(settings)}" if settings else candidate.family


def tuning_metadata(tuning: "Tuning") -> dict[str, Any]:
    """The trials of the newest search, best first, and which budget ended it."""
    ordered = tuning.trials.sort_values(["state", "score", "number"])
    table = markdown_table(
        ["trial", "mean loss", "settings", "seconds"],
        [
            [row.number, f"{row.score:.6g}", row.params, f"{row.seconds:.2f}"]
            for row in ordered.itertuples()
        ],
    )
    return {
        "tuning": dg.MetadataValue.md(table),
        "tuning_trials": tuning.completed,
        "tuning_stopped_by": tuning.stopped_by,
    }


def scores_table(scores: pd.DataFrame) -> str:
    """Metrics with their 95 % intervals beside the baseline's."""
    return markdown_table(
        ["metric", "value", "95 % interval", "baseline", "n"],
        [
            [
                row.metric,
                f"{row.value:.6g}",
                f"{row.lower:.6g} to {row.upper:.6g}",
                f"{row.baseline_value:.6g}",
                row.n,
            ]
            for row in scores.itertuples()
        ],
    )
