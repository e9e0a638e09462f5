"""OHLCV bars from CryptoCompare, which is CoinDesk's data API now: ``/index/cc/v1/historical``.

Keys in capitals, pages of 2,000 that end at ``to_ts``; a bar is stamped with its opening. Times
without trades are not filled in. HTTP 404 with ``Err`` is the end of the history.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from fx_assets.sources.bars import Ask, Batch
from fx_assets.sources.vendor import Answer, Vendor, VendorClient
from fx_assets.sources.vendor_batch import Span, merged, refuse_day_close, vendor_batch
from fx_assets.sources.vendor_rows import UNREADABLE, VendorRows, number
from fx_assets.specs import CryptoCompareSource, FeedSpec

NAME = "CryptoCompare"
GET_A_KEY = "https://developers.coindesk.com/settings/api-keys"
UNITS = {"1min": "minutes", "1h": "hours", "1d": "days"}
PAGE = 2_000
_CELLS = {"OPEN": "open", "HIGH": "high", "LOW": "low", "CLOSE": "close", "VOLUME": "volume"}


def fetch(source: CryptoCompareSource, ask: Ask) -> Batch:
    """The bars that are wanted; volume is in the base currency.

    Raises
    ------
    SourceError
        CoinDesk does not answer with bars of the pair.
    """
    refuse_day_close(ask, NAME)
    feed, settings, wanted = ask.feed, ask.settings, ask.wanted
    vendor = Vendor(
        kind="cryptocompare",
        name=NAME,
        url=settings.cryptocompare_url,
        budget=settings.cryptocompare_budget,
        key=settings.cryptocompare_key,
        key_header=("x-api-key", ""),
        get_a_key=GET_A_KEY,
    )
    client = VendorClient(vendor, ask, partial(_judge, source))
    pages = _Pages(client, feed, source)
    page = PAGE * feed.market.bar
    for span in reversed(merged(wanted.spans, page)):
        pages.read(span)
    if not pages.received and pages.last_refusal and wanted.last >= ask.now - page:
        raise client.refused(pages.last_refusal, _check(source))
    return vendor_batch(ask, client, pages.rows, pages.notes)


class _Pages:
    """Reads spans backwards, page by page."""

    def __init__(self, client: VendorClient, feed: FeedSpec, source: CryptoCompareSource) -> None:
        self.rows = VendorRows(feed.market)
        self.notes: list[str] = []
        self.received = 0
        self.last_refusal = ""
        self._client = client
        self._feed = feed
        self._source = source
        self._bar = round(feed.market.bar.total_seconds())

    def read(self, span: Span) -> None:
        """Every bar of a span, the newest page first."""
        first = int(span[0].timestamp())
        to = int(span[1].timestamp()) - self._bar
        while to > first - self._bar:
            opened = self._page(to, min(PAGE, (to - first) // self._bar + 2))
            if not opened or min(opened) > to:
                self.notes.append(f"{NAME} has no bars of {self._source.pair} up to {_shown(to)}.")
                return
            if min(opened) <= first:
                return
            to = min(opened) - 1

    def _page(self, to: int, limit: int) -> list[int]:
        """Take a page; returns when its bars open, in seconds since 1970."""
        source = self._source
        query = {
            "market": source.market,
            "instrument": source.pair,
            "to_ts": to,
            "limit": limit,
            "aggregate": 1,
            "fill": "false",
            "groups": "ID,OHLC,VOLUME",
            "response_format": "JSON",
        }
        unit = UNITS[self._feed.frequency]
        expected = f"{unit} of {source.pair}"
        answer = self._client.get(f"/index/cc/v1/historical/{unit}", query, expected)
        if answer.status == 404:
            self.last_refusal = _err(answer.body)
            return []
        entries = answer.body.get("Data") if isinstance(answer.body, dict) else None
        if not isinstance(entries, list):
            raise self._client.not_understood(expected, answer.body)
        self.received += len(entries)
        return [opened for entry in entries if (opened := self._take(entry)) is not None]

    def _take(self, entry: Any) -> int | None:
        opened = number(entry.get("TIMESTAMP")) if isinstance(entry, dict) else None
        if opened is None or not 0 <= opened < 1e11:
            reason = "the bar's TIMESTAMP is not a number of seconds"
            self.rows.reject("", "TIMESTAMP", entry, UNREADABLE, reason)
            return None
        closes = datetime.fromtimestamp(int(opened) + self._bar, UTC)
        self.rows.add(closes, {ours: entry.get(theirs) for theirs, ours in _CELLS.items()})
        return int(opened)


def _judge(source: CryptoCompareSource, client: VendorClient, answer: Answer) -> bool:
    body = answer.body if isinstance(answer.body, dict) else {}
    if body.get("Response") == "Error":
        message = str(body.get("Message", ""))
        if "rate limit" in message.lower():
            raise client.limited(message, answer.retry_after)
        raise client.refused(message, _check(source))
    error = body.get("Err")
    if answer.status == 404 and isinstance(error, dict):
        about = error.get("other_info")
        if isinstance(about, dict) and about.get("param") in ("market", "instrument"):
            raise client.refused(_err(body), _check(source))
        return True
    if answer.status == 404:
        raise client.refused(answer.body or "HTTP 404.", "Check FX_ASSETS_CRYPTOCOMPARE_URL.")
    if answer.status == 200 and error:
        raise client.refused(_err(body), _check(source))
    return False


def _err(body: Any) -> str:
    error = body.get("Err") if isinstance(body, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return str(said or "HTTP 404.")


def _check(source: CryptoCompareSource) -> str:
    return f"Check the feed's pair {source.pair} and market {source.market}."


def _shown(seconds: int) -> str:
    return f"{datetime.fromtimestamp(max(0, seconds), UTC):%Y-%m-%d %H:%M} UTC"
