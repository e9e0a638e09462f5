"""Bars from Twelve Data's ``/time_series``; needs a key.

Prices are texts, newest first, in pages of 5,000. A bar is named after its opening, and a day's bar
after the day. Currencies have no volume, and a Saturday now and then, which goes to quarantine.
Errors come inside HTTP 200.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from typing import Any

from fx_assets.calendars import DAY, Calendar
from fx_assets.errors import SourceError
from fx_assets.sources.bars import Ask, Batch
from fx_assets.sources.vendor import Answer, Vendor, VendorClient
from fx_assets.sources.vendor_batch import merged, vendor_batch
from fx_assets.sources.vendor_rows import UNREADABLE, VENDOR_QUIRK, VendorRows
from fx_assets.specs import FeedSpec, TwelveDataSource

NAME = "Twelve Data"
GET_A_KEY = "https://twelvedata.com/account/api-keys"
PAGE = 5_000
DAILY = "1day"
NOTHING_THERE = "no data is available"
SATURDAY = 5
_CELLS = ("open", "high", "low", "close", "volume")


def fetch(source: TwelveDataSource, ask: Ask) -> Batch:
    """The bars that are wanted; see :func:`fx_assets.sources.fetch_bars`.

    Raises
    ------
    SourceError
        There is no key, or Twelve Data does not answer with bars of the symbol.
    """
    settings, market = ask.settings, ask.market
    vendor = Vendor(
        kind="twelve_data",
        name=NAME,
        url=settings.twelve_data_url,
        budget=settings.twelve_data_budget,
        key=settings.twelve_data_key,
        key_header=("Authorization", "apikey "),
        get_a_key=GET_A_KEY,
    )
    client = VendorClient(vendor, ask, partial(_judge, source.symbol))
    if not client.has_key:
        raise SourceError(
            f"{NAME} needs a key, and {vendor.key_variable} is not set.",
            remedy=f"Get one at {GET_A_KEY} (a free plan exists) and set {vendor.key_variable}.",
        )
    rows = VendorRows(market)
    for span in merged(ask.wanted.spans, PAGE * market.bar):
        _read(client, ask.feed, source.symbol, rows, span)
    return vendor_batch(ask, client, rows, [])


def _read(
    client: VendorClient,
    feed: FeedSpec,
    symbol: str,
    rows: VendorRows,
    span: tuple[datetime, datetime],
) -> None:
    """Every page of a span, the newest first."""
    market = feed.market
    if market.daily:
        start, end = (f"{market.bar_day(instant)}" for instant in (span[0], span[1] + DAY))
        interval = DAILY
    else:
        start, end = (f"{at:%Y-%m-%d %H:%M:%S}" for at in span)
        interval = feed.frequency
    expected = f"{interval} bars of {symbol}"
    while True:
        query = {
            "symbol": symbol,
            "interval": interval,
            "start_date": start,
            "end_date": end,
            "outputsize": PAGE,
            "timezone": "UTC",
            "format": "JSON",
        }
        series = _series(client.get("/time_series", query, expected).body, symbol)
        if series.get("status") == "error":
            return
        values = series.get("values")
        if not isinstance(values, list):
            raise client.not_understood(expected, series)
        labels = [label for value in values if (label := _take(value, market, rows))]
        if len(values) < PAGE or not labels or min(labels) >= end:
            return
        end = min(labels)


def _take(value: Any, market: Calendar, rows: VendorRows) -> str | None:
    """Take one bar; returns its name, or ``None`` where that cannot be read."""
    label = value.get("datetime") if isinstance(value, dict) else None
    try:
        opened = datetime.fromisoformat(label or "")
    except (TypeError, ValueError):
        rows.reject(str(label), "datetime", value, UNREADABLE, "the bar's time cannot be read")
        return None
    dated = opened.tzinfo is None and opened.time() == time_of_day()
    opened = opened.replace(tzinfo=UTC) if opened.tzinfo is None else opened.astimezone(UTC)
    day = opened.date()
    if market.daily and not dated and opened != _opens(opened, market):
        reason = (
            f"the bar opens at {opened:%Y-%m-%d %H:%M} UTC, and daily bars of the feed do so at "
            f"{_opens(opened, market):%H:%M} UTC; set the feed's day_close to that"
        )
        rows.reject(day.isoformat(), "datetime", label, UNREADABLE, reason)
        return str(label)
    if market.daily and not dated:
        day = market.bar_day(opened + DAY / 2)
    if day.weekday() == SATURDAY and not market.is_open(day):
        shown = ", ".join(str(value.get(name)) for name in _CELLS if name in value)
        reason = f"{NAME} sends a bar for a Saturday, on which the market is closed"
        rows.reject(day.isoformat(), "datetime", shown, VENDOR_QUIRK, reason)
    else:
        closes = market.event_time(day) if market.daily else opened + market.bar
        rows.add(closes, {name: value.get(name) for name in _CELLS})
    return str(label)


def _opens(opened: datetime, market: Calendar) -> datetime:
    """When the daily bar opens whose open is nearest to an instant."""
    day = market.bar_day(opened)
    opens = (market.event_time(day + DAY * shift) for shift in (-1, 0, 1))
    return min(opens, key=lambda instant: abs(instant - opened))


def _series(body: Any, symbol: str) -> dict[str, Any]:
    """The answer about one symbol, also where it comes in the form of a batch."""
    if isinstance(body, dict) and isinstance(body.get(symbol), dict):
        body = body[symbol]
    return body if isinstance(body, dict) else {"answer": body}


def _judge(symbol: str, client: VendorClient, answer: Answer) -> bool:
    """Errors are in the body, whatever the HTTP status is."""
    series = _series(answer.body, symbol)
    code = series.get("code", answer.status)
    if series.get("status") != "error" and code in (200, None):
        return answer.status == 200
    message = str(series.get("message") or f"HTTP {answer.status}.")
    if NOTHING_THERE in message.lower():
        return True
    if code == 429:
        raise client.limited(message, answer.retry_after or _until_the_next(message))
    if code == 401:
        raise client.key_refused(message)
    if code == 403:
        raise client.refused(message, "Choose what your plan contains, or another plan.")
    if isinstance(code, int) and code >= 500:
        raise client.busy(message)
    raise client.refused(
        message, f"Check the feed's symbol {symbol} and its frequency; symbols are like EUR/USD."
    )


def _until_the_next(message: str) -> float | None:
    """Seconds until the credits of the minute or of the day, that have run out, come back."""
    now = datetime.fromtimestamp(time.time(), UTC)
    if "for the day" in message:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        return (midnight - now).total_seconds()
    if "minute" in message:
        return (timedelta(minutes=1) - timedelta(seconds=now.second)).total_seconds()
    return None
