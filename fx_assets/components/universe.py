"""A declared universe becomes one chain of assets, however many instruments it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import BaseModel

from fx_assets.assets.lateness import panel_freshness_sensor
from fx_assets.assets.universe import build_universe
from fx_assets.assets.universe_automation import (
    discover_job,
    discover_schedule,
    follows_instruments_sensor,
    shards_sensor,
    step_jobs,
    update_job,
)
from fx_assets.specs.universe import UniverseSpec


@dataclass
class Universe(dg.Component):
    """Many instruments of one source, forecast alike and judged together."""

    spec: UniverseSpec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return UniverseSpec

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> Universe:
        return cls(spec=attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return universe_definitions(self.spec)


def universe_definitions(spec: UniverseSpec) -> dg.Definitions:
    """A universe's assets, checks, jobs, schedule and sensor."""
    discover, update, steps = discover_job(spec), update_job(spec), step_jobs(spec)
    follows = shards_sensor(spec, steps) if steps else follows_instruments_sensor(spec, update)
    return dg.Definitions(
        assets=build_universe(spec),
        jobs=[discover, update, *steps],
        schedules=[discover_schedule(spec, discover)],
        sensors=[follows, panel_freshness_sensor(spec)],
    )
