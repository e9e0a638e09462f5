"""The ECB's reference rates as the Frankfurter API serves them; no key.

Asked for the euro's rates only, from which the pair is computed: the API rounds every other base.
Ranges of more than a year would be answered with weekly averages.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from fx_assets.errors import SourceError
from fx_assets.sources.bars import Ask, Batch
from fx_assets.sources.http import shown
from fx_assets.sources.vendor import Answer, Vendor, VendorClient
from fx_assets.sources.vendor_batch import merged, vendor_batch
from fx_assets.sources.vendor_rows import UNREADABLE, VendorRows, number
from fx_assets.specs import FrankfurterSource

NAME = "Frankfurter"
EURO = "EUR"
LONGEST = timedelta(days=350)
BEFORE = timedelta(days=7)
"""Asked for before what is wanted, so that a valid range is never without a fixing."""


def fetch(source: FrankfurterSource, ask: Ask) -> Batch:
    """The fixings that are wanted: a euro rate, its inverse, or the cross of two of one fixing.

    Raises
    ------
    SourceError
        Frankfurter does not answer, or has no fixing of the pair in what is wanted.
    """
    settings, market, wanted = ask.settings, ask.market, ask.wanted
    vendor = Vendor(
        kind="frankfurter",
        name=NAME,
        url=settings.frankfurter_url,
        budget=settings.frankfurter_budget,
    )
    client = VendorClient(vendor, ask, _judge)
    rows = VendorRows(market)
    codes = [code for code in (source.base, source.quote) if code != EURO]
    for after, until in merged(wanted.spans, LONGEST):
        first, last = market.day_of(after) - BEFORE, market.day_of(until)
        while first <= last:
            end = min(last, first + LONGEST)
            _read(client, source, codes, rows, (first, end))
            first = end + timedelta(days=1)
    if not len(rows) and not rows.rejected:
        raise SourceError(
            f"{NAME} has no fixing of {source.instrument} from {wanted.first:%Y-%m-%d} to "
            f"{wanted.last:%Y-%m-%d} ({client.url}).",
            remedy=f"Check the currencies; {shown(settings.frankfurter_url)}/currencies lists "
            "them. Some have ended.",
        )
    return vendor_batch(ask, client, rows, [])


def _read(
    client: VendorClient,
    source: FrankfurterSource,
    codes: list[str],
    rows: VendorRows,
    days: tuple[date, date],
) -> None:
    expected = f"rates of {source.instrument}"
    query = {"base": EURO, "symbols": ",".join(codes)}
    answer = client.get(f"/{days[0]}..{days[1]}", query, expected)
    if answer.status == 404:
        return
    rates = answer.body.get("rates") if isinstance(answer.body, dict) else None
    if not isinstance(rates, dict) or answer.body.get("base", EURO) != EURO:
        raise client.not_understood(expected, answer.body)
    for label, cells in rates.items():
        _take(label, cells, source, rows)


def _take(label: str, cells: Any, source: FrankfurterSource, rows: VendorRows) -> None:
    try:
        day = date.fromisoformat(label)
    except ValueError:
        rows.reject(label, "date", cells, UNREADABLE, "the date cannot be read")
        return
    values: dict[str, float] = {EURO: 1.0}
    for code in (source.base, source.quote):
        cell = 1.0 if code == EURO else cells.get(code) if isinstance(cells, dict) else cells
        value = number(cell)
        if value is None or (value <= 0):
            check, reason = (
                (UNREADABLE, "the rate is not a number")
                if value is None
                else ("non_positive", "the rate is zero or negative")
            )
            rows.reject(label, code, cell, check, reason)
            return
        values[code] = value
    if not np.isnan(list(values.values())).any():
        rows.add(rows.market.event_time(day), {"close": values[source.quote] / values[source.base]})


def _judge(client: VendorClient, answer: Answer) -> bool:
    if answer.status in (400, 422):
        raise client.refused(answer.body, "Check the currencies of the feed.")
    return answer.status == 404 and isinstance(answer.body, dict)
