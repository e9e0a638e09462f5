"""A universe's jobs: look for instruments and fixings by the clock, then bring everything up."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

from fx_assets import clock
from fx_assets.assets.automation import range_tags
from fx_assets.assets.runs import (
    LARGE,
    AssetJob,
    asked_again,
    asset_job,
    in_progress,
    schedule_status,
    sensor_status,
)
from fx_assets.assets.universe_prices import instrument_partitions
from fx_assets.calendars import instant_of, moment
from fx_assets.lake import Lake
from fx_assets.resources import LakeResource
from fx_assets.settings import Settings
from fx_assets.specs.universe import UniverseSpec
from fx_assets.tables import INSTRUMENTS, PREDICTIONS, PRICES


def discover_job(spec: UniverseSpec) -> AssetJob:
    """Look which instruments the source has, and up to which day."""
    return asset_job(
        f"{spec.name}_discover",
        selection=dg.AssetSelection.assets([spec.name, INSTRUMENTS.name]),
        description="Look which instruments the source has, and up to which day.",
    )


def update_job(spec: UniverseSpec) -> AssetJob:
    """Bring every table of the universe up to date."""
    everything = dg.AssetSelection.groups(spec.name)
    return asset_job(
        f"{spec.name}_update",
        selection=everything - dg.AssetSelection.assets([spec.name, INSTRUMENTS.name]),
        description="Fetch, judge, walk forward, test and predict every instrument in one run.",
        size=LARGE,
    )


def discover_schedule(spec: UniverseSpec, job: AssetJob) -> dg.ScheduleDefinition:
    """Look for new fixings after their publication."""
    return dg.ScheduleDefinition(
        name=f"{spec.name}_discover",
        job=job,
        cron_schedule=spec.cron,
        execution_timezone=str(spec.market.timezone),
        default_status=schedule_status(on=spec.automatic),
        description="Looks for new fixings, and new instruments, after publication.",
    )


def follows_instruments_sensor(spec: UniverseSpec, job: AssetJob) -> dg.SensorDefinition:
    """One run over all instruments whenever the source had something new."""

    @dg.sensor(
        name=f"{spec.name}_follows_instruments",
        job=job,
        minimum_interval_seconds=Settings().sensor_seconds,
        default_status=sensor_status(on=spec.automatic),
        description="Brings the universe up to date when the source has new fixings.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        store = lake.open()
        version = store.version(INSTRUMENTS.name, spec.name)
        keys = context.instance.get_dynamic_partitions(str(instrument_partitions(spec).name))
        if version is None or not keys:
            return dg.SkipReason("The source has not been looked at yet.")
        now = clock.now()
        if not is_behind(store, spec, now):
            return dg.SkipReason("Every known fixing has its predictions.")
        if in_progress(context.instance, job.name):
            return dg.SkipReason("The universe is being brought up to date already.")
        run_key = f"instruments version {version}"
        if spec.source.kind != "ecb":
            # The list does not tell of new bars, so a late provider is asked once an hour.
            run_key += f", {now:%Y-%m-%d %H} h"
        return asked_again(context.instance, job.name, run_key, range_tags(keys[0], keys[-1]))

    return sensor


def is_behind(store: Lake, spec: UniverseSpec, now: datetime) -> bool:
    """Whether there is a bar, or an instrument, that the prices or predictions lack.

    The ECB's list says how many fixings there are; of other sources the calendar tells which bar
    should have been published.
    """
    found = store.read(INSTRUMENTS.name, spec.name)
    if not (store.exists(PRICES.name, spec.name) and store.exists(PREDICTIONS.name, spec.name)):
        return True
    prices = store.read(PRICES.name, spec.name, columns=["instrument", "event_time"])
    counts = prices.groupby("instrument").size()
    if found.set_index("instrument")["fixings"].gt(counts.reindex(found["instrument"])).any():
        return True
    if len(counts) < len(found):
        return True
    newest = prices["event_time"].max()
    if spec.source.kind != "ecb":
        closes = spec.market.closes(spec.market.day_of(newest), spec.market.day_of(now))
        due = closes[spec.market.published(closes) <= moment(now)]
        if len(due) and instant_of(due[-1]) > newest:
            return True
    predicted = store.read(PREDICTIONS.name, spec.name, columns=["event_time"])["event_time"]
    return bool(predicted.max() < newest) if len(predicted) else True
