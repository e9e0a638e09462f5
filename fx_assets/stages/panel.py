"""The stages of many instruments: each instrument alone, all of them committed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.errors import FxAssetsError
from fx_assets.lake.panel import Panel
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.asking import Span
from fx_assets.stages.ingest import Ingested, ingest, settle
from fx_assets.stages.refusal import require_bars, require_gate
from fx_assets.tables import INSTRUMENT_COLUMN, RAW_PRICES

if TYPE_CHECKING:
    from fx_assets.lake import Lake


@dataclass
class IngestedPanel:
    """What came of every instrument."""

    found: dict[str, Ingested] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Instruments whose source failed or whose batch was refused, each with the reason."""
    rows: int = 0
    quarantined: int = 0


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
    panel, result = Panel(store, spec.name), IngestedPanel()
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
        result.quarantined += len(found.report.quarantined)
        if found.refused:
            result.failed[instrument] = found.refused
            continue
        keys = list(RAW_PRICES.key)
        own.insert_new(RAW_PRICES.name, feed.name, found.accepted, keys, run_id=run_id)
        settle(feed, own, found, now, run_id)
        result.rows += len(found.accepted)
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
    panel, held = Panel(store, spec.name), {}
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


def held_back(spec: UniverseSpec, panel: Panel, instruments: Sequence[str]) -> dict[str, str]:
    """Instruments from whose bars nothing may be made, each with the reason."""
    held = {}
    for instrument in instruments:
        try:
            require_bars(panel.of(instrument), spec.feed(instrument))
        except FxAssetsError as error:
            held[instrument] = error.message
    return held


def _open_span(store: Lake, feed: FeedSpec, now: datetime) -> Span:
    """From the year of the last stored bar, of intraday bars the month, to the end of this one."""
    first = pd.Timestamp(feed.start)
    if store.exists(RAW_PRICES.name, feed.name):
        stored = store.bars_of(feed.name, feed.reading)
        if len(stored):
            first = stored["event_time"].max().tz_localize(None)
    last = pd.Timestamp(now).tz_localize(None)
    unit = "Y" if feed.market.daily else "M"
    start = pd.Period(min(first, last), unit).start_time
    end = (pd.Period(last, unit) + 1).start_time
    return Span(*(moment.tz_localize("UTC").to_pydatetime() for moment in (start, end)))
