"""The formats of export files: what their columns are called, and what their instants mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from fx_assets.sources.files.columns import (
    ask_for_columns,
    chosen_ticker,
    columns_by_name,
    declared_columns,
    tickers_of,
)
from fx_assets.sources.files.names import AT_CLOSE, AT_OPEN, IN_UTC, folded, plain_name
from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.tables import Table
from fx_assets.specs.sources import FileColumn, FileFormat, FilesSource

_ROWS: dict[FileFormat, re.Pattern[str]] = {
    "metatrader4": re.compile(r"\d{4}\.\d{2}\.\d{2}[,;\t]\d{2}:\d{2}(:\d{2})?[,;\t]"),
    "histdata": re.compile(r"\d{8} \d{6};"),
    "dukascopy": re.compile(r"\d{2}\.\d{2}\.\d{4} \d{2}:\d{2}:\d{2}\.\d{3}( GMT[+-]\d{4})?[,;]"),
    "binance": re.compile(r"(\d{13}|\d{16})(,[^,]*){5},(\d{13}|\d{16})(,[^,]*){5}$"),
}
"""How a row begins in the formats without header."""
ROWS: tuple[re.Pattern[str], ...] = tuple(_ROWS.values())

_YAHOO = ("open", "high", "low", "close", "adjclose", "volume")
_BINANCE = ("opentime", "open", "high", "low", "close", "volume", "closetime")
_DUKASCOPY_TIME = re.compile(r"\d{2}\.\d{2}\.\d{4} \d{2}:\d{2}:\d{2}")
_JFOREX = {"timeutc": "UTC", "timegmt": "UTC", "timeeet": "Europe/Athens"}
"""What the header of JForex calls the instants, and whose clock that is."""
_JFOREX_TIME = re.compile(r"\d{4}\.\d{2}\.\d{2} \d{2}:\d{2}:\d{2}")
_MT5_DATE = re.compile(r"\d{4}\.\d{2}\.\d{2}")


@dataclass(frozen=True)
class Layout:
    """What the columns of one table mean.

    Parameters
    ----------
    columns
        Ours to the table's.
    zone
        Of instants written without one; ``None`` where the format does not tell.
    stamp
        Whether an instant is the bar's open or its close; ``None`` where that is unknown.
    day_first
        What the format says about dates that can be read twice.
    labels
        Whether the date of a daily row is the bar's day, whatever its time of day.
    zone_matters
        Whether also a date without a time begins at midnight of the zone.
    zone_in_header
        Whether ``zone`` is what a column's name says, not the format's custom.
    custom_zone
        Answers to the question for the zone that only this format has.
    skipped
        First rows that are part of the header.
    note
        What was assumed about the format, for the notes of the table ``sources``.
    """

    format: FileFormat
    columns: dict[FileColumn, str]
    zone: str | None = None
    stamp: Literal["open", "close"] | None = None
    day_first: bool | None = None
    labels: bool = False
    zone_matters: bool = False
    zone_in_header: bool = False
    custom_zone: tuple[Option, ...] = field(default=(), repr=False)
    skipped: int = 0
    note: str = ""
    help: str = field(default="", repr=False)


def layout_of(table: Table, source: FilesSource, asked: Asked) -> Layout:
    """What the columns of a table mean, by the declared format, or by what the table looks like.

    Where two columns could be the same one, or the table is not of the declared format, it is
    asked.

    Raises
    ------
    SourceError
        A column that the feed names is missing.
    FilesUnclear
        A column that bars need is missing, and nothing tells which it is.
    """
    found = recognised(table)
    if source.format not in ("auto", "generic", found):
        if not _by_request(table, source.format, found):
            asked.ask(
                "source.format",
                f"{table.file} is not a {source.format} file: its first line is "
                f"{table.first_line[:80]!r}, which looks like {found or 'no known format'}.",
                "Set source.format: auto, or generic with source.columns.",
                (Option({"source.format": None}), Option({"source.format": "generic"})),
            )
        else:
            found = source.format
    if source.format == "generic":
        found = "generic"
    maker = _MAKERS.get(found or "generic")
    layout = maker(table, source, asked) if maker else _generic(table, source, asked)
    layout = replace(layout, columns=layout.columns | declared_columns(table, source))
    return _complete(table, layout, source, asked)


def recognised(table: Table) -> FileFormat | None:
    """The format that a table has by its header and first row, or ``None``."""
    if not table.header:
        rows = (name for name, row in _ROWS.items() if row.match(table.first_line))
        wide = len(table.cells.column_names) >= len(_OHLCV)
        custom: FileFormat | None = "histdata" if wide and _named_by_histdata(table) else None
        return next(rows, custom)
    raw = table.cells.column_names
    names = tuple(folded(name) for name in raw)
    first = str(table.cells[raw[0]][0].as_py()) if len(table) else ""
    if names[0] == "date" and {"open", "high", "low", "close"} <= set(names):
        marked = raw[0] == "<DATE>" and _MT5_DATE.match(first)
        if marked or {"tickvol", "spread"} <= set(names) or {"tickvol", "vol"} <= set(names):
            return "metatrader5"
    if names[0] in ("gmttime", "localtime", "utc", "etcutc") and _DUKASCOPY_TIME.match(first):
        return "dukascopy"
    if names[0] in _JFOREX and _JFOREX_TIME.match(first):
        return "dukascopy"
    if names[:7] == _BINANCE:
        return "binance"
    if names[:2] == ("snappedat", "price"):
        return "coingecko"
    if names[0] in ("date", "datetime") and names[1:7] == _YAHOO:
        return "yahoo"
    if names[0] == "price" and "close" in names and first in ("Ticker", "Date", "Datetime"):
        return "yahoo"
    return None


def _by_request(table: Table, name: FileFormat, found: FileFormat | None) -> bool:
    """Formats that are too plain to be recognised, but plausible when they are asked for."""
    width = len(table.cells.column_names)
    if found is not None:
        return (name, found) == ("histdata", "metatrader4")
    if table.header:
        return name in ("dukascopy", "histdata", "coingecko", "yahoo", "binance")
    return {"dukascopy": width >= 5, "binance": width >= 6}.get(name, False)


def _positions(table: Table, *fields: FileColumn) -> dict[FileColumn, str]:
    there = {name: str(i) for i, name in enumerate(fields, 1)}
    return {name: column for name, column in there.items() if _has(table, column)}


_OHLCV: tuple[FileColumn, ...] = ("open", "high", "low", "close", "volume")


def _columns(table: Table, source: FilesSource, asked: Asked) -> dict[FileColumn, str]:
    """By name, or without a header in the usual order."""
    if table.header:
        return columns_by_name(table, source, asked)
    return _positions(table, "time", *_OHLCV)


_SERVER = (
    "The time zone of the broker's server is not in the file. Many brokers use "
    "America/New_York+7 (midnight is the New York close), others Europe/Athens or UTC; "
    "for HistData's MetaTrader files set source.format: histdata."
)


_SEMICOLONS = (
    "HistData writes such rows in New York time without daylight saving: set source.format: "
    "histdata. NinjaTrader and others write them too, in a zone of their own, often stamped at the "
    "close."
)
_HISTDATA_NAME = re.compile(r"DAT_(ASCII|MT|NT|XLSX)|HISTDATA", re.IGNORECASE)


def _metatrader4(table: Table, source: FilesSource, asked: Asked) -> Layout:
    if _named_by_histdata(table):
        return _histdata(table, source, asked)
    columns = _positions(table, "date", "time", *_OHLCV)
    return Layout(
        "metatrader4", columns, stamp="open", day_first=False, zone_matters=True, help=_SERVER
    )


def _metatrader5(table: Table, source: FilesSource, asked: Asked) -> Layout:
    names = {folded(name): name for name in table.cells.column_names}
    ticks = (names["vol"],) if {"tickvol", "vol"} <= set(names) else ()
    return Layout(
        "metatrader5",
        columns_by_name(table, source, asked, ticks),
        stamp="open",
        day_first=False,
        zone_matters=True,
        help=_SERVER,
    )


def _histdata(table: Table, source: FilesSource, asked: Asked) -> Layout:
    columns = _columns(table, source, asked)
    if _ROWS["metatrader4"].match(table.first_line):
        columns = _positions(table, "date", "time", *_OHLCV)
    layout = Layout("histdata", columns, zone="Etc/GMT+5", stamp="open", day_first=False)
    if source.format == "histdata" or _named_by_histdata(table):
        return layout
    if not _without_volume(table, columns):
        return replace(
            layout,
            format="generic",
            zone=None,
            stamp=None,
            help=_SEMICOLONS,
            custom_zone=(Option({"source.format": "histdata"}, "New York without summer time"),),
        )
    return replace(
        layout,
        note="taken for a file of HistData, whose volumes are zero: New York time without "
        "daylight saving was assumed",
    )


def _named_by_histdata(table: Table) -> bool:
    names = (part.rsplit("/", 1)[-1] for part in table.file.split("!"))
    return any(map(_HISTDATA_NAME.search, names))


def _without_volume(table: Table, columns: dict[FileColumn, str]) -> bool:
    import pyarrow.compute as pc

    volume = columns.get("volume", "")
    return _has(table, volume) and pc.all(pc.equal(table.cells[volume], "0")).as_py() is True


def _dukascopy(table: Table, source: FilesSource, asked: Asked) -> Layout:
    columns = _columns(table, source, asked)
    name = folded(columns.get("time", ""))
    said = "UTC" if name in IN_UTC else _JFOREX.get(name)
    asked_for = source.format == "dukascopy" and name != "localtime"
    return Layout(
        "dukascopy",
        columns,
        zone=said or ("UTC" if asked_for else None),
        stamp="open",
        day_first=True,
        zone_in_header=said is not None,
        custom_zone=(Option({"source.format": "dukascopy"}, "UTC"),) if not table.header else (),
        help="" if table.header else "Dukascopy's own rows are UTC: set source.format: dukascopy.",
    )


def _binance(table: Table, source: FilesSource, asked: Asked) -> Layout:
    return Layout("binance", _columns(table, source, asked), zone="UTC", stamp="open")


def _coingecko(table: Table, source: FilesSource, asked: Asked) -> Layout:
    return Layout("coingecko", columns_by_name(table, source, asked), zone="UTC", stamp="close")


def _yahoo(table: Table, source: FilesSource, asked: Asked) -> Layout:
    if folded(table.cells.column_names[0]) == "price":
        return _yfinance(table, source, asked)
    return Layout("yahoo", columns_by_name(table, source, asked), stamp="open", labels=True)


def _yfinance(table: Table, source: FilesSource, asked: Asked) -> Layout:
    """``Price,Close,...`` over ``Ticker,EURUSD=X,...`` over ``Date,,...``."""
    names = table.cells.column_names
    first = [str(value.as_py()) for value in table.cells[names[0]].slice(0, 3)]
    skipped = sum(text in ("Ticker", "Date", "Datetime") for text in first)
    others: tuple[str, ...] = ()
    if first[0] == "Ticker":
        tickers = tickers_of(table, names[1:])
        ticker = chosen_ticker(tickers, source)
        if len(tickers) > 1 and ticker is None:
            ticker = next(iter(tickers))
            asked.ask(
                "source.symbol",
                f"{table.file} has the prices of {', '.join(sorted(tickers))}.",
                f"Say which: source.symbol: {ticker}.",
                tuple(Option({"source.symbol": name}) for name in tickers),
            )
        if len(tickers) > 1:
            others = tuple(n for t, columns in tickers.items() if t != ticker for n in columns)
    columns = columns_by_name(table, source, asked, (names[0], *others)) | {"time": names[0]}
    return Layout("yahoo", columns, stamp="open", labels=True, skipped=skipped)


def _generic(table: Table, source: FilesSource, asked: Asked) -> Layout:
    columns = columns_by_name(table, source, asked) if table.header else {}
    name, whole = plain_name(columns.get("time", "")), folded(columns.get("time", ""))
    stamp: Literal["open", "close"] | None = None
    if name in AT_OPEN | AT_CLOSE:
        stamp = "open" if name in AT_OPEN else "close"
    in_utc = bool({name, whole} & IN_UTC)
    zone = "UTC" if in_utc else table.zone
    return Layout("generic", columns, zone=zone, stamp=stamp, zone_in_header=in_utc)


_MAKERS = {
    "metatrader4": _metatrader4,
    "metatrader5": _metatrader5,
    "histdata": _histdata,
    "dukascopy": _dukascopy,
    "binance": _binance,
    "coingecko": _coingecko,
    "yahoo": _yahoo,
}


def _has(table: Table, column: str) -> bool:
    return column in table.cells.column_names


def _complete(table: Table, layout: Layout, source: FilesSource, asked: Asked) -> Layout:
    columns = dict(layout.columns)
    if "date" in source.columns and "time" not in source.columns:
        columns["time"] = columns.pop("date")
    elif "time" in source.columns and "date" not in source.columns:
        columns.pop("date", None)
    missing = [name for name in ("time", "close") if name not in columns]
    if missing:
        columns = ask_for_columns(table, columns, missing, asked)
    return replace(layout, columns=columns)


def time_text(table: Table, layout: Layout, row: int) -> str:
    """What the file says about the time of a row, counted without the rows that are header."""
    columns = [layout.columns["time"]]
    if "date" in layout.columns:
        columns.insert(0, layout.columns["date"])
    values = [table.cells[column][int(row) + layout.skipped].as_py() for column in columns]
    return " ".join("" if value is None else str(value) for value in values)
