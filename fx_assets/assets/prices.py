"""From a provider's payload to prices that passed the quality gate."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.declaring import asset_of, warning
from fx_assets.assets.display import (
    bars_metadata,
    content_version,
)
from fx_assets.assets.freshness import FRESH, fresh_result, judge_feed
from fx_assets.lake import Lake
from fx_assets.presentation.markdown import markdown_table
from fx_assets.quality import Finding, GateReport, checks_of
from fx_assets.resources import UNIQUE_KEY, LakeResource, SettingsResource
from fx_assets.sources import Provenance
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.arrivals import Arrivals, same_prices
from fx_assets.stages.asking import Asked, Span, refused_anew
from fx_assets.stages.ingest import open_since
from fx_assets.stages.readings import pending_change
from fx_assets.stages.refusal import require_gate
from fx_assets.tables import PRICES, RAW_PRICES

FALLBACK_CHECK = "live_source"
HISTORY_CHECK = "history_stands"
_PARTS = {True: ("%Y", "Y"), False: ("%Y-%m", "M")}
"""How partitions are named, and pandas' period for them: of daily bars, and of intraday ones."""


def bar_partitions(spec: FeedSpec) -> dg.TimeWindowPartitionsDefinition:
    """Logical partitions of bars: one a year, or of intraday bars a month, the current included."""
    form, _ = _PARTS[spec.market.daily]
    return dg.TimeWindowPartitionsDefinition(
        start=f"{spec.start:{form}}",
        fmt=form,
        cron_schedule="0 0 1 1 *" if spec.market.daily else "0 0 1 * *",
        end_offset=1,
    )


def partitions_to_ingest(lake: Lake, spec: FeedSpec, now: datetime) -> list[str]:
    """The partitions in which new bars may lie: all at first, then the last stored bar's and on.

    All again where the feed has to be read anew.
    """
    first, last = open_since(lake, spec, now)
    if lake.exists(RAW_PRICES.name, spec.name) and pending_change(lake, spec) is not None:
        first = min(pd.Timestamp(spec.start), last)
    return partitions_of(spec, first, last)


def partitions_of(spec: FeedSpec, first: pd.Timestamp, last: pd.Timestamp) -> list[str]:
    """The partitions from that of one day to that of another."""
    form, period = _PARTS[spec.market.daily]
    return list(pd.period_range(first, last, freq=period).strftime(form))


def build_raw_prices(spec: FeedSpec) -> dg.AssetsDefinition:
    """The asset that fetches bars, judges them, and appends what is new."""

    @asset_of(
        spec,
        RAW_PRICES.name,
        bitemporal(spec),
        "deltalake",
        spec.source.kind,
        table=RAW_PRICES,
        pool="ingest",
        partitions=bar_partitions(spec),
        metadata={
            UNIQUE_KEY: list(RAW_PRICES.key),
            "instrument": spec.instrument,
            "calendar": spec.calendar,
        },
        blocking=checks_of(spec),
        checks={
            FALLBACK_CHECK: "Bars came from the live provider.",
            HISTORY_CHECK: "No older bar was added or corrected.",
        },
    )
    def raw_prices(
        context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource
    ) -> Iterator[Any]:
        from fx_assets.stages.ingest import ingest, settle

        store, now, run_id = lake.open(), clock.now(), context.run.run_id
        window = Span(*context.partition_time_window[:2])
        found = ingest(
            spec, store, settings.get(), window, context.run.tags, now=now, run_id=run_id
        )
        report, refused = found.report, found.refused
        if refused:
            tell_refusal(store, spec.name, refused, run_id)
        yield dg.Output(
            found.accepted,
            metadata={
                **provenance_metadata(found.batch.provenance),
                "bars_in_payload": found.bars,
                "bars_known_from_others": found.bars - found.brought.read,
                "rows_added": len(found.accepted),
                "bars_added": found.brought.added,
                "bars_revised": found.brought.revised,
                "bars_unchanged": found.brought.unchanged if report.passed else 0,
                "rows_quarantined": len(report.quarantined),
                "gate": dg.MetadataValue.md(_findings_table(report)),
                **({"why_no_bars": found.why_no_bars} if found.why_no_bars else {}),
            },
        )
        files = settle(spec, store, found, now, run_id)
        yield from _check_results(report, {f.check: f for f in found.overridden})
        yield fallback_result(found.batch.provenance)
        yield _history_result(found.asked, found.brought, files)
        if refused and found.asked.afresh and found.asked.change:
            raise refused_anew(spec, found.asked.change, refused)

    return raw_prices


def build_prices(spec: FeedSpec) -> dg.AssetsDefinition:
    """The asset of accepted bars as they are known now."""

    @asset_of(
        spec,
        PRICES.name,
        f"{spec.description} The bars as known now, one row a bar.",
        "deltalake",
        table=PRICES,
        pool="ingest",
        deps=[[spec.name, RAW_PRICES.name]],
        partitions=bar_partitions(spec),
        checks=FRESH,
    )
    def prices(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        store, now = lake.open(), clock.now()
        require_gate(store, spec)
        known = store.prices(spec.name, now)[list(BAR_DTYPES)]
        window = Span(*context.partition_time_window[:2])
        bars = window.of(known)
        if not _agree_outside(store, spec, window, known):
            store.replace(PRICES.name, spec.name, known, run_id=context.run.run_id)
        yield dg.Output(
            bars,
            data_version=content_version(bars),
            metadata=bars_metadata(bars, spec.instrument),
        )
        yield fresh_result(judge_feed(context.instance, store, spec, now, known))

    return prices


def bitemporal(spec: FeedSpec | UniverseSpec) -> str:
    """What raw bars are."""
    return (
        f"{spec.description} Append-only and bitemporal: a revision adds a row, it never "
        "overwrites one."
    )


def tell_refusal(store: Lake, subject: str, refused: str, run_id: str) -> None:
    """Alert that a batch was refused; the same reasons again are the same alert."""
    # Not the payload's hash: providers pack the same bars anew, and that is not news.
    digest = hashlib.sha256(refused.encode()).hexdigest()
    tell(
        store, "gate_failed", subject, refused, run_id=run_id, key=f"gate_failed:{subject}:{digest}"
    )


def _agree_outside(store: Lake, spec: FeedSpec, window: Span, known: pd.DataFrame) -> bool:
    """Whether the stored prices outside of a window are as known: a run may have brought others."""
    stored = store.read_or_empty(PRICES.name, spec.name).reindex(columns=list(BAR_DTYPES))
    stored = stored.astype(BAR_DTYPES).sort_values("event_time", ignore_index=True)
    outside = [
        bars[(bars["event_time"] < window.start) | (bars["event_time"] >= window.end)]
        for bars in (stored, known)
    ]
    return same_prices(*outside)


def provenance_metadata(provenance: Provenance) -> dict[str, Any]:
    """Where a payload came from, for the UI."""
    return {
        "provider": provenance.provider,
        "payload": provenance.url,
        "payload_sha256": provenance.sha256,
        "payload_last_date": str(provenance.last_date),
        **({"notes": provenance.notes} if provenance.notes else {}),
    }


def _check_results(report: GateReport, overridden: dict[str, Finding]) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            check_name=finding.check,
            passed=finding.passed and finding.check not in overridden,
            severity=(
                dg.AssetCheckSeverity.ERROR
                if finding.severity == "block"
                else dg.AssetCheckSeverity.WARN
            ),
            description=_described(finding, overridden.get(finding.check)),
            metadata={"count": finding.count, "limit": str(finding.limit)},
        )
        for finding in report.findings
    ]


def _described(finding: Finding, strict: Finding | None) -> str:
    if strict is None:
        return finding.message
    how = "switched off" if finding.severity == "off" else "lowered to a warning"
    return f"It would have refused these bars, and is {how} in the feed: {strict.message}"


def fallback_result(provenance: Provenance) -> dg.AssetCheckResult:
    """Whether the live provider answered."""
    live = provenance.fallback_reason is None
    return warning(
        FALLBACK_CHECK,
        live,
        f"{provenance.provider}, last date {provenance.last_date}"
        if live
        else f"Fell back to {provenance.provider} (last date {provenance.last_date}): "
        f"{provenance.fallback_reason}",
    )


def _history_result(asked: Asked, brought: Arrivals, files: str) -> dg.AssetCheckResult:
    told = [brought.sentence]
    if asked.change is not None:
        told = [f"{asked.change.sentence}: the feed was read anew, {brought.read:,} bars."]
    stands = asked.change is None and not brought.touches_history
    return warning(HISTORY_CHECK, stands, " ".join(filter(None, [files, *told])))


def _findings_table(report: GateReport) -> str:
    return markdown_table(
        ["check", "verdict", "finding"],
        [
            [f.check, "passed" if f.passed else f"FAILED ({f.severity})", f.message]
            for f in report.findings
        ],
    )
