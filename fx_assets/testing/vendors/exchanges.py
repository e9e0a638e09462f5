"""A local HTTP server that speaks the public candle APIs of crypto exchanges as they are.

Binance (``/api/v3``), Coinbase Advanced Trade (``/api/v3/brokerage/market``), Coinbase Exchange
(``/products``) and Kraken (``/0/public``): order of cells and rows, texts or numbers, page sizes,
the unfinished candle at the end, and how each of them says no.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from fx_assets.testing.vendors.answers import Answer, as_json, listening

BINANCE_BLOCKED = {
    "code": 0,
    "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you "
    "received this message in error.",
}
KRAKEN_TOO_MANY = {"error": ["EGeneral:Too many requests"]}
BINANCE_STEPS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "1d": 86400}
COINBASE_STEPS = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "ONE_DAY": 86400,
}


@dataclass
class Exchange:
    """Candles of BTC against the dollar (USDT at Binance) that follow from their opening second.

    Times are seconds since 1970. ``faults`` are answered first, one a request for candles.
    """

    now: int
    listed: int = 0
    holes: list[tuple[int, int]] = field(default_factory=list)
    """Half-open spans in which nothing was traded and no candle exists."""
    silent: set[int] = field(default_factory=set)
    """Openings of candles that exist with a volume of zero."""
    faults: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Path and query of every request."""
    url: str = ""

    def count(self, part: str) -> int:
        """How many requests had this in their address."""
        return sum(part in address for address in self.asked)

    def opens(self, first: float, last: float, step: int) -> list[int]:
        """Openings of the candles with ``first <= open <= last``, the unfinished one included."""
        start = max(math.ceil(first / step), self.listed // step) * step
        opens = range(start, int(min(last, self.now)) + 1, step)
        return [t for t in opens if not any(a <= t and t + step <= b for a, b in self.holes)]

    def candle(self, opened: int, step: int) -> tuple[float, float, float, float, float]:
        """Open, high, low, close and volume; an unfinished candle differs from what it becomes."""
        low, close = _price(opened) - 7.25, _price(opened + step)
        volume = 0.0 if opened in self.silent else 1.5 + opened // step % 97
        if opened + step > self.now:
            close, volume = close + 500, volume / 10
        first = _price(opened)
        return first, max(first, close) + 6.5, min(low, close - 1), close, volume

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for path, speak in _SPEAKERS.items():
            if parts.path == path:
                failing = self.faults and path.endswith(("andles", "klines", "OHLC"))
                (self.faults.pop(0) if failing else speak(self, query))(request)
                return
        as_json({"message": "NotFound"}, 404)(request)


def _price(at: int) -> float:
    return round(30_000 + 2_000 * math.sin(at / 400_000) + 40 * math.sin(at / 5_000), 2)


def _binance_markets(_: Exchange, query: dict[str, str]) -> Answer:
    symbols = [
        {
            "symbol": base + quote,
            "status": "TRADING",
            "baseAsset": base,
            "baseAssetPrecision": 8,
            "quoteAsset": quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "icebergAllowed": True,
            "ocoAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": True,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": "0.01000000",
                    "maxPrice": "1000000.00000000",
                    "tickSize": "0.01000000",
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": "0.00001000",
                    "maxQty": "9000.00000000",
                    "stepSize": "0.00001000",
                },
            ],
            "permissions": [],
            "permissionSets": [["SPOT", "MARGIN"]],
        }
        for base, quote in (("BTC", "USDT"), ("ETH", "USDT"), ("ETH", "BTC"))
    ]
    return as_json(
        {
            "timezone": "UTC",
            "serverTime": 1760000000000,
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": 6000,
                }
            ],
            "exchangeFilters": [],
            "symbols": symbols,
        }
    )


def _binance_candles(exchange: Exchange, query: dict[str, str]) -> Answer:
    if query["symbol"] != "BTCUSDT":
        return as_json({"code": -1121, "msg": "Invalid symbol."}, 400)
    step = BINANCE_STEPS[query["interval"]]
    limit = min(int(query.get("limit", 500)), 1000)
    opens = exchange.opens(int(query["startTime"]) / 1000, math.inf, step)[:limit]
    rows = []
    for t in opens:
        o, h, low, c, v = exchange.candle(t, step)
        texts = [f"{x:.8f}" for x in (o, h, low, c, v)]
        closes = (t + step) * 1000 - 1
        rows.append([t * 1000, *texts, closes, f"{v * c:.8f}", 308, f"{v / 2:.8f}", "1.0", "0"])
    return as_json(rows, x_mbx_used_weight_1m="2")


def _coinbase_markets(_: Exchange, query: dict[str, str]) -> Answer:
    if query.get("product_type") == "FUTURE":
        return as_json({"products": [], "num_products": 0})
    product = {
        "product_id": "BTC-USD",
        "price": "30000",
        "price_percentage_change_24h": "1.5",
        "volume_24h": "10967.87426597",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": "0.00000001",
        "base_max_size": "3400",
        "base_name": "Bitcoin",
        "quote_name": "US Dollar",
        "status": "online",
        "trading_disabled": False,
        "product_type": "SPOT",
        "quote_currency_id": "USD",
        "base_currency_id": "BTC",
        "alias": "",
        "alias_to": [],
        "price_increment": "0.01",
        "display_name": "BTC-USD",
        "product_venue": "CBE",
    }
    return as_json({"products": [product], "num_products": 1})


def _coinbase_candles(exchange: Exchange, query: dict[str, str]) -> Answer:
    step = COINBASE_STEPS[query["granularity"]]
    first, last = int(query["start"]), int(query["end"])
    if (last - first) / step > 350:
        return as_json(
            {
                "error": "INVALID_ARGUMENT",
                "error_details": "number of candles requested should be less than 350 ",
                "message": "number of candles requested should be less than 350 ",
            },
            400,
        )
    candles = []
    for t in reversed(exchange.opens(first, last, step)):
        o, h, low, c, v = exchange.candle(t, step)
        names = ("low", "high", "open", "close", "volume")
        cells = zip(names, (low, h, o, c, v), strict=True)
        candles.append({"start": str(t)} | {name: repr(x) for name, x in cells})
    return as_json({"candles": candles})


def _coinbase_exchange_markets(_: Exchange, query: dict[str, str]) -> Answer:
    product = {
        "id": "BTC-USD",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "quote_increment": "0.01",
        "base_increment": "0.00000001",
        "display_name": "BTC-USD",
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": False,
        "auction_mode": False,
    }
    return as_json([product])


def _coinbase_exchange_candles(exchange: Exchange, query: dict[str, str]) -> Answer:
    step = int(query["granularity"])
    first, last = (
        datetime.fromisoformat(query[name].replace("Z", "+00:00")).timestamp()
        for name in ("start", "end")
    )
    if (last - first) / step > 300:
        return as_json({"message": "granularity too small for the requested time range"}, 400)
    rows = []
    for t in reversed(exchange.opens(first, last, step)):
        o, h, low, c, v = exchange.candle(t, step)
        rows.append([t, low, h, o, c, v])
    return as_json(rows)


def _kraken_markets(_: Exchange, query: dict[str, str]) -> Answer:
    pair = {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "aclass_base": "currency",
        "base": "XXBT",
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
    }
    return as_json({"error": [], "result": {"XXBTZUSD": pair}})


def _kraken_candles(exchange: Exchange, query: dict[str, str]) -> Answer:
    """At most the newest 720, the unfinished one always among them, whatever ``since`` says."""
    if query["pair"] != "XXBTZUSD":
        return as_json({"error": ["EQuery:Unknown asset pair"]})
    step = 60 * int(query["interval"])
    opens = exchange.opens(exchange.now - 720 * step, math.inf, step)[-720:]
    opens = [t for t in opens if t > int(query.get("since", 0))] or opens[-1:]
    rows = []
    for t in opens:
        o, h, low, c, v = exchange.candle(t, step)
        prices = [f"{x:.1f}" for x in (o, h, low, c)]
        rows.append([t, *prices, f"{(o + c) / 2:.1f}", f"{v:.8f}", 42])
    return as_json({"error": [], "result": {"XXBTZUSD": rows, "last": opens[-1] - step}})


_SPEAKERS: dict[str, Callable[[Exchange, dict[str, str]], Answer]] = {
    "/api/v3/exchangeInfo": _binance_markets,
    "/api/v3/klines": _binance_candles,
    "/api/v3/brokerage/market/products": _coinbase_markets,
    "/api/v3/brokerage/market/products/BTC-USD/candles": _coinbase_candles,
    "/products": _coinbase_exchange_markets,
    "/products/BTC-USD/candles": _coinbase_exchange_candles,
    "/0/public/AssetPairs": _kraken_markets,
    "/0/public/OHLC": _kraken_candles,
}


@contextmanager
def running(exchange: Exchange) -> Iterator[Exchange]:
    """The exchange on a free local port."""
    with listening(exchange.answer) as exchange.url:
        yield exchange
