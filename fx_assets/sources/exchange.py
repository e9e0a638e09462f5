"""One exchange's public candles through ccxt: what goes wrong becomes a :class:`SourceError`.

ccxt knows each exchange's addresses, formats, errors and limits of rate. Its requests are sent by
:func:`~fx_assets.sources.http.download`, as everybody's are: bounded in time and size, tried again
within bounds, and counted in a budget that all feeds and processes share.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources import http, payload_cache
from fx_assets.sources.bars import Ask
from fx_assets.sources.budget import RequestBudget
from fx_assets.sources.http import ApiCall, Download, Patience, TransientError, shown
from fx_assets.specs import CcxtSource

Answer = TypeVar("Answer")
Candle = list[Any]
"""Opening in milliseconds since 1970 (UTC), open, high, low, close, volume in the base currency."""

MAX_BYTES = 100_000_000
"""Largest answer; Binance's list of markets has about 15 million."""
MARKETS_KEPT = timedelta(days=1)
USUAL_PAGE = 500
"""Candles to ask for where ccxt does not know the exchange's limit."""
ALTERNATIVES = ("binance", "coinbase", "kraken", "bitstamp")


class ExchangeClient:
    """Public candles of one symbol at one exchange.

    Parameters
    ----------
    source
        The exchange and the symbol.
    settings
        Timeouts, attempts, patience, and where the API is asked instead of at its own host.
    cache_dir
        Folder that keeps the symbol's description for a day, and the shared budget; or ``None``.
    now
        The clock's time (UTC).

    Raises
    ------
    SourceError
        From the constructor and from :meth:`candles`: the exchange or the symbol is unknown, or
        the exchange does not answer with what was asked for.
    """

    def __init__(self, source: CcxtSource, ask: Ask) -> None:
        self.source = source
        self.url = ""
        self._settings = settings = ask.settings
        self._patience = Patience(settings.patience_seconds)
        self._exchange = _exchange(source, settings)
        self._pace = self._exchange.throttle
        self._weight = 1
        self._expected = ""
        self._sha256 = ""
        self._exchange.throttle = self._throttle
        self._exchange.fetch = self._fetch
        self._budget = RequestBudget(
            f"ccxt_{source.exchange}",
            f"{int(60_000 / self._exchange.rateLimit)}/minute",
            f"ccxt's rate limit of {source.exchange}",
            ask.cache_folder,
        )
        self._find_market(ask.cache_folder, ask.now)

    @property
    def timeframes(self) -> list[str]:
        """The lengths of candle that the exchange has, in ccxt's writing."""
        return list(self._exchange.timeframes or {})

    @property
    def page(self) -> int:
        """Most candles of one answer."""
        known = self._exchange.feature_value(self.source.symbol, "fetchOHLCV", "limit")
        return int(known or USUAL_PAGE)

    def candles(self, timeframe: str, since: int, limit: int) -> tuple[list[Candle], str]:
        """One page of candles that open at ``since`` or later, oldest first, and the answer's hash.

        Parameters
        ----------
        timeframe
            One of :attr:`timeframes`.
        since
            Milliseconds since 1970 (UTC).
        limit
            Most candles.
        """
        symbol = self.source.symbol

        def ask() -> list[Candle]:
            rows: list[Candle] = self._exchange.fetch_ohlcv(symbol, timeframe, since, limit)
            return [row for row in rows if row[0] >= since]

        return self._asked(ask, f"candles of {symbol}"), self._sha256

    def _find_market(self, cache_dir: Path | None, now: datetime) -> None:
        symbol, exchange = self.source.symbol, self._exchange
        key = f"ccxt:{self.source.exchange}/{symbol}@{self._settings.ccxt_url or ''}"
        cached = payload_cache.load(cache_dir, key)
        if cached and timedelta() <= now - cached.fetched_at < MARKETS_KEPT:
            exchange.set_markets([json.loads(cached.content)])
            return
        self._asked(exchange.load_markets, "list of markets")
        market = (exchange.markets or {}).get(symbol)
        if market is None:
            known = sorted(exchange.markets or {})
            base = symbol.partition("/")[0]
            near = get_close_matches(symbol, known, 5) or [
                name for name in known if name.startswith(f"{base}/")
            ]
            raise SourceError(
                f"{self.source.exchange} has no market {symbol}.",
                remedy=f"Near are: {', '.join(near[:8])}." if near else "Check the symbol.",
            )
        content = json.dumps(market, default=str).encode()
        payload_cache.store(cache_dir, key, payload_cache.CachedPayload(content, None, None, now))

    def _asked(self, ask: Callable[[], Answer], expected: str) -> Answer:
        import ccxt

        self._expected = f"{self.source.exchange}'s {expected}"
        try:
            return ask()
        except ccxt.BaseError as error:
            raise self._refused(error) from None
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise SourceError(
                f"Expected {self._expected} from {self.url}: the answer has another form "
                f"({type(error).__name__}: {error}).",
                remedy="Update ccxt, or name another exchange.",
            ) from error

    def _throttle(self, cost: float | None = None) -> None:
        """ccxt's pause before a request; its weight is spent with each attempt."""
        self._weight = max(1, math.ceil(cost or 1))
        self._pace(cost)

    def _spend(self) -> float:
        patience = Patience(self._settings.patience_seconds)
        return sum(self._budget.spend(patience) for _ in range(self._weight))

    def _fetch(self, url: str, method: str = "GET", headers: Any = None, *_: Any) -> Any:
        """What ccxt calls for each request: the parsed JSON of an answer without an error."""
        parts = urlsplit(url)
        self.url = shown(url)
        if method != "GET":
            raise SourceError(
                f"{self.source.exchange} wants to be asked by {method}, which is not supported.",
                remedy=f"Choose {_others(self.source.exchange)}.",
            )
        found: list[Any] = []
        call = ApiCall(
            judge=lambda download: found.append(self._judged(download, url)),
            patience=self._patience,
            query=dict(parse_qsl(parts.query)),
            headers=headers or {},
            before=self._spend,
        )
        content = http.download(
            parts._replace(query="").geturl(),
            self._settings,
            expected=self._expected,
            max_bytes=MAX_BYTES,
            api=call,
        ).content
        # ccxt measures its pauses from the last request, which may have been a later attempt.
        self._exchange.lastRestRequestTimestamp = time.time() * 1000
        self._sha256 = hashlib.sha256(content).hexdigest()
        return found[-1]

    def _judged(self, download: Download, url: str) -> Any:
        import ccxt

        status, text = download.status, download.content.decode("utf-8", "replace")
        if status in (403, 451):
            raise SourceError(
                f"{self.source.exchange} is blocked from this location (HTTP {status}).",
                remedy="Name another exchange as the feed's source or in its failover, such as "
                f"{_others(self.source.exchange)}.",
            )
        if status in (418, 429):
            banned = status == 418 and download.retry_after is None
            raise self._limited(f"HTTP {status}.", download.retry_after, 1 if banned else 1_000)
        answer = self._parsed(status, text)
        exchange = self._exchange
        try:
            exchange.handle_errors(status, "", url, "GET", {}, text, answer, None, None)
            if status >= 400:
                exchange.handle_http_status_code(status, "", url, "GET", text[:200])
        except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as error:
            raise self._limited(_said(error), download.retry_after) from None
        except ccxt.NetworkError as error:
            if status >= 400:
                raise self._refused(error) from None
            raise TransientError(
                f"{self.source.exchange} cannot answer: {_said(error)}", remedy="Try again later."
            ) from None
        except ccxt.BaseError as error:
            raise self._refused(error) from None
        return answer

    def _parsed(self, status: int, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            expected = f"Expected {self._expected} from {self.url}"
            if text.lstrip()[:1] == "<":
                raise SourceError(
                    f"{expected}: HTTP {status} with an HTML page instead of JSON.",
                    remedy="Check the network: a login page or a filter answers in its place.",
                ) from None
            if status == 200:
                raise TransientError(
                    f"{expected}: {len(text):,} characters that are not whole JSON.",
                    remedy="Try again later.",
                ) from None
            return None

    def _limited(self, said: str, wait: float | None, attempts: int = 1_000) -> SourceError:
        message = f"{self.source.exchange} answers that these are too many requests: {said}"
        if wait is not None and wait > self._patience.left:
            return SourceError(
                f"{message} It asks to wait for {wait:g} s, and a fetch waits no longer than "
                "FX_ASSETS_PATIENCE_SECONDS.",
                remedy="Try again later.",
            )
        return TransientError(message, remedy="Try again later.", attempts=attempts, wait=wait)

    def _refused(self, error: Exception) -> SourceError:
        return SourceError(
            f"Expected {self._expected} from {self.url}: {_said(error)}",
            remedy="Check exchange, symbol and frequency of the feed.",
        )


def _exchange(source: CcxtSource, settings: Settings) -> Any:
    """ccxt's object for the exchange, without a key."""
    import ccxt

    if source.exchange not in ccxt.exchanges:
        near = get_close_matches(source.exchange, ccxt.exchanges, 5, 0.5)
        raise SourceError(
            f"ccxt {ccxt.__version__} knows no exchange {source.exchange!r}.",
            remedy=f"Near are: {', '.join(near)}."
            if near
            else f"Choose {_others(source.exchange)}.",
        )
    exchange = getattr(ccxt, source.exchange)({"enableRateLimit": True})
    if not exchange.has.get("fetchOHLCV"):
        raise SourceError(
            f"{source.exchange} offers no candles.", remedy=f"Choose {_others(source.exchange)}."
        )
    exchange.has["fetchCurrencies"] = False  # candles need none, and it would be asked first
    asked = exchange.options.get("fetchMarkets")
    if isinstance(asked, dict) and "types" in asked and ":" not in source.symbol:
        asked["types"] = ["spot"]
    if settings.ccxt_url:
        exchange.urls["api"] = _elsewhere(exchange.urls["api"], settings.ccxt_url.rstrip("/"))
    _refuse_what_is_no_candle(exchange)
    return exchange


def _refuse_what_is_no_candle(exchange: Any) -> None:
    """ccxt leaves out what it cannot read, as if there had been nothing."""
    parse = exchange.parse_ohlcv

    def strictly(row: Any, market: Any = None) -> Candle:
        candle: Candle = parse(row, market)
        if candle[0] is None:
            raise ValueError(f"a candle without an instant: {str(row)[:80]}")
        return candle

    exchange.parse_ohlcv = strictly


def _elsewhere(address: Any, host: str) -> Any:
    """The same paths at another host."""
    if isinstance(address, dict):
        return {name: _elsewhere(value, host) for name, value in address.items()}
    return host + urlsplit(address).path if isinstance(address, str) else address


def _others(exchange: str) -> str:
    """Exchanges to choose instead, none of which is of the same house."""
    return ", ".join(name for name in ALTERNATIVES if not exchange.startswith(name))


def _said(error: Exception) -> str:
    """What ccxt says, on one line and short."""
    return f"{' '.join(str(error).split())[:200]} ({type(error).__name__})."
