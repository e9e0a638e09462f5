"""A declared forecast becomes its assets, checks, jobs, schedule and sensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import BaseModel

from fx_assets.assets.automation import (
    new_prices_sensor,
    predict_job,
    retrain_job,
    retrain_schedule,
)
from fx_assets.assets.candidates import build_candidate
from fx_assets.assets.champion import build_champion
from fx_assets.assets.drift_report import build_drift_report
from fx_assets.assets.lateness import prediction_freshness_sensor
from fx_assets.assets.outcomes import build_outcomes
from fx_assets.assets.predictions import build_predictions
from fx_assets.assets.reviews import monitor_job, monitor_sensor, review_sensor
from fx_assets.assets.splits import build_splits
from fx_assets.components.declared import declared
from fx_assets.resources import LakeResource
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.term import DeclaredForecast


@dataclass
class Forecast(dg.Component):
    """What to predict from a feed, by which candidates, and when one of them may take over."""

    spec: DeclaredForecast

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return DeclaredForecast

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> Forecast:
        return cls(spec=attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        feed = declared().feeds[self.spec.feed]
        members = self.spec.members
        together = members if len(members) > 1 else ()
        return dg.Definitions.merge(
            *(forecast_definitions(member, feed, together) for member in members)
        )


def forecast_definitions(
    spec: ForecastSpec, feed: FeedSpec, together: Sequence[ForecastSpec] = ()
) -> dg.Definitions:
    """A forecast's assets, checks, jobs, schedule and sensors.

    ``together`` are all horizons of the declared forecast that it is one of.
    """

    def tables(lake: LakeResource) -> SeriesTables:
        return SeriesTables(lake.open(), spec, feed)

    retrain, predict, monitor = retrain_job(spec), predict_job(spec), monitor_job(spec)
    return dg.Definitions(
        assets=[
            build_splits(spec, feed, tables),
            *(build_candidate(spec, feed, each, tables) for each in spec.all_candidates),
            build_champion(spec, feed, tables),
            build_predictions(spec, feed, tables, together),
            build_outcomes(spec, feed, tables),
            build_drift_report(spec, feed, tables),
        ],
        jobs=[retrain, predict, monitor],
        schedules=[retrain_schedule(spec, feed, tables, retrain)],
        sensors=[
            new_prices_sensor(spec, feed, tables, predict, retrain),
            monitor_sensor(spec, tables, monitor, predict),
            review_sensor(spec, tables, retrain),
            prediction_freshness_sensor(spec, feed, tables, predict),
        ],
    )
