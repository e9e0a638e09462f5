"""A declared feed becomes its assets, checks, job, schedule and sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import BaseModel

from fx_assets.assets.automation import ingest_job, ingest_schedule
from fx_assets.assets.lateness import feed_freshness_sensor
from fx_assets.assets.prices import build_prices, build_raw_prices
from fx_assets.specs import FeedSpec


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
        return feed_definitions(self.spec)


def feed_definitions(spec: FeedSpec) -> dg.Definitions:
    """A feed's assets, checks, job, schedule and sensor."""
    job = ingest_job(spec)
    return dg.Definitions(
        assets=[build_raw_prices(spec), build_prices(spec)],
        jobs=[job],
        schedules=[ingest_schedule(spec, job)],
        sensors=[feed_freshness_sensor(spec, job)],
    )
