"""Every currency of the ECB's reference rates out of one download."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd

from fx_assets.sources.bars import ParsedBars, Provenance
from fx_assets.sources.ecb_bars import EcbPayload, bars
from fx_assets.sources.ecb_files import NO_FIXING
from fx_assets.specs.universe import UniverseSpec

INSTRUMENT_COLUMNS = ("instrument", "currency", "first_fixing", "last_fixing", "fixings")


def instruments(payload: EcbPayload, spec: UniverseSpec, now: datetime) -> pd.DataFrame:
    """Every instrument that has had a fixing since the universe's start, sorted.

    Columns of ``INSTRUMENT_COLUMNS``; the first and the last fixing as days. Fixings after ``now``
    count for nothing. A redenominated currency is two instruments, as it is two columns of the
    ECB's file: TRL until 2004, TRY since.
    """
    table, market = payload.table, spec.market
    today = market.day_of(now)
    known = table.days >= np.datetime64(spec.start)
    known &= table.days < np.datetime64(today)
    if now >= market.event_time(today):
        known |= table.days == np.datetime64(today)
    base_fixed = _fixed(payload, spec.source.base) & known
    found: list[tuple[str, str, date, date, int]] = []
    for currency in sorted({"EUR", *table.currencies} - {spec.source.base}):
        days = table.days[_fixed(payload, currency) & base_fixed]
        if len(days):
            name = spec.instrument(currency)
            found.append((name, currency, days.min().item(), days.max().item(), len(set(days))))
    return pd.DataFrame(found, columns=list(INSTRUMENT_COLUMNS))


def instrument_bars(
    payload: EcbPayload, spec: UniverseSpec, instrument: str, now: datetime
) -> ParsedBars:
    """The bars of one instrument; see :func:`fx_assets.sources.ecb_bars.bars`.

    Raises
    ------
    SourceError
        The payload has no such currency, or no fixing of it since the universe's start.
    """
    return bars(payload, spec.ecb_source(instrument), spec.market, spec.start, now)


def provenance(payload: EcbPayload) -> Provenance:
    """Where the payload came from."""
    return Provenance(
        provider=payload.provider,
        url=payload.url,
        sha256=payload.sha256,
        last_date=payload.last_date,
        fetched_at=payload.fetched_at,
        fallback_reason=payload.fallback_reason,
        etag=payload.etag,
        not_modified=payload.not_modified,
        notes=payload.notes,
    )


def _fixed(payload: EcbPayload, currency: str) -> np.ndarray:
    """On which rows of the file the currency has a fixing."""
    days = payload.table.days
    fixed = ~np.isnat(days)
    if currency != "EUR":
        fixed &= ~pd.Series(payload.table.texts(currency)).isin(NO_FIXING).to_numpy(dtype=bool)
    return np.asarray(fixed)
