"""From a provider's payload to prices that passed the quality gate."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.display import bars_metadata, content_version, markdown_table
from fx_assets.assets.due import longest_pause
from fx_assets.assets.refusal import record_findings, require_gate
from fx_assets.calendars import calendar
from fx_assets.lake import Lake
from fx_assets.quality import CHECKS, Finding, GateReport
from fx_assets.resources import UNIQUE_KEY, LakeResource, SettingsResource
from fx_assets.sources import Provenance
from fx_assets.specs import FeedSpec
from fx_assets.specs.watching import FreshnessRule

FALLBACK_CHECK = "live_source"
RAW_KEY = ["event_time", "available_at", "close"]
QUARANTINE_KEY = ["event_date", "column", "value", "reason"]


def freshness_policy(spec: FeedSpec) -> dg.FreshnessPolicy:
    """Late after the calendar's longest pause: Dagster's policies know no holidays.

    The sensor ``<feed>_is_fresh`` knows them, and sees a single missed bar.
    """
    grace = timedelta(minutes=FreshnessRule().grace_minutes)
    return dg.FreshnessPolicy.time_window(fail_window=longest_pause(spec.calendar) + grace)


def year_partitions(spec: FeedSpec) -> dg.TimeWindowPartitionsDefinition:
    """Logical partitions of a daily feed: one a year, the current year included."""
    return dg.TimeWindowPartitionsDefinition(
        start=str(spec.start.year), fmt="%Y", cron_schedule="0 0 1 1 *", end_offset=1
    )


def years_to_ingest(lake: Lake, spec: FeedSpec, now: datetime) -> list[str]:
    """The years in which new bars may lie: all at first, then from the last stored bar's on."""
    first = spec.start.year
    if lake.exists("raw_prices", spec.name):
        stored = lake.read("raw_prices", spec.name, columns=["event_time"])
        if len(stored):
            first = stored["event_time"].max().year
    return [str(year) for year in range(min(first, now.year), now.year + 1)]


def build_raw_prices(spec: FeedSpec) -> dg.AssetsDefinition:
    """The asset that fetches bars, judges them, and appends what is new."""
    key = dg.AssetKey([spec.name, "raw_prices"])

    @dg.asset(
        key=key,
        group_name=spec.name,
        description=(
            f"{spec.description} Append-only and bitemporal: a revision adds a row, "
            "it never overwrites one."
        ),
        owners=spec.owners,
        kinds={"python", "deltalake", spec.source.kind},
        partitions_def=year_partitions(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness_policy(spec),
        metadata={UNIQUE_KEY: RAW_KEY, "instrument": spec.instrument, "calendar": spec.calendar},
        check_specs=[
            *(
                dg.AssetCheckSpec(name, asset=key, description=meaning, blocking=True)
                for name, meaning in CHECKS.items()
            ),
            dg.AssetCheckSpec(
                FALLBACK_CHECK, asset=key, description="Bars came from the live provider."
            ),
        ],
    )
    def raw_prices(
        context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource
    ) -> Iterator[Any]:
        from fx_assets.quality import inspect
        from fx_assets.sources import fetch_bars, new_rows

        store, now, deployment = lake.open(), clock.now(), settings.get()
        batch = fetch_bars(spec, deployment, now, deployment.cache_folder)
        window = context.partition_time_window
        times = batch.bars["event_time"]
        bars = batch.bars[(times >= window.start) & (times < window.end)].reset_index(drop=True)
        raw = store.read_or_empty("raw_prices", spec.name)
        stored = store.prices(spec.name) if len(raw) else batch.bars.iloc[:0]
        report = inspect(
            stored, new_rows(stored, bars, now), batch.rejected, spec, calendar(spec.calendar), now
        )
        run_id, provenance = context.run.run_id, batch.provenance
        if len(report.quarantined):
            store.insert_new(
                "quarantine", spec.name, report.quarantined, QUARANTINE_KEY, run_id=run_id
            )
        record_findings(
            store,
            spec.name,
            report,
            window=(window.start, window.end),
            payload=provenance.sha256,
            now=now,
            run_id=run_id,
        )
        refused = [f"{f.check}: {f.message}" for f in report.findings if _refuses(f)]
        if refused:
            key = f"gate_failed:{spec.name}:{provenance.sha256}"
            tell(store, "gate_failed", spec.name, "; ".join(refused), run_id=run_id, key=key)
        fetched = pd.DataFrame([provenance.model_dump()])
        store.insert_new("sources", spec.name, fetched, ["provider", "sha256"], run_id=run_id)
        yield dg.Output(
            report.accepted,
            metadata={
                **_provenance_metadata(provenance),
                "bars_in_payload": len(bars),
                "rows_added": len(report.accepted),
                "rows_quarantined": len(report.quarantined),
                "gate": dg.MetadataValue.md(_findings_table(report)),
                **_closed_years(spec, bars, window.start, window.end, now),
            },
        )
        yield from _check_results(report)
        yield _fallback_result(provenance)

    return raw_prices


def build_prices(spec: FeedSpec) -> dg.AssetsDefinition:
    """The asset of accepted bars as they are known now."""

    @dg.asset(
        key=[spec.name, "prices"],
        ins={"raw_prices": dg.AssetIn(key=[spec.name, "raw_prices"])},
        group_name=spec.name,
        description=f"{spec.description} The bars as known now, one row a bar.",
        owners=spec.owners,
        kinds={"python", "deltalake"},
        partitions_def=year_partitions(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness_policy(spec),
    )
    def prices(lake: LakeResource, raw_prices: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
        from fx_assets.lake import as_known_at

        store = lake.open()
        require_gate(store, spec.name)
        bars = as_known_at(raw_prices, clock.now())
        return dg.MaterializeResult(
            value=bars,
            data_version=content_version(bars),
            metadata=bars_metadata(bars, spec.instrument),
        )

    return prices


def _refuses(finding: Finding) -> bool:
    return finding.severity == "block" and not finding.passed


def _provenance_metadata(provenance: Provenance) -> dict[str, Any]:
    return {
        "provider": provenance.provider,
        "payload": provenance.url,
        "payload_sha256": provenance.sha256,
        "payload_last_date": str(provenance.last_date),
    }


def _closed_years(
    spec: FeedSpec, bars: pd.DataFrame, start: datetime, end: datetime, now: datetime
) -> dict[str, Any]:
    if len(bars):
        return {}
    last = min(end, now)
    days = calendar(spec.calendar).open_days(start.date(), last.date()) if last > start else []
    reason = (
        "no open day has passed yet" if not days else f"the payload has none of {len(days)} days"
    )
    return {"why_no_bars": reason}


def _check_results(report: GateReport) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            check_name=finding.check,
            passed=finding.passed,
            severity=(
                dg.AssetCheckSeverity.ERROR
                if finding.severity == "block"
                else dg.AssetCheckSeverity.WARN
            ),
            description=finding.message,
            metadata={"count": finding.count, "limit": str(finding.limit)},
        )
        for finding in report.findings
    ]


def _fallback_result(provenance: Provenance) -> dg.AssetCheckResult:
    live = provenance.fallback_reason is None
    return dg.AssetCheckResult(
        check_name=FALLBACK_CHECK,
        passed=live,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{provenance.provider}, last date {provenance.last_date}"
            if live
            else f"Fell back to {provenance.provider} (last date {provenance.last_date}): "
            f"{provenance.fallback_reason}"
        ),
    )


def _findings_table(report: GateReport) -> str:
    return markdown_table(
        ["check", "verdict", "finding"],
        [
            [f.check, "passed" if f.passed else f"FAILED ({f.severity})", f.message]
            for f in report.findings
        ],
    )
