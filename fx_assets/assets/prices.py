"""From a provider's payload to prices that passed the quality gate."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.display import (
    bars_metadata,
    content_version,
    markdown_table,
    table_metadata,
)
from fx_assets.errors import SourceError
from fx_assets.lake import Lake
from fx_assets.quality import CHECKS, Finding, GateReport
from fx_assets.resources import UNIQUE_KEY, LakeResource, SettingsResource
from fx_assets.settings import Settings
from fx_assets.sources import Batch, Provenance
from fx_assets.sources.wanted import feed_start
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.stages.arrivals import Arrivals, arrivals, note_files, same_prices
from fx_assets.stages.asking import (
    Asked,
    Span,
    how_to_accept,
    judged_spec,
    refused_anew,
    source_away,
    what_is_asked,
)
from fx_assets.stages.due import longest_pause
from fx_assets.stages.readings import pending_change, put_in_force, record_first
from fx_assets.stages.references import sibling_references
from fx_assets.stages.refusal import record_findings, require_gate, resolve_quarantine
from fx_assets.tables import PRICES, RAW_PRICES, READING_COLUMN

FALLBACK_CHECK = "live_source"
HISTORY_CHECK = "history_stands"
RAW_KEY = list(RAW_PRICES.key)
_PARTS = {True: ("%Y", "Y"), False: ("%Y-%m", "M")}
"""How partitions are named, and pandas' period for them: of daily bars, and of intraday ones."""
QUARANTINE_KEY = ["event_date", "column", "value", "reason"]
_TICK = timedelta(microseconds=1)


def freshness_policy(spec: FeedSpec) -> dg.FreshnessPolicy:
    """Late after the calendar's longest pause: Dagster's policies know no holidays.

    The sensor ``<feed>_is_fresh`` knows them, and sees a single missed bar.
    """
    grace = timedelta(minutes=spec.freshness.grace_minutes)
    return dg.FreshnessPolicy.time_window(fail_window=longest_pause(spec.market.key) + grace)


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
    first = pd.Timestamp(spec.start)
    if lake.exists("raw_prices", spec.name) and pending_change(lake, spec) is None:
        stored = lake.bars_of(spec.name, spec.reading)
        if len(stored):
            first = stored["event_time"].max().tz_localize(None)
    last = pd.Timestamp(now).tz_localize(None)
    return partitions_of(spec, min(first, last), last)


def partitions_of(spec: FeedSpec, first: pd.Timestamp, last: pd.Timestamp) -> list[str]:
    """The partitions from that of one day to that of another."""
    form, period = _PARTS[spec.market.daily]
    return list(pd.period_range(first, last, freq=period).strftime(form))


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
        partitions_def=bar_partitions(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness_policy(spec),
        metadata={
            UNIQUE_KEY: RAW_KEY,
            "instrument": spec.instrument,
            "calendar": spec.calendar,
            **table_metadata(RAW_PRICES, spec.name),
        },
        check_specs=[
            *(
                dg.AssetCheckSpec(name, asset=key, description=meaning, blocking=True)
                for name, meaning in CHECKS.items()
            ),
            dg.AssetCheckSpec(
                FALLBACK_CHECK, asset=key, description="Bars came from the live provider."
            ),
            dg.AssetCheckSpec(
                HISTORY_CHECK, asset=key, description="No older bar was added or corrected."
            ),
        ],
    )
    def raw_prices(
        context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource
    ) -> Iterator[Any]:
        from fx_assets.quality import inspect
        from fx_assets.quality.overrides import overridden_findings
        from fx_assets.sources import new_rows

        store, now, deployment = lake.open(), clock.now(), settings.get()
        run_id = context.run.run_id
        window = context.partition_time_window
        record_first(store, spec, run_id)
        stored = _stored_bars(store, spec, now)
        asked = what_is_asked(
            spec,
            Span(window.start, window.end),
            context.run.tags,
            pending_change(store, spec),
            now,
            stored=bool(len(stored)),
        )
        batch = _fetch(spec, deployment, asked, stored, window, now)
        provenance = batch.provenance
        bars = _taken_from(asked, stored, provenance, spec).of(batch.bars)
        against = stored.iloc[:0] if asked.afresh else stored
        taken = _without_contradictions(bars, against, provenance)
        fresh = new_rows(against, taken, now)
        others = sibling_references(store, spec, deployment.declared_folder) if len(fresh) else []
        judging = (against, fresh, batch.rejected, judged_spec(spec, asked), spec.market, now)
        report = _with_commands(inspect(*judging, others), spec, len(against))
        overridden = overridden_findings(*judging, references=others)
        accepted = new_rows(stored, report.accepted, now) if asked.afresh else report.accepted
        brought = arrivals(stored, taken, accepted, spec.market)
        _keep_quarantined(store, spec, report, run_id)
        record_findings(
            store,
            spec.name,
            report,
            window=(asked.judged.start, asked.judged.end),
            payload=provenance.sha256,
            reading=spec.reading,
            now=now,
            run_id=run_id,
            overridden=overridden,
        )
        refused = "; ".join(f"{f.check}: {f.message}" for f in report.findings if _refuses(f))
        if refused:
            # Not the payload's: providers pack the same bars anew, and that is not news.
            digest = hashlib.sha256(refused.encode()).hexdigest()
            key = f"gate_failed:{spec.name}:{digest}"
            tell(store, "gate_failed", spec.name, refused, run_id=run_id, key=key)
        fetched = pd.DataFrame([provenance.model_dump()])
        store.insert_new("sources", spec.name, fetched, ["provider", "sha256"], run_id=run_id)
        if against.empty and report.passed and report.accepted.empty:
            with _naming_the_change(spec, asked):
                _refuse_nothing(spec, batch, report, asked.judged.start, min(asked.judged.end, now))
        yield dg.Output(
            accepted.assign(**{READING_COLUMN: spec.reading}),
            metadata={
                **_provenance_metadata(provenance),
                "bars_in_payload": len(bars),
                "bars_known_from_others": len(bars) - len(taken),
                "rows_added": len(accepted),
                "bars_added": brought.added,
                "bars_revised": brought.revised,
                "bars_unchanged": brought.unchanged if report.passed else 0,
                "rows_quarantined": len(report.quarantined),
                "gate": dg.MetadataValue.md(_findings_table(report)),
                **_why_no_bars(spec, bars, window.start, window.end, now),
            },
        )
        files = ""
        if report.passed:
            # The rows are committed: only now may they count.
            put_in_force(store, spec, now, run_id)
            if len(accepted):
                resolve_quarantine(store, spec, now, run_id)
            files = note_files(store, spec.name, batch.files, now, run_id)
        yield from _check_results(report, {f.check: f for f in overridden})
        yield _fallback_result(provenance)
        yield _history_result(asked, brought, files)
        if refused and asked.afresh and asked.change:
            raise refused_anew(spec, asked.change, refused)

    return raw_prices


def build_prices(spec: FeedSpec) -> dg.AssetsDefinition:
    """The asset of accepted bars as they are known now."""

    @dg.asset(
        key=[spec.name, "prices"],
        deps=[[spec.name, "raw_prices"]],
        group_name=spec.name,
        description=f"{spec.description} The bars as known now, one row a bar.",
        owners=spec.owners,
        kinds={"python", "deltalake"},
        partitions_def=bar_partitions(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=freshness_policy(spec),
        metadata=table_metadata(PRICES, spec.name),
    )
    def prices(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult[pd.DataFrame]:
        store = lake.open()
        require_gate(store, spec)
        known = store.prices(spec.name, clock.now())[list(BAR_DTYPES)]
        window = Span(*context.partition_time_window[:2])
        bars = window.of(known)
        if not _agree_outside(store, spec, window, known):
            store.replace("prices", spec.name, known, run_id=context.run.run_id)
        return dg.MaterializeResult(
            value=bars,
            data_version=content_version(bars),
            metadata=bars_metadata(bars, spec.instrument),
        )

    return prices


def _fetch(
    spec: FeedSpec,
    deployment: Settings,
    asked: Asked,
    stored: pd.DataFrame,
    window: Any,
    now: datetime,
) -> Batch:
    from fx_assets.sources import Wanted, fetch_bars, wanted_bars

    if asked.again:
        wanted = Wanted(((max(asked.span.start, feed_start(spec)), min(asked.span.end, now)),))
    else:
        have = pd.DatetimeIndex(stored["event_time"])
        # A span is asked for without its beginning, and a bar may close on a partition's midnight.
        wanted = wanted_bars(have, spec, (window.start - _TICK, window.end), now)
    with _naming_the_change(spec, asked):
        return fetch_bars(spec, deployment, now, deployment.cache_folder, wanted)


@contextmanager
def _naming_the_change(spec: FeedSpec, asked: Asked) -> Iterator[None]:
    """Let a failure of the source say why the whole feed was read."""
    try:
        yield
    except SourceError as error:
        if asked.change is None:
            raise
        raise source_away(spec, asked.change, error) from error


def _taken_from(asked: Asked, stored: pd.DataFrame, provenance: Provenance, spec: FeedSpec) -> Span:
    """The bars that a run takes: no older ones of a stand-in that knows less than is stored."""
    if asked.again or provenance.fallback_reason is None or stored.empty:
        return asked.span
    newest = spec.market.bar_day(stored["event_time"].iloc[-1].to_pydatetime())
    return asked.judged if provenance.last_date < newest else asked.span


def _with_commands(report: GateReport, spec: FeedSpec, stored: int) -> GateReport:
    """The report whose refusal of many revisions says how they are accepted."""
    told = [
        replace(f, message=f"{f.message} {how_to_accept(spec, f.count, stored)}")
        if f.check == "revisions" and _refuses(f)
        else f
        for f in report.findings
    ]
    return replace(report, findings=tuple(told))


def _keep_quarantined(store: Lake, spec: FeedSpec, report: GateReport, run_id: str) -> None:
    if len(report.quarantined):
        store.insert_new("quarantine", spec.name, report.quarantined, QUARANTINE_KEY, run_id=run_id)


def _agree_outside(store: Lake, spec: FeedSpec, window: Span, known: pd.DataFrame) -> bool:
    """Whether the stored prices outside of a window are as known: a run may have brought others."""
    stored = store.read_or_empty("prices", spec.name).reindex(columns=list(BAR_DTYPES))
    stored = stored.astype(BAR_DTYPES).sort_values("event_time", ignore_index=True)
    outside = [
        bars[(bars["event_time"] < window.start) | (bars["event_time"] >= window.end)]
        for bars in (stored, known)
    ]
    return same_prices(*outside)


def _stored_bars(store: Lake, spec: FeedSpec, now: datetime) -> pd.DataFrame:
    from fx_assets.lake import as_known_at

    exists = store.exists("raw_prices", spec.name)
    raw = store.bars_of(spec.name, spec.reading) if exists else pd.DataFrame()
    return as_known_at(raw.reindex(columns=list(BAR_DTYPES)).astype(BAR_DTYPES), now)


def _without_contradictions(
    bars: pd.DataFrame, stored: pd.DataFrame, provenance: Provenance
) -> pd.DataFrame:
    """The bars of a batch, of a stand-in without those that are stored from another provider.

    Providers differ a little: a stand-in fills gaps, and revises only what it brought itself.
    """
    if provenance.fallback_reason is None:
        return bars
    sources = stored.set_index("event_time")["source"].reindex(bars["event_time"]).to_numpy()
    mine = pd.isna(sources) | (sources == bars["source"].to_numpy())
    return bars[mine].reset_index(drop=True)


def _refuses(finding: Finding) -> bool:
    return finding.severity == "block" and not finding.passed


def _provenance_metadata(provenance: Provenance) -> dict[str, Any]:
    return {
        "provider": provenance.provider,
        "payload": provenance.url,
        "payload_sha256": provenance.sha256,
        "payload_last_date": str(provenance.last_date),
        **({"notes": provenance.notes} if provenance.notes else {}),
    }


def _refuse_nothing(
    spec: FeedSpec, batch: Batch, report: GateReport, start: datetime, end: datetime
) -> None:
    """Stop a first load without bars, where bars are due: nothing could come of it.

    Raises
    ------
    SourceError
        The provider has none of the bars, or the gate keeps all of them out.
    """
    first = max(start, feed_start(spec))
    due = len(spec.market.closes(first.date(), end.date())) if first < end else 0
    if not due:
        return
    provenance = batch.provenance
    kept_out = len(report.quarantined)
    said = f" {provenance.notes}" if provenance.notes else ""
    others = len(batch.bars) - kept_out
    what = f"; {kept_out:,} rows went to quarantine" if kept_out else ""
    what += f"; it has {others:,} bars of other times" if others > 0 else ""
    span = f"from {first:%Y-%m-%d} to {end:%Y-%m-%d}"
    raise SourceError(
        f"The first load of {spec.name} found no bars: {provenance.provider} ({provenance.url}) "
        f"has none of the {due:,} that are due {span}{what}.{said}",
        remedy=f"Correct the source or the start ({spec.start}) of {spec.name}, or wait until the "
        "provider has bars; then run it again.",
    )


def _why_no_bars(
    spec: FeedSpec, bars: pd.DataFrame, start: datetime, end: datetime, now: datetime
) -> dict[str, Any]:
    if len(bars):
        return {}
    due = len(spec.market.closes(start.date(), min(end, now).date())) if start < now else 0
    reason = f"the payload has none of {due} bars" if due else "no bar is due yet"
    return {"why_no_bars": reason}


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


def _history_result(asked: Asked, brought: Arrivals, files: str) -> dg.AssetCheckResult:
    told = [brought.sentence]
    if asked.change is not None:
        told = [f"{asked.change.sentence}: the feed was read anew, {brought.read:,} bars."]
    return dg.AssetCheckResult(
        check_name=HISTORY_CHECK,
        passed=asked.change is None and not brought.touches_history,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(filter(None, [files, *told])),
    )


def _findings_table(report: GateReport) -> str:
    return markdown_table(
        ["check", "verdict", "finding"],
        [
            [f.check, "passed" if f.passed else f"FAILED ({f.severity})", f.message]
            for f in report.findings
        ],
    )
