"""A universe's jobs: look for instruments and fixings by the clock, then bring everything up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from fx_assets import clock
from fx_assets.assets.automation import range_tags
from fx_assets.assets.runs import (
    IN_PROGRESS,
    LARGE,
    MOST_ATTEMPTS,
    AssetJob,
    asked_again,
    asset_job,
    in_progress,
    schedule_status,
    sensor_status,
)
from fx_assets.assets.universe_prices import instrument_partitions
from fx_assets.assets.universe_steps import ROUND, STEPS
from fx_assets.bundles.universes import UniverseFacts, universe_path
from fx_assets.calendars import instant_of, moment
from fx_assets.heartbeats import SHARD, WRITES
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


def step_jobs(spec: UniverseSpec) -> list[AssetJob]:
    """A job for each step of a universe whose instruments are spread over runs; else none."""
    if spec.shard_size is None:
        return []
    return [
        asset_job(
            step.job(spec.name),
            selection=dg.AssetSelection.assets(*([spec.name, name] for name in step.assets)),
            description=f"{', '.join(step.assets)} of "
            + (f"{spec.shard_size} instruments a run." if step.sharded else "all instruments."),
            size=step.size,
        )
        for step in STEPS
    ]


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
        keys = context.instance.get_dynamic_partitions(str(instrument_partitions(spec).name))
        begun = _wanted(context.instance, lake.open(), spec, keys)
        if isinstance(begun, dg.SkipReason):
            return begun
        return asked_again(context.instance, job.name, begun, range_tags(keys[0], keys[-1]))

    return sensor


def shards_sensor(spec: UniverseSpec, jobs: Sequence[AssetJob]) -> dg.SensorDefinition:
    """Runs over shards of the instruments, step by step, whenever the source had something new."""

    @dg.sensor(
        name=f"{spec.name}_follows_instruments",
        jobs=list(jobs),
        minimum_interval_seconds=Settings().sensor_seconds,
        default_status=sensor_status(on=spec.automatic),
        description=(
            "Brings the universe up to date when the source has new fixings, "
            f"{spec.shard_size} instruments a run."
        ),
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        instance = context.instance
        keys = instance.get_dynamic_partitions(str(instrument_partitions(spec).name))
        begun = context.cursor or _wanted(instance, lake.open(), spec, keys)
        if isinstance(begun, dg.SkipReason):
            return begun
        found = next_runs(instance, spec, begun, keys)
        context.update_cursor(begun if found else "")
        if not found:
            return dg.SkipReason(f"Everything of {begun} is done, or was tried often enough.")
        asked = [each for each in found if isinstance(each, dg.RunRequest)]
        waiting = [each for each in found if isinstance(each, dg.SkipReason)]
        return asked or dg.SkipReason(" ".join(dict.fromkeys(str(w.skip_message) for w in waiting)))

    return sensor


def next_runs(
    instance: dg.DagsterInstance, spec: UniverseSpec, begun: str, instruments: Sequence[str]
) -> list[dg.RunRequest | dg.SkipReason]:
    """Which runs are asked for next, or waited for, until all instruments are up to date.

    Parameters
    ----------
    begun
        Names what brings them up to date; the same until it is over.
    instruments
        In the order of their partitions.

    Returns
    -------
    list
        Empty when every step is done, or one cannot go on.
    """
    for step in STEPS:
        job = step.job(spec.name)
        mine = dg.RunsFilter(job_name=job, tags={ROUND: begun})
        runs = [record.dagster_run for record in instance.get_run_records(mine)]
        found: list[dg.RunRequest | dg.SkipReason] = []
        for shard in spec.shards(instruments) if step.sharded else [list(instruments)]:
            states = [run.status for run in runs if run.tags.get(SHARD) == shard[0]]
            if dg.DagsterRunStatus.SUCCESS in states:
                continue
            if set(states) & set(IN_PROGRESS):
                found.append(dg.SkipReason(f"{job} is at work."))
            elif len(states) < MOST_ATTEMPTS and dg.DagsterRunStatus.CANCELED not in states:
                tags = {ROUND: begun, SHARD: shard[0]}
                if step.sharded:
                    tags |= {WRITES: f"{job}_{shard[0]}", **range_tags(shard[0], shard[-1])}
                key = f"{begun}, {step.name} from {shard[0]}"
                found.append(asked_again(instance, job, key, tags))
            elif step.must:
                return []
        if found:
            return found
    return []


def _wanted(
    instance: dg.DagsterInstance, store: Lake, spec: UniverseSpec, keys: Sequence[str]
) -> str | dg.SkipReason:
    """What names the runs that bring the universe up to date, or why none are asked for."""
    version = store.version(INSTRUMENTS.name, spec.name)
    if version is None or not keys:
        return dg.SkipReason("The source has not been looked at yet.")
    now = clock.now()
    if not is_behind(store, spec, now):
        return dg.SkipReason("Every known fixing has its predictions.")
    if in_progress(instance, f"{spec.name}_update"):
        return dg.SkipReason("The universe is being brought up to date already.")
    return _round(store, spec, version, now)


def _round(store: Lake, spec: UniverseSpec, version: int, now: datetime) -> str:
    """What names a look at the source."""
    # Other lists than the ECB's do not tell of new bars: a late provider is asked once an hour.
    # Nor does the ECB's tell of what is declared, which may be what it was before.
    told = spec.source.kind == "ecb" and not declared_anew(store, spec)
    hour = "" if told else f", {now:%Y-%m-%d %H} h"
    return f"instruments version {version}{hour}"


def declared_anew(store: Lake, spec: UniverseSpec) -> bool:
    """Whether what was published last is of another declaration."""
    path = universe_path(spec.name)
    if not store.blob_exists(path):
        return True
    return UniverseFacts.model_validate_json(store.read_blob(path)).declared != spec.id


def is_behind(store: Lake, spec: UniverseSpec, now: datetime) -> bool:
    """Whether there is a bar, or an instrument, that the prices or predictions lack.

    Or whether they are those of another declaration.

    The ECB's list says how many fixings there are; of other sources the calendar tells which bar
    should have been published.
    """
    found = store.read(INSTRUMENTS.name, spec.name)
    if not (store.exists(PRICES.name, spec.name) and store.exists(PREDICTIONS.name, spec.name)):
        return True
    if declared_anew(store, spec):
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
