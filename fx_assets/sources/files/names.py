"""What vendors call the columns of bars, with and without the prefixes that they put before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import get_args

from fx_assets.specs.sources import FileColumn

FIELDS: tuple[FileColumn, ...] = get_args(FileColumn)
PRICES: tuple[FileColumn, ...] = ("open", "high", "low", "close", "volume", "market_cap")

ALIASES: dict[FileColumn, tuple[str, ...]] = {
    "time": (
        *("gmttime", "utc", "timeutc", "datetimeutc", "timestamputc", "utctime", "utcdatetime"),
        *("timegmt", "dateutc", "dategmt", "datetimegmt", "timestampgmt", "etcutc", "timeeet"),
        *("time", "timestamp", "datetime", "localtime", "opentime", "closetime", "snappedat"),
        *("unix", "unixtimestamp", "unixtime", "eventtime", "ts", "t", "timeperiod", "index"),
        "indexlevel0",
    ),
    "date": (
        *("date", "day", "tradedate", "tradingdate", "tradingday", "dtyyyymmdd"),
        *("observationdate", "datum", "fecha"),
    ),
    "open": (
        *("open", "o", "openprice", "eröffn", "eröffnung", "eröffnungskurs", "ouv", "ouverture"),
        *("apertura", "abertura", "apert", "otwarcie", "öffnung"),
    ),
    "high": (
        *("high", "h", "highprice", "max", "hoch", "höchst", "tageshoch", "plushaut", "haut"),
        *("máximo", "maximo", "máxima", "massimo", "najwyzszy", "najwyższy"),
    ),
    "low": (
        *("low", "l", "lowprice", "min", "tief", "tiefst", "tagestief", "plusbas", "bas"),
        *("mínimo", "minimo", "mínima", "najnizszy", "najniższy"),
    ),
    "close": (
        *("close", "c", "closeprice", "price", "last", "closelast", "rate", "obsvalue", "zuletzt"),
        *("schluss", "schlusskurs", "schlußkurs", "dernier", "clôture", "cloture", "último"),
        *("ultimo", "cierre", "chiusura", "fechamento", "zamkniecie", "zamknięcie"),
    ),
    "volume": (
        *("volume", "vol", "v", "tickvol", "tickvolume", "totalvolume", "volumen", "wolumen"),
    ),
    "market_cap": ("marketcap",),
    "symbol": (
        *("symbol", "ticker", "pair", "instrument", "currency", "currencypair", "ccy", "ccypair"),
        *("code", "isocode", "currencycode", "asset", "product"),
    ),
}
"""How vendors call each column, folded."""
IN_UTC = {"gmttime", "utc", "timeutc", "datetimeutc", "timestamputc", "utctime", "utcdatetime"}
IN_UTC |= {"timegmt", "dateutc", "dategmt", "datetimegmt", "timestampgmt", "etcutc"}
AT_OPEN = {"opentime"}
AT_CLOSE = {"closetime", "eventtime"}
SYMBOLS = frozenset(ALIASES["symbol"])
NAMES: frozenset[str] = frozenset(name for names in ALIASES.values() for name in names)
"""Names of columns, folded, that make a line a header."""

_ORDINAL = re.compile(r"^\s*\d{1,2}[a-z]?[.)]\s*", re.IGNORECASE)
_UNIT = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*$")
_TOKENS = re.compile(r"[\s._:/|-]+")
_LONG: dict[str, FileColumn] = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "price": "close",
    "last": "close",
}
_NO_PREFIX = {"time", "date", "datetime", "timestamp", "interest", "int", "adj", "adjusted"}
_NO_PREFIX |= {"utc", "ms", "unix", "quote", "previous", "prev", "change", "percent", "pct"}


def folded(name: str) -> str:
    """A column's name without case, blanks and punctuation."""
    return re.sub(r"[\W_]", "", name.lower())


def plain_name(name: str) -> str:
    """A folded name without an ordinal before it or a unit behind it: ``1a. open (USD)``."""
    bare = _UNIT.sub("", _ORDINAL.sub("", name.strip()))
    return folded(bare) or folded(name)


def is_header(cells: Iterable[str], names: frozenset[str]) -> bool:
    """Whether at least two cells of a line are names of columns."""
    cells = list(cells)
    found = {plain_name(cell) for cell in cells} | {folded(cell) for cell in cells}
    if len(found & names) >= 2:
        return True
    grouped = prefixed(cells)
    timed = bool(found & {*ALIASES["time"], *ALIASES["date"]})
    return timed and any("close" in group or len(group) >= 3 for group in grouped.values())


def prefixed(names: Iterable[str]) -> Mapping[str, dict[FileColumn, str]]:
    """Columns of prices by what vendors put before or behind their names.

    ``BidOpen, BidHigh, AskOpen`` are the groups ``bid`` and ``ask``; ``mid.o`` is of ``mid``.
    """
    groups: dict[str, dict[FileColumn, str]] = {}
    for name in names:
        found = _parted(name)
        if found is not None:
            affix, ours = found
            groups.setdefault(affix, {}).setdefault(ours, name)
    return groups


def _parted(name: str) -> tuple[str, FileColumn] | None:
    tokens = [token for token in _TOKENS.split(_UNIT.sub("", _ORDINAL.sub("", name))) if token]
    if len(tokens) > 1:
        for word, rest in ((tokens[-1], tokens[:-1]), (tokens[0], tokens[1:])):
            ours = _price_of(folded(word))
            affix = folded("".join(rest))
            if ours and affix and affix not in _NO_PREFIX:
                return affix, ours
    whole = folded(name)
    for word, ours in _LONG.items():
        for affix in (
            whole.removesuffix(word) if whole.endswith(word) else "",
            whole.removeprefix(word) if whole.startswith(word) else "",
        ):
            if affix and affix not in _NO_PREFIX:
                return affix, ours
    return None


def _price_of(word: str) -> FileColumn | None:
    for ours in PRICES:
        if word in ALIASES[ours]:
            return ours
    return None
