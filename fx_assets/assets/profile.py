"""What a feed's bars are like: a page for people, figures for the UI and for MLflow."""

from typing import TYPE_CHECKING, Any
from zlib import crc32

import dagster as dg

from fx_assets import clock
from fx_assets.assets.declaring import asset_of
from fx_assets.assets.display import link
from fx_assets.assets.runs import AssetJob, asset_job, schedule_status
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import LakeResource, RegistryResource
from fx_assets.specs import FeedSpec
from fx_assets.tables import PRICES, RAW_PRICES

if TYPE_CHECKING:
    from fx_assets.profiling.profile import FeedProfile

FOLDER = "monitoring"


def build_profile(spec: FeedSpec) -> dg.AssetsDefinition:
    """The asset that describes a feed's bars; it is no part of ingestion."""

    @asset_of(
        spec,
        "profile",
        f"What the bars of {spec.instrument} are like: span, gaps, revisions, providers, "
        "distributions, correlations. One page, kept in the lake and in MLflow.",
        "evidently",
        pool="profile",
        deps=[[spec.name, RAW_PRICES.name], [spec.name, PRICES.name]],
    )
    def profile(
        context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource
    ) -> dg.MaterializeResult:
        from fx_assets.profiling.mlflow_run import log_profile
        from fx_assets.profiling.page import page
        from fx_assets.profiling.profile import READ_COLUMNS
        from fx_assets.profiling.profile import profile as describe

        store = lake.open()
        raw = store.bars_of(spec.name)[READ_COLUMNS]
        found = describe(raw, spec, clock.now())
        made = page(found, spec.market.bars_a_year)
        address = store.write_blob(f"{FOLDER}/{spec.name}/profile.html", made)
        run = log_profile(registry.open(), found, made)
        context.log.info(f"profile of {found.rows:,} bars: {address}")
        return dg.MaterializeResult(
            metadata={
                **profile_metadata(found),
                "report": link(address),
                "mlflow_run": dg.MetadataValue.url(registry.page(run)),
            }
        )

    return profile


def profile_metadata(found: "FeedProfile") -> dict[str, Any]:
    """Figures that Dagster plots over time, and the summary as a table."""
    from fx_assets.profiling.mlflow_run import figures
    from fx_assets.profiling.page import summary

    shown = ("missing", "unexpected", "revised", "longest_gap", "annual_volatility", "zero_share")
    numbers = figures(found)
    return {
        "dagster/row_count": found.rows,
        **{name: numbers[name] for name in shown if name in numbers},
        "summary": dg.MetadataValue.md(markdown_table(["what", "found"], summary(found))),
        "first_bar": found.first.isoformat(),
        "last_bar": found.last.isoformat(),
    }


def profile_job(spec: FeedSpec) -> AssetJob:
    """Describe a feed's bars."""
    return asset_job(
        f"{spec.name}_profile",
        selection=dg.AssetSelection.assets([spec.name, "profile"]),
        description=f"Describe the bars of {spec.instrument}: gaps, revisions, distributions.",
    )


def profile_schedule(spec: FeedSpec, job: AssetJob) -> dg.ScheduleDefinition:
    """Sundays, each feed at a minute of its own."""
    minute = crc32(spec.name.encode()) % 60

    @dg.schedule(
        name=f"{spec.name}_profile",
        job=job,
        cron_schedule=f"{minute} 4 * * 0",
        execution_timezone="UTC",
        default_status=schedule_status(on=spec.automatic),
        description=f"Describes the bars of {spec.instrument} once a week.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        if not lake.open().exists(PRICES.name, spec.name):
            return dg.SkipReason(f"There are no prices of {spec.instrument} yet.")
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    return schedule
