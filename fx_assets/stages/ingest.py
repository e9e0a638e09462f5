"""Ingestion of a feed's bars: ask the provider, judge what came, say which bars are accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.errors import FxAssetsError, GateError, SourceError
from fx_assets.lake.panel import Panel
from fx_assets.quality import Finding, GateReport
from fx_assets.settings import Settings
from fx_assets.sources.bars import Batch, Provenance, Wanted
from fx_assets.sources.wanted import feed_start, wanted_bars
from fx_assets.specs import FeedSpec, GateSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.arrivals import Arrivals, arrivals, note_files
from fx_assets.stages.asking import (
    Asked,
    Span,
    how_to_accept,
    judged_spec,
    source_away,
    what_is_asked,
)
from fx_assets.stages.readings import pending_change, put_in_force, record_first
from fx_assets.stages.references import sibling_references
from fx_assets.stages.refusal import record_findings, require_gate, resolve_quarantine
from fx_assets.tables import (
    INSTRUMENT_COLUMN,
    QUARANTINE,
    RAW_PRICES,
    READING_COLUMN,
    SOURCES,
)

if TYPE_CHECKING:
    from fx_assets.lake import Lake

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Ingested:
    """What an ingestion found.

    Parameters
    ----------
    accepted
        The rows that belong into ``raw_prices``, with their reading; none where the gate refused.
    bars
        How many bars of the payload the run takes.
    overridden
        What lowered checks would have refused.
    """

    asked: Asked
    batch: Batch
    bars: int
    report: GateReport
    overridden: tuple[Finding, ...]
    accepted: pd.DataFrame
    brought: Arrivals
    why_no_bars: str = ""

    @property
    def refused(self) -> str:
        """Why the gate refused the batch; empty where it did not."""
        return "; ".join(f"{f.check}: {f.message}" for f in self.report.findings if _refuses(f))


def ingest(
    spec: FeedSpec,
    store: Lake,
    settings: Settings,
    window: Span,
    tags: Mapping[str, str],
    *,
    now: datetime,
    run_id: str,
    defaults: GateSpec | None = None,
    quiet: bool = False,
) -> Ingested:
    """Fetch what is asked for and judge it; findings, quarantine and provenance are recorded.

    The accepted rows are the caller's to commit; after that comes :func:`settle`.

    Parameters
    ----------
    window
        Event times that the run covers.
    tags
        Of the run: a person may ask for a reload.
    defaults
        Severities that count as nobody's choice, beside those of the frequency.
    quiet
        Whether a batch without anything new goes unrecorded, unless it makes a refusal good.

    Raises
    ------
    SourceError
        No provider answered, or a first load found no bars where some are due.
    """
    from fx_assets.quality import inspect
    from fx_assets.quality.overrides import overridden_findings
    from fx_assets.sources import new_rows

    record_first(store, spec, run_id)
    stored = _stored_bars(store, spec, now)
    change = pending_change(store, spec)
    asked = what_is_asked(spec, window, tags, change, now, stored=bool(len(stored)))
    batch = _fetch(spec, settings, asked, stored, window, now)
    provenance = batch.provenance
    bars = _taken_from(asked, stored, provenance, spec).of(batch.bars)
    against = stored.iloc[:0] if asked.afresh else stored
    taken = _without_contradictions(bars, against, provenance)
    fresh = new_rows(against, taken, now)
    idle = fresh.empty and batch.rejected.empty and len(stored) > 0 and not asked.again
    if quiet and idle and not _refusal_stands(store, spec):
        report = GateReport((), batch.rejected, fresh, passed=True)
        brought = arrivals(stored, taken, fresh, spec.market)
        none = fresh.assign(**{READING_COLUMN: spec.reading})
        return Ingested(asked, batch, len(bars), report, (), none, brought)
    others = sibling_references(store, spec, settings.declared_folder) if len(fresh) else []
    judging = (against, fresh, batch.rejected, judged_spec(spec, asked), spec.market, now)
    report = _with_commands(inspect(*judging, others), spec, len(against))
    overridden = overridden_findings(*judging, defaults=defaults, references=others)
    accepted = new_rows(stored, report.accepted, now) if asked.afresh else report.accepted
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
    fetched = pd.DataFrame([provenance.model_dump()])
    store.insert_new(SOURCES.name, spec.name, fetched, list(SOURCES.key), run_id=run_id)
    if against.empty and report.passed and report.accepted.empty:
        with _naming_the_change(spec, asked):
            _refuse_nothing(spec, batch, report, asked.judged.start, min(asked.judged.end, now))
    return Ingested(
        asked=asked,
        batch=batch,
        bars=len(bars),
        report=report,
        overridden=overridden,
        accepted=accepted.assign(**{READING_COLUMN: spec.reading}),
        brought=arrivals(stored, taken, accepted, spec.market),
        why_no_bars=_why_no_bars(spec, bars, window, now),
    )


def settle(spec: FeedSpec, store: Lake, found: Ingested, now: datetime, run_id: str) -> str:
    """Let committed rows count: their reading, the quarantine, the files that were read.

    Returns a sentence on files that are new, changed or gone. Nothing where the gate refused.
    """
    if not found.report.passed:
        return ""
    put_in_force(store, spec, now, run_id)
    if len(found.accepted):
        resolve_quarantine(store, spec, now, run_id)
    return note_files(store, spec.name, found.batch.files, now, run_id)


@dataclass
class IngestedPanel:
    """What came of every instrument."""

    found: dict[str, Ingested] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Instruments whose source failed or whose batch was refused, each with the reason."""


def ingest_panel(
    spec: UniverseSpec,
    store: Lake,
    settings: Settings,
    instruments: Sequence[str],
    tags: Mapping[str, str],
    *,
    now: datetime,
    run_id: str,
) -> IngestedPanel:
    """Ingest every instrument as a feed of its own; one that fails holds no other back.

    Raises
    ------
    SourceError
        The source of every instrument failed.
    """
    panel, result = Panel(store, spec.name, instruments), IngestedPanel()
    usual = type(spec).model_fields["gate"].default
    errors: list[FxAssetsError] = []
    for instrument in instruments:
        feed, own = spec.feed(instrument), panel.of(instrument)
        window = _open_span(own, feed, now)
        try:
            found = ingest(
                feed, own, settings, window, tags,
                now=now, run_id=run_id, defaults=usual, quiet=True,
            )  # fmt: skip
        except FxAssetsError as error:
            own.discard()
            errors.append(error)
            result.failed[instrument] = f"{error.message} {error.remedy or ''}".strip()
            continue
        result.found[instrument] = found
        if found.refused:
            result.failed[instrument] = found.refused
        keys = list(RAW_PRICES.key)
        own.insert_new(RAW_PRICES.name, feed.name, found.accepted, keys, run_id=run_id)
        settle(feed, own, found, now, run_id)
    if errors and not result.found:
        raise errors[0]
    with store.deferred_views():
        panel.commit(run_id)
    return result


def panel_prices(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], now: datetime
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The bars of these instruments as known now, with a column ``instrument``, sorted.

    Returns
    -------
    DataFrame
        Without those whose newest batch stands refused.
    dict
        These, each with the reason.
    """
    panel, held = Panel(store, spec.name, instruments), {}
    known = [pd.DataFrame(columns=[INSTRUMENT_COLUMN, *BAR_DTYPES]).astype(BAR_DTYPES)]
    for instrument in sorted(instruments):
        feed, own = spec.feed(instrument), panel.of(instrument)
        if not own.exists(RAW_PRICES.name, feed.name):
            continue
        try:
            require_gate(own, feed)
        except FxAssetsError as error:
            held[instrument] = error.message
            continue
        bars = own.prices(feed.name, now)[list(BAR_DTYPES)]
        bars.insert(0, INSTRUMENT_COLUMN, instrument)
        known.append(bars.sort_values("event_time", ignore_index=True))
    filled = [bars for bars in known if len(bars)] or known
    return pd.concat(filled, ignore_index=True), held


def open_since(store: Lake, spec: FeedSpec, now: datetime) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Between which moments new bars may lie: from the last stored bar, at first the start, on."""
    first, last = pd.Timestamp(spec.start), pd.Timestamp(now).tz_localize(None)
    if store.exists(RAW_PRICES.name, spec.name):
        stored = store.bars_of(spec.name, spec.reading)
        if len(stored):
            first = stored["event_time"].max().tz_localize(None)
    return min(first, last), last


def _open_span(store: Lake, feed: FeedSpec, now: datetime) -> Span:
    """The years in which new bars may lie; of intraday bars the months."""
    first, last = (
        pd.Period(one, "Y" if feed.market.daily else "M") for one in open_since(store, feed, now)
    )
    ends = (first.start_time, (last + 1).start_time)
    return Span(*(moment.tz_localize("UTC").to_pydatetime() for moment in ends))


def _fetch(
    spec: FeedSpec,
    settings: Settings,
    asked: Asked,
    stored: pd.DataFrame,
    window: Span,
    now: datetime,
) -> Batch:
    from fx_assets.sources import fetch_bars

    if asked.again:
        wanted = Wanted(((max(asked.span.start, feed_start(spec)), min(asked.span.end, now)),))
    else:
        have = pd.DatetimeIndex(stored["event_time"])
        # A span is asked for without its beginning, and a bar may close on a partition's midnight.
        wanted = wanted_bars(have, spec, (window.start - _TICK, window.end), now)
    with _naming_the_change(spec, asked):
        return fetch_bars(spec, settings, now, settings.cache_folder, wanted)


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
        keys = list(QUARANTINE.key)
        store.insert_new(QUARANTINE.name, spec.name, report.quarantined, keys, run_id=run_id)


def _stored_bars(store: Lake, spec: FeedSpec, now: datetime) -> pd.DataFrame:
    from fx_assets.lake import as_known_at

    exists = store.exists(RAW_PRICES.name, spec.name)
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
    kept: pd.DataFrame = bars[mine].reset_index(drop=True)
    return kept


def _refusal_stands(store: Lake, spec: FeedSpec) -> bool:
    try:
        require_gate(store, spec)
    except GateError:
        return True
    return False


def _refuses(finding: Finding) -> bool:
    return finding.severity == "block" and not finding.passed


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


def _why_no_bars(spec: FeedSpec, bars: pd.DataFrame, window: Span, now: datetime) -> str:
    if len(bars):
        return ""
    first, last = window.start, min(window.end, now)
    due = len(spec.market.closes(first.date(), last.date())) if first < now else 0
    return f"the payload has none of {due} bars" if due else "no bar is due yet"
