"""Jobs, schedules and sensors: data is fetched by the clock, everything else follows the data."""

import hashlib
from datetime import UTC, datetime, timedelta

import dagster as dg

from fx_assets import clock
from fx_assets.assets.display import features_key
from fx_assets.assets.prices import partitions_to_ingest
from fx_assets.assets.records import end_of_records
from fx_assets.assets.runs import (
    LARGE,
    SMALL,
    AssetJob,
    asked_again,
    asset_job,
    in_progress,
    schedule_status,
    sensor_status,
)
from fx_assets.bundles.declared import note_declared
from fx_assets.executors import retrain_executor
from fx_assets.heartbeats import WRITES
from fx_assets.resources import LakeResource, RegistryResource, SeriesOf, unopened_registry
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.files import Declared
from fx_assets.stages.due import days_to_predict, retrain_reason
from fx_assets.tables import DECISIONS, OUTCOMES, PREDICTIONS, PRICES, RAW_PRICES

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
DECLARED_SECONDS = 600
"""Between two looks at whether the lake knows what is declared."""


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags that make a run cover every partition from ``first`` to ``last``."""
    return {RANGE_START: first, RANGE_END: last}


def ingest_job(spec: FeedSpec) -> AssetJob:
    """Fetch, judge and store a feed's bars."""
    return asset_job(
        f"{spec.name}_ingest",
        selection=dg.AssetSelection.assets([spec.name, RAW_PRICES.name], [spec.name, PRICES.name]),
        description=f"Fetch, judge and store the bars of {spec.instrument}.",
    )


def ingest_schedule(spec: FeedSpec, job: AssetJob) -> dg.ScheduleDefinition:
    """Ask for new bars after publication, from the last stored year on: it catches up by itself."""

    @dg.schedule(
        name=f"{spec.name}_ingest",
        job=job,
        cron_schedule=spec.ingest_cron,
        execution_timezone=str(spec.market.timezone),
        default_status=schedule_status(on=spec.automatic),
        description=f"New bars of {spec.instrument} after their publication.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        at = context.scheduled_execution_time
        market = spec.market
        if market.next_close(at - market.bar) > at:
            closed = market.closed_reason(market.bar_day(at)) or "the market is closed"
            return dg.SkipReason(f"{spec.instrument} has no new bar: {closed}.")
        parts = partitions_to_ingest(lake.open(), spec, clock.now())
        return dg.RunRequest(run_key=at.isoformat(), tags=range_tags(parts[0], parts[-1]))

    return schedule


def retrain_job(spec: ForecastSpec) -> AssetJob:
    """Judge every candidate on the same rows and decide about the champion."""
    features = dg.AssetSelection.assets(features_key(spec.feed, spec.features))
    everything = features | dg.AssetSelection.groups(spec.name)
    live = dg.AssetSelection.assets(
        *([spec.name, table] for table in (PREDICTIONS.name, OUTCOMES.name, "drift_report"))
    )
    return asset_job(
        f"{spec.name}_retrain",
        selection=everything - live,
        description="Judge every candidate on the same rows and decide about the champion.",
        size=LARGE,
        executor=retrain_executor(),
    )


def predict_job(spec: ForecastSpec) -> AssetJob:
    """Predict from the newest bars and score what has come true."""
    return asset_job(
        f"{spec.name}_predict",
        selection=dg.AssetSelection.assets(
            features_key(spec.feed, spec.features),
            [spec.name, PREDICTIONS.name],
            [spec.name, OUTCOMES.name],
        ),
        description="Predict from the newest bars and score what has come true.",
    )


def retrain_schedule(
    spec: ForecastSpec, feed: FeedSpec, tables: SeriesOf, job: AssetJob
) -> dg.ScheduleDefinition:
    """Judge again where there is anything new to judge on."""

    @dg.schedule(
        name=f"{spec.name}_retrain",
        job=job,
        cron_schedule=spec.retrain_cron,
        execution_timezone=str(feed.market.timezone),
        default_status=schedule_status(on=feed.automatic),
        description="The look: walk-forward of the newest rows, and a recorded decision.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        store = lake.open()
        if not store.exists(PRICES.name, feed.name):
            return dg.SkipReason(f"There are no prices of {feed.instrument} yet.")
        if in_progress(context.instance, job.name):
            return dg.SkipReason("Candidates are being judged already.")
        own = tables(lake)
        reason = retrain_reason(own, context.scheduled_execution_time)
        if reason is None:
            return dg.SkipReason("Nothing new since the last decision.")
        return dg.RunRequest(
            run_key=context.scheduled_execution_time.isoformat(), tags={"reason": reason}
        )

    return schedule


def new_prices_sensor(
    spec: ForecastSpec,
    feed: FeedSpec,
    tables: SeriesOf,
    predict: AssetJob,
    retrain: AssetJob,
) -> dg.SensorDefinition:
    """Predict as soon as there are bars to predict from; catch up on every day that was missed."""

    @dg.sensor(
        name=f"{spec.name}_follows_prices",
        jobs=[predict, retrain],
        minimum_interval_seconds=Settings().sensor_seconds,
        default_status=sensor_status(on=feed.automatic),
        description=f"Predicts whenever {feed.name}/prices has bars without a prediction.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        store = lake.open()
        version = store.version(PRICES.name, feed.name)
        if version is None:
            return dg.SkipReason(f"There are no prices of {feed.instrument} yet.")
        own = tables(lake)
        first = own.read(DECISIONS).empty
        if first or not own.in_service():
            if in_progress(context.instance, retrain.name):
                return dg.SkipReason("Candidates are being judged already.")
            what = f"first champion of {own.series.id}" if first else f"{own.series.id} again"
            why = "first champion" if first else f"again about {own.series.sentence}"
            key = f"{what}, prices version {version}"
            return asked_again(context.instance, retrain.name, key, {"reason": why})
        if in_progress(context.instance, predict.name):
            return dg.SkipReason("The newest bars are being predicted from.")
        days = days_to_predict(own, clock.now())
        if not days:
            if in_progress(context.instance, retrain.name):
                return dg.SkipReason(
                    "Candidates are being judged: their run writes store by store."
                )
            return _mend(own, predict.name)
        since, until = days[0].isoformat(), days[-1].isoformat()
        key = f"{since} to {until} of {own.series.id}, prices version {version}"
        return asked_again(context.instance, predict.name, key, range_tags(since, until))

    return sensor


def _mend(own: SeriesTables, job: str) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run over the newest bar where stores do not agree, once an hour for each state."""
    from fx_assets.stages.end_state import outcomes_wait
    from fx_assets.stages.reconcile import differences

    feed, wrong = own.feed, differences(own, unopened_registry())
    if outcomes_wait(own):
        wrong.append("outcomes are known that are not in their table")
    issued = own.read(PREDICTIONS)
    if not wrong or issued.empty:
        return dg.SkipReason(f"Every known bar of {feed.instrument} has its prediction.")
    newest = feed.market.bar_day(issued["event_time"].max()).isoformat()
    reason = "; ".join(wrong)
    return dg.RunRequest(
        job_name=job,
        run_key=f"{hashlib.sha256(reason.encode()).hexdigest()[:16]} at {clock.now():%Y-%m-%d %H}h",
        tags=range_tags(newest, newest) | {"reason": reason},
    )


@dg.op(
    pool="compaction",
    description="Merge small files, thin old rows, delete versions that nothing is made from.",
)
def compact_tables(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    from fx_assets.stages.upkeep import tidy

    grace = timedelta(days=Settings().keep_versions_days)
    for done in tidy(lake.open(), grace, clock.now(), context.run_id):
        context.log.info(done.sentence)


@dg.op(description="Delete MLflow's old runs that no bundle, draft or alias names.")
def forget_experiments(
    context: dg.OpExecutionContext, lake: LakeResource, registry: RegistryResource
) -> None:
    from fx_assets.registry.retention import forget_runs as forget
    from fx_assets.stages.upkeep import runs_in_use

    before = datetime.now(UTC) - timedelta(days=Settings().keep_experiments_days)
    context.log.info(forget(registry.open(), runs_in_use(lake.open()), before).sentence)


@dg.op(description="Delete old pages, downloads and graphs that nothing needs.")
def forget_files(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    from fx_assets.stages import upkeep

    settings = Settings()
    now = datetime.now(UTC)
    for said in upkeep.forget_files(lake.open(), settings.cache_folder, settings, now):
        context.log.info(said)


@dg.op(description="Delete Dagster's records of old runs that no asset's present state is from.")
def forget_runs(context: dg.OpExecutionContext) -> None:
    days = Settings().keep_runs_days
    ended = end_of_records(context.instance, datetime.now(UTC) - timedelta(days=days))
    context.log.info(f"{ended} runs of more than {days} days ago are deleted")


@dg.job(
    description="Merge small files, delete what is old and not needed, so that all stays small.",
    tags={WRITES: "compaction"} | SMALL.tags,
)
def compaction() -> None:
    compact_tables()
    forget_experiments()
    forget_files()
    forget_runs()


def compaction_schedule() -> dg.ScheduleDefinition:
    """Every night: the more files a table has, the slower it is read."""
    return dg.ScheduleDefinition(
        name="compaction",
        job=compaction,
        cron_schedule="0 3 * * *",
        execution_timezone="UTC",
        default_status=schedule_status(),
        description="Merges small files and deletes what is old and not needed, every night.",
    )


def declared_sensor(declared: Declared, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Tells the lake what is declared: a server sees by it what was put away."""

    @dg.sensor(
        name="declared",
        minimum_interval_seconds=DECLARED_SECONDS,
        default_status=status,
        description="Keeps in the lake which forecasts and universes are declared.",
    )
    def sensor(lake: LakeResource) -> dg.SkipReason:
        note_declared(lake.open(), declared)
        return dg.SkipReason("The lake knows what is declared.")

    return sensor
