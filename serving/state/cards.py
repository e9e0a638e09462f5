"""The model card: what the champion is, where it comes from, and why it predicts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fx_assets.evaluation.coverage import TITLES as COVERAGE_TITLES
from fx_assets.evaluation.stated import DENSITY_TITLES
from serving.market import bar_day, day_known
from serving.schemas import Measure, ModelCard
from serving.state.service import Service


def model_card(
    service: Service, history: list[dict[str, Any]], metrics: list[Measure]
) -> ModelCard:
    """The card of the champion in service."""
    champion = service.champion
    manifest, definition = champion.manifest, champion.definition
    return ModelCard(
        forecast=service.name,
        instrument=manifest.instrument,
        feed=manifest.feed,
        target=manifest.target,
        horizon=manifest.horizon,
        bars_a_year=champion.market.bars_a_year,
        unit=manifest.target_unit,
        format=definition.shown,
        outcome=definition.outcome,
        wording=definition.wording,
        baseline=manifest.baseline.family,
        metric_titles=COVERAGE_TITLES
        | definition.titles
        | ({} if manifest.distribution is None else DENSITY_TITLES),
        reference=definition.reference(manifest.horizon),
        champion=champion.ref,
        published_at=champion.bundle.ref.published_at,
        params=manifest.params,
        seed=manifest.seed,
        feature_set=manifest.feature_set,
        inputs=champion.input_facts(),
        training={
            "rows": manifest.n_rows,
            "trained_through": manifest.trained_through,
            "trained_through_day": bar_day(manifest.calendar, manifest.trained_through),
            "label_end": manifest.label_end,
            "data_as_of": manifest.data_as_of,
            "row_hash": manifest.train_row_hash,
            "table_versions": manifest.table_versions,
            "bars": f"fx-assets data show {manifest.feed} {service.name}@{manifest.version}",
            "commit": manifest.commit,
            "image": manifest.image,
            "dagster_run_id": manifest.dagster_run_id,
        },
        decision=manifest.decision.model_dump(mode="json"),
        history=[_with_day(record, manifest.calendar) for record in history],
        metrics=metrics,
        skill=service.skill,
        intervals=manifest.intervals.model_dump(mode="json"),
        mlflow={
            "run_id": manifest.mlflow_run_id,
            "registered_model": service.name,
            "version": manifest.mlflow_version,
        },
        parity={"measured": manifest.parity, "tolerance": manifest.tolerance},
        files={name: facts.model_dump() for name, facts in manifest.files.items()},
        series=service.series,
    )


def _with_day(record: dict[str, Any], calendar: str) -> dict[str, Any]:
    """A decision with the market's day of the newest bar that it knew."""
    known = datetime.fromisoformat(str(record["data_as_of"]))
    return record | {"data_day": day_known(calendar, known)}
