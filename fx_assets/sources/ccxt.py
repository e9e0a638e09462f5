"""Candles of a crypto exchange through the library ccxt; public, without a key.

A candle is stamped with its opening: the bar's event time is that plus the length of the bar. The
unfinished candle is dropped by the clock. What was not traded is a gap; a candle with a volume of
zero stays.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from fx_assets.calendars import DAY
from fx_assets.errors import SourceError
from fx_assets.sources.bars import Ask, Batch, Wanted, price_bars
from fx_assets.sources.exchange import Candle, ExchangeClient
from fx_assets.sources.vendor_batch import merged, refuse_day_close
from fx_assets.specs import CcxtSource

log = logging.getLogger(__name__)

SOURCE = "ccxt"
CANDLES_KEPT = {"kraken": 720}
"""The newest candles, the unfinished one included, beyond which an exchange gives none."""
DAILY = "1d"
_MILLISECOND = timedelta(milliseconds=1)
_COLUMNS = ("open", "high", "low", "close", "volume")


def fetch(source: CcxtSource, ask: Ask) -> Batch:
    """The candles that are wanted, as bars; ``source`` of a row is ``ccxt-<exchange>``.

    Raises
    ------
    SourceError
        The exchange, the symbol or the length of candle is unknown, the exchange does not answer,
        is blocked from here, or keeps no candles as old as those that are wanted.
    """
    refuse_day_close(ask, source.exchange)
    wanted, bar = ask.wanted, ask.market.bar
    spans, too_old = _reachable(source, wanted, bar, ask.now)
    client = ExchangeClient(source, ask)
    timeframe = ask.frequency.removesuffix("in")
    if timeframe not in client.timeframes:
        raise SourceError(
            f"{source.exchange} has no candles of {timeframe}.",
            remedy=f"It has {', '.join(client.timeframes)}: change the feed's frequency, or its "
            "exchange.",
        )
    pages = _Pages(client, timeframe, bar // _MILLISECOND)
    for after, until in merged(spans, client.page * bar):
        pages.read(after, until)
    provider = f"{SOURCE}-{source.exchange}"
    bars, _ = price_bars(
        _prices(pages, bar), ask.market, source=provider, payload=pages.payloads, now=ask.now
    )
    return ask.batch(
        bars,
        provider=provider,
        url=client.url,
        sha256=hashlib.sha256("".join(pages.answers).encode()).hexdigest(),
        notes=too_old or _late_start(source, wanted, bars, bar),
    )


@dataclass
class _Pages:
    """Reads spans page by page; each page moves on, so that reading ends."""

    client: ExchangeClient
    timeframe: str
    bar: int
    """Length in milliseconds."""
    candles: list[Candle] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    """The hash of the answer that each candle came in."""
    answers: list[str] = field(default_factory=list)

    @property
    def payloads(self) -> np.ndarray:
        return np.array(self.hashes, dtype=object)

    def read(self, after: datetime, until: datetime) -> None:
        """Every candle that closes after ``after`` and not after ``until``."""
        since, end = _milliseconds(after) // self.bar * self.bar, _milliseconds(until)
        while since + self.bar <= end:
            limit = min(self.client.page, (end - since) // self.bar)
            found = self._page(self.timeframe, since, limit)
            since = found[-1][0] + self.bar if found else self._after_a_pause(since, limit, end)
            if len(self.answers) % 100 == 0:
                log.info("%s candles, up to %s", len(self.candles), pd.Timestamp(since, unit="ms"))

    def _page(self, timeframe: str, since: int, limit: int) -> list[Candle]:
        found, sha256 = self.client.candles(timeframe, since, limit)
        self.answers.append(sha256)
        if timeframe == self.timeframe:
            self.candles += found
            self.hashes += [sha256] * len(found)
        return found

    def _after_a_pause(self, since: int, limit: int, end: int) -> int:
        """Where to go on after an empty page: on the next day that has a daily candle.

        Exchanges that answer by windows have an empty one for each page before a symbol was
        listed, and years of them for minutes.
        """
        since += limit * self.bar
        day = DAY // _MILLISECOND
        if self.bar == day or DAILY not in self.client.timeframes:
            return since
        first = since // day * day
        while first < end:
            found = self._page(DAILY, first, self.client.page)
            if found:
                traded: int = found[0][0]
                return max(since, traded)
            first += self.client.page * day
        return end


def _reachable(
    source: CcxtSource, wanted: Wanted, bar: timedelta, now: datetime
) -> tuple[tuple[tuple[datetime, datetime], ...], str]:
    """The spans that the exchange can still answer, and a sentence about the others."""
    kept = CANDLES_KEPT.get(source.exchange)
    if kept is None:
        return wanted.spans, ""
    oldest = now - kept * bar
    spans = tuple((max(after, oldest), until) for after, until in wanted.spans if until > oldest)
    if wanted.first >= oldest:
        return spans, ""
    said = (
        f"{source.exchange} gives its newest {kept} candles only: none of {source.symbol} from "
        f"before {oldest:%Y-%m-%d %H:%M} UTC, and {wanted.first:%Y-%m-%d %H:%M} was asked for."
    )
    if not spans:
        raise SourceError(
            said,
            remedy="Load older bars from files that the exchange offers (source: files), or name "
            "an exchange that keeps them, such as binance or coinbase.",
        )
    return spans, said


def _prices(pages: _Pages, bar: timedelta) -> pd.DataFrame:
    table = pd.DataFrame(pages.candles, columns=["opened", *_COLUMNS])
    opened = pd.to_datetime(table["opened"].astype("int64"), unit="ms", utc=True)
    return table.assign(event_time=opened + bar)


def _late_start(source: CcxtSource, wanted: Wanted, bars: pd.DataFrame, bar: timedelta) -> str:
    """A sentence where the exchange's first candle comes later than what was asked for."""
    first = bars["event_time"].min() if len(bars) else wanted.last
    if len(bars) and first <= pd.Timestamp(wanted.first) + 2 * bar:
        return ""
    return (
        f"{source.exchange} has no candles of {source.symbol} from "
        f"{wanted.first:%Y-%m-%d %H:%M} to {first:%Y-%m-%d %H:%M} UTC."
    )


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
