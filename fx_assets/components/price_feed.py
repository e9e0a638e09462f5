"""A declared feed becomes its assets, checks, jobs, schedules and sensor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import BaseModel

from fx_assets.assets.automation import ingest_job, ingest_schedule
from fx_assets.assets.features import build_features
from fx_assets.assets.lateness import feed_freshness_sensor
from fx_assets.assets.prices import build_prices, build_raw_prices
from fx_assets.assets.profile import build_profile, profile_job, profile_schedule
from fx_assets.components.declared import declared
from fx_assets.specs import FeedSpec, ForecastSpec


@dataclass
class PriceFeed(dg.Component):
    """An instrument's bars from one source at one frequency."""

    spec: FeedSpec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return FeedSpec

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> PriceFeed:
        return cls(spec=attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return feed_definitions(self.spec, declared().forecasts.values())


def feed_definitions(spec: FeedSpec, forecasts: Iterable[ForecastSpec]) -> dg.Definitions:
    """A feed's assets, checks, jobs, schedules and sensor.

    Parameters
    ----------
    forecasts
        Those that there are: the feature sets of those on the feed are computed, each once.
    """
    sets = sorted({each.features for each in forecasts if each.feed == spec.name})
    job, describe = ingest_job(spec), profile_job(spec)
    return dg.Definitions(
        assets=[
            build_raw_prices(spec),
            build_prices(spec),
            build_profile(spec),
            *(build_features(spec, name) for name in sets),
        ],
        jobs=[job, describe],
        schedules=[ingest_schedule(spec, job), profile_schedule(spec, describe)],
        sensors=[feed_freshness_sensor(spec, job)],
    )
