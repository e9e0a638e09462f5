"""Price, market capitalisation and volume of a coin from CoinGecko's ``/market_chart/range``.

Points, not bars: daily ones at midnight UTC, hourly ones irregular. The bar that closes at an
instant has the last point before or at it; an hour without a point is a gap. The last point of an
answer is "now", and the clock drops the bar that it belongs to. Without a paid plan the history
reaches back 365 days.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fx_assets.calendars import DAY
from fx_assets.errors import SourceError
from fx_assets.sources.bars import Ask, Batch, Wanted
from fx_assets.sources.vendor import Answer, Vendor, VendorClient
from fx_assets.sources.vendor_batch import Span, merged, refuse_day_close, vendor_batch
from fx_assets.sources.vendor_rows import UNREADABLE, VENDOR_QUIRK, VendorRows, number
from fx_assets.specs import CoinGeckoSource, FeedSpec

NAME = "CoinGecko"
GET_A_KEY = "https://www.coingecko.com/en/api/pricing"
BUDGET_WITH_KEY = "30/minute;10000/month"
BUDGET_WITHOUT_KEY = "5/minute"
PRO_HOST = "pro-api."
FREE_HISTORY = timedelta(days=365)
TOO_OLD = 10012
DAILY_FROM = timedelta(days=92)
"""Ranges of more than 90 days are answered with daily points, whatever the plan."""
HOURLY_FROM, HOURLY_TO = timedelta(days=3), timedelta(days=89)
"""Ranges of 2 to 90 days are answered with hourly points, whatever the plan."""
CACHED = timedelta(minutes=30)
"""How old an answer with hourly points may be."""
_SERIES = {"prices": "close", "market_caps": "market_cap", "total_volumes": "volume"}
_MIDNIGHT_ONLY = "a point between two midnights is not the close of its day"


def fetch(source: CoinGeckoSource, ask: Ask) -> Batch:
    """The bars that are wanted, without open, high and low.

    Volume is that of the 24 hours before the point, for hourly bars too.

    Raises
    ------
    SourceError
        CoinGecko does not answer with the coin, or its free history does not reach back to any of
        what is wanted.
    """
    refuse_day_close(ask, NAME)
    feed, settings, wanted = ask.feed, ask.settings, ask.wanted
    key = settings.coingecko_key
    paid = PRO_HOST in settings.coingecko_url
    vendor = Vendor(
        kind="coingecko",
        name=NAME,
        url=settings.coingecko_url,
        budget=settings.coingecko_budget or (BUDGET_WITH_KEY if key else BUDGET_WITHOUT_KEY),
        key=key,
        key_header=("x-cg-pro-api-key" if paid else "x-cg-demo-api-key", ""),
        get_a_key=GET_A_KEY,
    )
    client = VendorClient(vendor, ask, _judge)
    oldest = datetime.min.replace(tzinfo=UTC) if paid else ask.now - FREE_HISTORY + CACHED
    notes: list[str] = []
    spans = _reachable(vendor, wanted, oldest, notes)
    points = _Points(feed)
    longest = HOURLY_TO if feed.frequency == "1h" else 20 * FREE_HISTORY
    shortest = HOURLY_FROM if feed.frequency == "1h" else DAILY_FROM
    for after, until in merged(tuple(spans), longest):
        while after < until:
            end = min(until, after + longest)
            points.read(client, source, _widened((after, end + feed.market.bar), shortest, oldest))
            after = end
    batch = vendor_batch(ask, client, points.rows(ask.now, notes), notes)
    older = [(after, min(until, oldest)) for after, until in wanted.spans if after < oldest]
    return replace(batch, unreached=tuple(older))


class _Points:
    """The points of all answers by their instant."""

    def __init__(self, feed: FeedSpec) -> None:
        self._feed = feed
        self._rows = VendorRows(feed.market)
        self._points: dict[int, dict[str, Any]] = {}

    def read(self, client: VendorClient, source: CoinGeckoSource, span: Span) -> None:
        """Ask for the points between two instants, both included."""
        query = {
            "vs_currency": source.currency,
            "from": int(span[0].timestamp()),
            "to": int(span[1].timestamp()),
        }
        expected = f"prices of {source.coin} in {source.currency}"
        path = f"/coins/{source.coin}/market_chart/range"
        body = client.get(path, query, expected).body
        if not isinstance(body, dict) or not isinstance(body.get("prices"), list):
            raise client.not_understood(expected, body)
        for series, column in _SERIES.items():
            for point in body.get(series) or []:
                self._take(point, series, column)

    def _take(self, point: Any, series: str, column: str) -> None:
        readable = isinstance(point, list) and len(point) == 2
        instant = number(point[0]) if readable else None
        if instant is None or not 0 <= instant < 1e14:
            self._rows.reject("", series, point, UNREADABLE, "the point cannot be read")
        elif column == "close":
            self._points[int(instant)] = {column: point[1]}
        elif int(instant) in self._points:
            self._points[int(instant)][column] = point[1]

    def rows(self, now: datetime, notes: list[str]) -> VendorRows:
        """The bars that the points make."""
        if self._feed.market.daily:
            self._daily(now)
        else:
            self._hourly(now, notes)
        return self._rows

    def _daily(self, now: datetime) -> None:
        for instant, cells in sorted(self._points.items()):
            at = _instant(instant)
            closes = _on_grid(at, DAY)
            if closes == at or closes > now:
                self._rows.add(closes, cells)
            else:
                self._rows.reject(
                    f"{at:%Y-%m-%d}", "prices", [instant, cells], VENDOR_QUIRK, _MIDNIGHT_ONLY
                )

    def _hourly(self, now: datetime, notes: list[str]) -> None:
        market, newest = self._feed.market, max(self._points, default=0)
        last: dict[datetime, dict[str, Any]] = {}
        for instant, cells in sorted(self._points.items()):
            at = _instant(instant)
            price = number(cells["close"])
            if price is None or price != price:
                day = market.bar_day(at).isoformat()
                self._rows.reject(day, "prices", [instant, cells], UNREADABLE, "no price")
                continue
            last[_on_grid(at, market.bar)] = cells
        ends = max(_instant(newest), now - CACHED)
        for closes, cells in last.items():
            if ends < closes <= now:
                notes.append(
                    f"{NAME}'s answer ends at {_instant(newest):%H:%M} UTC, before the bar that "
                    f"closes at {closes:%H:%M}: it is left for the next fetch."
                )
            else:
                self._rows.add(closes, cells)


def _reachable(vendor: Vendor, wanted: Wanted, oldest: datetime, notes: list[str]) -> list[Span]:
    """The spans within the free history."""
    spans = [(max(after, oldest), until) for after, until in wanted.spans if until > oldest]
    if wanted.first >= oldest:
        return spans
    said = (
        f"{NAME}'s free history reaches back {FREE_HISTORY.days} days, to {oldest:%Y-%m-%d}; "
        f"{wanted.first:%Y-%m-%d} was asked for."
    )
    if not spans:
        raise SourceError(said, remedy=_older(vendor.key_variable))
    notes.append(said)
    return spans


def _older(variable: str) -> str:
    return (
        "Load older days from CoinGecko's CSV download (source: files), or with a paid plan set "
        f"{variable} to its key and FX_ASSETS_COINGECKO_URL to "
        "https://pro-api.coingecko.com/api/v3."
    )


def _widened(span: Span, shortest: timedelta, oldest: datetime) -> Span:
    """A span of at least this length: shorter ones are answered with other points."""
    after = min(span[0], max(oldest, span[1] - shortest))
    return after, max(span[1], after + shortest)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _on_grid(at: datetime, bar: timedelta) -> datetime:
    """The close of the bar that an instant belongs to."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + -((epoch - at) // bar) * bar


def _judge(client: VendorClient, answer: Answer) -> bool:
    code, message = _error(answer.body)
    if code == TOO_OLD:
        raise SourceError(
            f"{NAME} refuses: {client.clean(message)} (Error {TOO_OLD}; the free history reaches "
            f"back {FREE_HISTORY.days} days.)",
            remedy=f"Move the feed's start. {_older(client.vendor.key_variable)}",
        )
    if code == 429:
        raise client.limited(message, answer.retry_after)
    if answer.status == 404:
        raise client.refused(
            message or "HTTP 404.",
            "Check the feed's coin; ids are at https://api.coingecko.com/api/v3/coins/list.",
        )
    return False


def _error(body: Any) -> tuple[int | None, str]:
    """The number and the sentence of an error, which are nested in two ways, or only a text."""
    if not isinstance(body, dict) or "prices" in body:
        return None, ""
    error = body.get("error", body)
    status = error.get("status") if isinstance(error, dict) else None
    if isinstance(status, dict):
        return status.get("error_code"), str(status.get("error_message", ""))
    if isinstance(error, dict):
        return error.get("error_code"), str(error.get("error_message", error))
    return None, str(error)
