"""A local HTTP server that speaks the vendors' APIs as they are, from given bars, faults included.

Twelve Data (``/time_series``), CoinGecko (``/coins/{id}/market_chart/range``), CoinDesk's data API,
which CryptoCompare is now (``/index/cc/v1/historical``), and Frankfurter (``/v1/{start}..{end}``).

    with VendorServer({"EUR/USD": daily, "bitcoin": hourly}, now=now) as server:
        settings = server.settings(lake=...)    # or server.env as environment variables
        server.fault("twelve_data", TOO_MANY_IN_BODY)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from fx_assets.settings import Settings
from fx_assets.testing.vendors.answers import HTML, Answer, as_json, listening, raw

KEYS = {
    "twelve_data": "twelve-data-key-4f1c",
    "coingecko": "CG-demo-key-93ab",
    "cryptocompare": "cryptocompare-key-77d0",
}
PATHS = {
    "twelve_data": "/twelve_data",
    "coingecko": "/coingecko/api/v3",
    "cryptocompare": "/cryptocompare",
    "frankfurter": "/frankfurter/v1",
}
LENGTHS = {
    "1min": 60,
    "5min": 300,
    "15min": 900,
    "30min": 1_800,
    "1h": 3_600,
    "4h": 14_400,
    "1day": 86_400,
    "minutes": 60,
    "hours": 3_600,
    "days": 86_400,
}
NO_DATA = {
    "code": 400,
    "message": "No data is available on the specified dates. "
    "Try setting different start/end dates.",
    "status": "error",
    "meta": {"symbol": "", "interval": "", "exchange": ""},
}
OUT_OF_CREDITS = {
    "code": 429,
    "message": "You have run out of API credits for the current minute. 9 API credits were used, "
    "with the current limit being 8. Wait for the next minute or consider switching to a higher "
    "tier plan at https://twelvedata.com/pricing",
    "status": "error",
}
LEGACY_LIMIT = {
    "Response": "Error",
    "Message": "You are over your rate limit please upgrade your account!",
    "HasWarning": False,
    "Type": 99,
    "RateLimit": {"calls_made": {"second": 21}, "max_calls": {"second": 20}},
    "Data": {},
}
BEYOND_A_YEAR = {
    "error": {
        "status": {
            "timestamp": "2024-04-20T22:00:05.123+00:00",
            "error_code": 10012,
            "error_message": "Your request exceeds the allowed time range. Public API users are "
            "limited to querying historical data within the past 365 days. Upgrade to a paid plan "
            "to enjoy full historical data access: https://www.coingecko.com/en/api/pricing. ",
        }
    }
}
COINGECKO_LIMIT = {
    "status": {
        "error_code": 429,
        "error_message": "You've exceeded the Rate Limit. Please visit "
        "https://www.coingecko.com/en/api/pricing to subscribe to our API plans.",
    }
}
html = raw(HTML, Content_Type="text/html")
truncated = raw(b'{"values": [{"datetime": "2024-01-0', Content_Type="application/json")
cut_off = raw(b'{"values": [', declared=10_000)
unavailable = as_json({"message": "Service Unavailable"}, 503)
blocked = as_json({"message": "Unavailable for legal reasons"}, 451)
too_many = as_json({"message": "Too Many Requests"}, 429)


def too_many_for(seconds: float) -> Answer:
    """429 that asks to wait."""
    return as_json({"message": "Too Many Requests"}, 429, Retry_After=str(seconds))


@dataclass(frozen=True)
class Asked:
    """A request that the server got."""

    vendor: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float
    """Monotonic seconds."""


class VendorServer:
    """Serves bars as each vendor would; what closes after ``now`` is unknown, or unfinished.

    Parameters
    ----------
    bars
        Frames with ``event_time`` (each bar's close, UTC) and any of open, high, low, close, volume
        and market_cap, by the vendor's name for the instrument: ``EUR/USD``, ``bitcoin``,
        ``BTC-USD``, and for Frankfurter the currency whose price of a euro it is, such as ``USD``.
    now
        The vendors' clock (UTC); unset means that all bars are known. May be set again.
    keys
        The keys that are valid, by vendor; a vendor without one asks for none.
    saturdays
        On how many of the newest Saturdays Twelve Data has daily bars of currencies.
    coingecko_paid
        Whether CoinGecko's history reaches back more than 365 days.
    """

    def __init__(
        self,
        bars: Mapping[str, pd.DataFrame],
        now: datetime | None = None,
        *,
        keys: Mapping[str, str] = KEYS,
        saturdays: int = 1,
        coingecko_paid: bool = False,
    ) -> None:
        self.bars = dict(bars)
        self.now = now
        self.keys = dict(keys)
        self.saturdays = saturdays
        self.coingecko_paid = coingecko_paid
        self.asked: list[Asked] = []
        self.url = ""
        self._faults: dict[str, list[Answer]] = {}

    def __enter__(self) -> VendorServer:
        self._listening = listening(self.answer)
        self.url = self._listening.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._listening.__exit__(*failure)

    @property
    def env(self) -> dict[str, str]:
        """Environment variables that send the platform here, with keys and ample budgets."""
        values = {}
        for vendor, path in PATHS.items():
            values[f"FX_ASSETS_{vendor.upper()}_URL"] = self.url + path
            values[f"FX_ASSETS_{vendor.upper()}_BUDGET"] = "10000/second"
            if vendor in self.keys:
                values[f"FX_ASSETS_{vendor.upper()}_KEY"] = self.keys[vendor]
        return values | {"FX_ASSETS_HTTP_BACKOFF_SECONDS": "0.005"}

    def settings(self, **changes: Any) -> Settings:
        """The same as settings."""
        values = {n.removeprefix("FX_ASSETS_").lower(): v for n, v in self.env.items()}
        return Settings(**(values | {"http_timeout_seconds": 5, "http_attempts": 3} | changes))

    def fault(self, vendor: str, *answers: Answer) -> None:
        """Answer the vendor's next requests with these, one each."""
        self._faults.setdefault(vendor, []).extend(answers)

    def requests(self, vendor: str) -> list[Asked]:
        """What the vendor was asked."""
        return [request for request in self.asked if request.vendor == vendor]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request; for the HTTP handler."""
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in request.headers.items()}
        for vendor, prefix in PATHS.items():
            if parts.path.startswith(prefix + "/"):
                path = parts.path.removeprefix(prefix)
                self.asked.append(Asked(vendor, path, query, headers, time.monotonic()))
                faults = self._faults.get(vendor)
                speak = faults.pop(0) if faults else _SPEAKERS[vendor](self, path, query, headers)
                speak(request)
                return
        as_json({"message": "Not Found"}, 404)(request)

    def known(self, name: str) -> pd.DataFrame | None:
        """Bars as a vendor shows them; the one that is open at its clock's time differs."""
        frame = self.bars.get(name)
        if frame is None:
            return None
        frame = frame.sort_values("event_time", ignore_index=True)
        if self.now is None:
            return frame
        closed = frame["event_time"] <= pd.Timestamp(self.now)
        shown = frame[: int(closed.sum()) + 1].copy()
        prices = [c for c in ("open", "high", "low", "close") if c in shown]
        shown.loc[~closed[: len(shown)], prices] *= 1.05
        return shown


def _opened(frame: pd.DataFrame, seconds: int) -> pd.Series:
    """When bars open; a day's bar at midnight of its day."""
    if seconds == LENGTHS["1day"]:
        return (frame["event_time"] - pd.Timedelta(1, "us")).dt.normalize()
    return frame["event_time"] - pd.Timedelta(seconds, "s")


def _twelve_data(
    server: VendorServer, path: str, query: dict[str, str], headers: dict[str, str]
) -> Answer:
    key, given = server.keys.get("twelve_data"), headers.get("authorization", "")
    if key and given != f"apikey {key}":
        message = f"**apikey** parameter is incorrect or not specified: {given}."
        return as_json({"code": 401, "message": message, "status": "error"}, 401)
    symbol, interval = query["symbol"], query["interval"]
    frame = server.known(symbol)
    if path != "/time_series" or frame is None or interval not in LENGTHS:
        message = f"**symbol** or **figi** parameter is missing or invalid: {symbol}."
        return as_json({"code": 404, "message": message, "status": "error"})
    frame = frame.assign(opened=_opened(frame, LENGTHS[interval]))
    if interval == "1day" and "/" in symbol:
        frame = _with_saturdays(frame, server.saturdays)
    start, end = (pd.Timestamp(query[name], tz="UTC") for name in ("start_date", "end_date"))
    frame = frame[(frame["opened"] >= start) & (frame["opened"] < end)]
    newest = frame.tail(int(query.get("outputsize", 5_000)))[::-1]
    if newest.empty:
        return as_json(NO_DATA)
    layout = "%Y-%m-%d" if interval == "1day" else "%Y-%m-%d %H:%M:%S"
    known = ("open", "high", "low", "close") if "/" in symbol else _SHARE
    cells = [name for name in known if name in newest]
    texts = {"datetime": newest["opened"].dt.strftime(layout)} | {
        name: newest[name].astype(float).map(repr) for name in cells
    }
    values = pd.DataFrame(texts).to_dict("records")
    meta = {"symbol": symbol, "interval": interval, "type": "Physical Currency"}
    return as_json({"meta": meta, "values": values, "status": "ok"})


_SHARE = ("open", "high", "low", "close", "volume")
"""Currencies and coins have no volume."""


def _with_saturdays(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    fridays = frame[frame["opened"].dt.weekday == 4]
    weekend = bool((frame["opened"].dt.weekday >= 5).any())
    if not count or weekend or fridays.empty:
        return frame
    extra = fridays.tail(count).assign(opened=lambda x: x["opened"] + pd.Timedelta(1, "D"))
    return pd.concat([frame, extra]).sort_values("opened", ignore_index=True)


def _coingecko(
    server: VendorServer, path: str, query: dict[str, str], headers: dict[str, str]
) -> Answer:
    key, given = server.keys.get("coingecko"), headers.get("x-cg-demo-api-key", "")
    if key and given != key:
        said = {"error_code": 10002, "error_message": f"API Key {given} is missing or wrong."}
        return as_json({"status": said}, 401)
    coin = path.split("/")[2]
    frame = server.known(coin)
    if frame is None or not path.endswith("/market_chart/range"):
        return as_json({"error": "coin not found"}, 404)
    now = server.now or frame["event_time"].max().to_pydatetime() + timedelta(minutes=1)
    first, last = (datetime.fromtimestamp(int(query[n]), UTC) for n in ("from", "to"))
    if first < now - timedelta(days=365) and not server.coingecko_paid:
        return as_json(BEYOND_A_YEAR, 401)
    points = _points(frame, last - first > timedelta(days=90), now)
    points = points[(points["at"] >= first) & (points["at"] <= last)]
    instants = points["at"].astype("datetime64[ms, UTC]").astype("int64").tolist()
    series = {"prices": "close", "market_caps": "market_cap", "total_volumes": "volume"}
    cells = points.reindex(columns=list(series.values()))
    return as_json(
        {
            name: [
                [at, None if value != value else value]
                for at, value in zip(instants, cells[column].tolist(), strict=True)
            ]
            for name, column in series.items()
        }
    )


def _points(frame: pd.DataFrame, daily: bool, now: datetime) -> pd.DataFrame:
    """Points: daily ones at midnight, hourly ones 700 to 6,500 s apart, and the last is now."""
    steps = frame["event_time"].diff().median()
    closed = frame[frame["event_time"] <= now]
    at = closed["event_time"].astype("datetime64[us, UTC]")
    if daily:
        points = closed.assign(at=at)[at == at.dt.normalize()]
    elif pd.Timedelta(steps) > pd.Timedelta(1, "h"):
        points = closed.assign(at=at - pd.Timedelta(3, "h"), close=closed["close"] * 1.01)
    else:
        hours = at.astype("int64") // 3_600_000_000
        late = pd.to_timedelta(hours * 7_919 % 2_900, unit="s")
        points = closed.assign(at=at - late)
    newest = frame.tail(1).assign(at=pd.Timestamp(now), close=frame["close"].iloc[-1] * 1.02)
    return pd.concat([points, newest.astype({"at": "datetime64[us, UTC]"})], ignore_index=True)


def _cryptocompare(
    server: VendorServer, path: str, query: dict[str, str], headers: dict[str, str]
) -> Answer:
    key, given = server.keys.get("cryptocompare"), headers.get("x-api-key", "")
    if key and given != key:
        return _err(401, f"The api_key you provided ({given}) is not valid.", "api_key")
    pair, unit = query["instrument"], path.rsplit("/", 1)[1]
    frame = server.known(pair)
    if frame is None:
        return _err(404, f"No instrument {pair} on market {query['market']}.", "instrument")
    seconds = LENGTHS[unit]
    opened = _opened(frame, seconds).astype("datetime64[s, UTC]").astype("int64")
    frame = frame.assign(opened=opened)
    limit = min(int(query["limit"]), 2_000)
    page = frame[frame["opened"] <= int(query["to_ts"])].tail(limit)
    if page.empty:
        return _err(404, "No data available for the timestamp specified.", "to_ts")
    entries = []
    for row in page.to_dict("records"):
        entry = {"UNIT": unit[:-1].upper(), "TIMESTAMP": row["opened"], "TYPE": "267"}
        entry |= {"MARKET": query["market"], "INSTRUMENT": pair}
        for name in ("open", "high", "low", "close", "volume"):
            if name in row and row[name] == row[name]:
                entry[name.upper()] = row[name]
        entries.append(entry | {"QUOTE_VOLUME": 1.0})
    return as_json({"Data": entries, "Err": {}})


def _err(status: int, message: str, param: str) -> Answer:
    error = {"type": 1, "message": message, "other_info": {"param": param, "values": []}}
    return as_json({"Data": {}, "Err": error}, status)


def _frankfurter(
    server: VendorServer, path: str, query: dict[str, str], headers: dict[str, str]
) -> Answer:
    if ".." not in path:
        return as_json({"message": "not found"}, 404)
    first, last = path.strip("/").split("..")
    base, symbols = query.get("base", "EUR"), query["symbols"].split(",")
    table = {}
    start, end = pd.Timestamp(first, tz="UTC"), pd.Timestamp(last, tz="UTC") + pd.Timedelta(1, "D")
    for code in {base, *symbols} - {"EUR"}:
        frame = server.known(code)
        if frame is not None:
            frame = frame[(frame["event_time"] >= start) & (frame["event_time"] < end)]
            day = frame["event_time"].dt.strftime("%Y-%m-%d")
            table[code] = pd.Series(frame["close"].to_numpy(), index=day)
    rates = pd.DataFrame(table).sort_index()
    days = pd.to_datetime(rates.index)
    if pd.Timestamp(last) - pd.Timestamp(first) > pd.Timedelta(365, "D"):
        weeks = days.to_period("W").start_time.strftime("%Y-%m-%d")
        rates = rates.groupby(weeks).mean()
    if base != "EUR":
        rates = rates.div(rates[base], axis=0).drop(columns=base).round(4)
    if rates.empty:
        return as_json({"message": "not found"}, 404)
    rows = zip(rates.index, rates.to_dict("records"), strict=True)
    cells = {day: {code: x for code, x in row.items() if x == x} for day, row in rows}
    shown = {"start_date": rates.index[0], "end_date": rates.index[-1]}
    return as_json({"amount": 1.0, "base": base} | shown | {"rates": cells})


_SPEAKERS = {
    "twelve_data": _twelve_data,
    "coingecko": _coingecko,
    "cryptocompare": _cryptocompare,
    "frankfurter": _frankfurter,
}
