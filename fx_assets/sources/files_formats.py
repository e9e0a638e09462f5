"""The formats of export files: what their columns are called, and what their instants mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from fx_assets.errors import SourceError
from fx_assets.sources.files_questions import Asked, Option
from fx_assets.sources.files_tables import Table, folded
from fx_assets.specs.sources import FileColumn, FileFormat, FilesSource

FIELDS: tuple[FileColumn, ...] = get_args(FileColumn)
PRICES: tuple[FileColumn, ...] = ("open", "high", "low", "close", "volume", "market_cap")

ALIASES: dict[FileColumn, tuple[str, ...]] = {
    "time": (
        *("time", "timestamp", "datetime", "gmttime", "localtime", "opentime", "closetime"),
        *("snappedat", "unix", "utc", "timeutc", "datetimeutc", "timestamputc", "eventtime"),
        *("ts", "t"),
    ),
    "date": ("date", "day", "tradedate", "dtyyyymmdd"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice", "max"),
    "low": ("low", "l", "lowprice", "min"),
    "close": ("close", "c", "closeprice", "price", "last", "closelast", "rate"),
    "volume": ("volume", "vol", "v", "tickvol", "tickvolume", "totalvolume"),
    "market_cap": ("marketcap",),
}
"""How vendors call each column, folded."""
_IN_UTC = {"gmttime", "utc", "timeutc", "datetimeutc", "timestamputc", "snappedat"}
_AT_OPEN = {"opentime"}
_AT_CLOSE = {"closetime", "eventtime"}
_SYMBOLS = {"symbol", "ticker", "pair", "instrument"}

NAMES: frozenset[str] = frozenset(name for names in ALIASES.values() for name in names) | _SYMBOLS
"""Names of columns, folded, that make a line a header."""

_ROWS: dict[FileFormat, re.Pattern[str]] = {
    "metatrader4": re.compile(r"\d{4}\.\d{2}\.\d{2}[,;\t]\d{2}:\d{2}(:\d{2})?[,;\t]"),
    "histdata": re.compile(r"\d{8} \d{6};"),
    "dukascopy": re.compile(r"\d{2}\.\d{2}\.\d{4} \d{2}:\d{2}:\d{2}\.\d{3}( GMT[+-]\d{4})?[,;]"),
    "binance": re.compile(r"(\d{13}|\d{16})(,[^,]*){5},(\d{13}|\d{16})(,[^,]*){5}$"),
}
"""How a row begins in the formats without header."""
ROWS: tuple[re.Pattern[str], ...] = tuple(_ROWS.values())

_HEADERS: dict[FileFormat, re.Pattern[str]] = {
    "metatrader5": re.compile(r"<DATE>"),
    "dukascopy": re.compile(r"(gmt time|local time)\b", re.IGNORECASE),
    "binance": re.compile(r"open_time,open,high,low,close,volume,close_time"),
    "coingecko": re.compile(r"snapped_at,price"),
    "yahoo": re.compile(r"date(time)?,open,high,low,close,adj close,volume", re.IGNORECASE),
}
_YFINANCE = re.compile(r"Price,(?=.*\bClose\b)")


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

    Where two columns could be the same one, it is asked.

    Raises
    ------
    SourceError
        The table is not of the declared format, or a column that bars need is missing.
    """
    found = recognised(table)
    if source.format not in ("auto", "generic", found):
        if not _by_request(table, source.format, found):
            raise SourceError(
                f"{table.file} is not a {source.format} file: its first line is "
                f"{table.first_line[:80]!r}, which looks like {found or 'no known format'}.",
                remedy="Set source.format: auto, or generic with source.columns.",
            )
        found = source.format
    if source.format == "generic":
        found = "generic"
    maker = _MAKERS.get(found or "generic")
    layout = maker(table, source, asked) if maker else _generic(table, source, asked)
    layout = replace(layout, columns=layout.columns | _declared(table, source))
    return _complete(table, layout, source)


def recognised(table: Table) -> FileFormat | None:
    """The format that a table has by its first lines, or ``None``."""
    patterns = _HEADERS if table.header else _ROWS
    for name, pattern in patterns.items():
        if pattern.match(table.first_line):
            return name
    return "yahoo" if table.header and _YFINANCE.match(table.first_line) else None


def _by_request(table: Table, name: FileFormat, found: FileFormat | None) -> bool:
    """Formats that are too plain to be recognised, but plausible when they are asked for."""
    width = len(table.cells.column_names)
    if found is not None:
        return (name, found) == ("histdata", "metatrader4")
    if table.header:
        return name in ("dukascopy", "histdata", "coingecko", "yahoo", "binance")
    return {"dukascopy": width >= 5, "binance": width >= 6}.get(name, False)


def _positions(*fields: FileColumn) -> dict[FileColumn, str]:
    return {name: str(i) for i, name in enumerate(fields, 1)}


_OHLCV: tuple[FileColumn, ...] = ("open", "high", "low", "close", "volume")
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


def _metatrader4(
    table: Table,
    source: FilesSource,  # noqa: ARG001
    asked: Asked,  # noqa: ARG001
) -> Layout:
    columns = {k: v for k, v in _positions("date", "time", *_OHLCV).items() if _has(table, v)}
    return Layout(
        "metatrader4", columns, stamp="open", day_first=False, zone_matters=True, help=_SERVER
    )


def _metatrader5(table: Table, source: FilesSource, asked: Asked) -> Layout:
    ticks = ("<VOL>",) if _has(table, "<TICKVOL>") else ()
    return Layout(
        "metatrader5",
        _by_name(table, source, asked, ticks),
        stamp="open",
        day_first=False,
        zone_matters=True,
        help=_SERVER,
    )


def _histdata(table: Table, source: FilesSource, asked: Asked) -> Layout:
    columns = _by_name(table, source, asked) if table.header else _positions("time", *_OHLCV)
    if _ROWS["metatrader4"].match(table.first_line):
        columns = _positions("date", "time", *_OHLCV)
    layout = Layout("histdata", columns, zone="Etc/GMT+5", stamp="open", day_first=False)
    names = [part.rsplit("/", 1)[-1] for part in table.file.split("!")]
    if source.format == "histdata" or any(map(_HISTDATA_NAME.search, names)):
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


def _without_volume(table: Table, columns: dict[FileColumn, str]) -> bool:
    import pyarrow.compute as pc

    volume = columns.get("volume", "")
    return _has(table, volume) and pc.all(pc.equal(table.cells[volume], "0")).as_py() is True


def _dukascopy(table: Table, source: FilesSource, asked: Asked) -> Layout:
    columns = _by_name(table, source, asked) if table.header else _positions("time", *_OHLCV)
    columns = {k: v for k, v in columns.items() if _has(table, v)}
    in_utc = folded(columns.get("time", "")) == "gmttime"
    asked_for = source.format == "dukascopy" and folded(columns.get("time", "")) != "localtime"
    return Layout(
        "dukascopy",
        columns,
        zone="UTC" if in_utc or asked_for else None,
        stamp="open",
        day_first=True,
        zone_in_header=in_utc,
        custom_zone=(Option({"source.format": "dukascopy"}, "UTC"),) if not table.header else (),
        help="" if table.header else "Dukascopy's own rows are UTC: set source.format: dukascopy.",
    )


def _binance(table: Table, source: FilesSource, asked: Asked) -> Layout:
    columns = _by_name(table, source, asked) if table.header else _positions("time", *_OHLCV)
    return Layout("binance", columns, zone="UTC", stamp="open")


def _coingecko(table: Table, source: FilesSource, asked: Asked) -> Layout:
    return Layout("coingecko", _by_name(table, source, asked), zone="UTC", stamp="close")


def _yahoo(table: Table, source: FilesSource, asked: Asked) -> Layout:
    if _YFINANCE.match(table.first_line):
        return _yfinance(table, source, asked)
    return Layout("yahoo", _by_name(table, source, asked), stamp="open", labels=True)


def _yfinance(table: Table, source: FilesSource, asked: Asked) -> Layout:
    """``Price,Close,...`` over ``Ticker,EURUSD=X,...`` over ``Date,,...``."""
    names = table.cells.column_names
    repeated = [name for name in names if "#" in name]
    if repeated:
        tickers = sorted({str(table.cells[name][0].as_py()) for name in names[1:]})
        raise SourceError(
            f"{table.file} has the prices of {', '.join(tickers)}.",
            remedy="Download one ticker a file.",
        )
    first = [str(value.as_py()) for value in table.cells[names[0]].slice(0, 3)]
    skipped = sum(text in ("Ticker", "Date", "Datetime") for text in first)
    columns = _by_name(table, source, asked, (names[0],)) | {"time": names[0]}
    return Layout("yahoo", columns, stamp="open", labels=True, skipped=skipped)


def _generic(table: Table, source: FilesSource, asked: Asked) -> Layout:
    columns = _by_name(table, source, asked) if table.header else {}
    name = folded(columns.get("time", ""))
    stamp: Literal["open", "close"] | None = None
    if name in _AT_OPEN | _AT_CLOSE:
        stamp = "open" if name in _AT_OPEN else "close"
    in_utc = name in _IN_UTC
    return Layout(
        "generic", columns, zone="UTC" if in_utc else None, stamp=stamp, zone_in_header=in_utc
    )


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


def _by_name(
    table: Table, source: FilesSource, asked: Asked, skip: tuple[str, ...] = ()
) -> dict[FileColumn, str]:
    """Columns by their names; the first of several aliases of an instant, else they must be one."""
    names = reversed(table.cells.column_names)
    known = {folded(name): name for name in names if name not in skip}
    found: dict[FileColumn, str] = {}
    for wanted, aliases in ALIASES.items():
        if wanted in source.columns and wanted not in ("time", "date"):
            continue
        there = [known[alias] for alias in aliases if alias in known]
        if wanted == "volume" and not there:
            there = [name for alias, name in known.items() if alias.startswith("volume")]
        if len(there) > 1 and wanted not in ("time", "date"):
            _ask_which(table, wanted, there, asked)
        if there:
            found[wanted] = there[0]
    if "date" in found and folded(found.get("time", "time")) != "time":
        del found["date"]
    if "time" not in found and "date" in found:
        found["time"] = found.pop("date")
    return found


def _declared(table: Table, source: FilesSource) -> dict[FileColumn, str]:
    known = {folded(name): name for name in reversed(table.cells.column_names)}
    known |= {name: name for name in table.cells.column_names}
    columns: dict[FileColumn, str] = {}
    for ours, theirs in source.columns.items():
        name = known.get(theirs, known.get(folded(theirs)))
        if name is None:
            raise SourceError(
                f"{table.file} has no column {theirs!r}; it has "
                f"{', '.join(map(repr, table.cells.column_names))}.",
                remedy=f"Correct source.columns.{ours}.",
            )
        columns[ours] = name
    return columns


def _ask_which(table: Table, wanted: str, there: Iterable[str], asked: Asked) -> None:
    names = list(there)
    asked.ask(
        f"source.columns.{wanted}",
        f"{table.file} has several columns that can be the {wanted}: {', '.join(names)}.",
        f"Say which: source.columns: {{{wanted}: {names[0]}}}.",
        tuple(Option({f"source.columns.{wanted}": name}) for name in names),
    )


def _complete(table: Table, layout: Layout, source: FilesSource) -> Layout:
    columns = dict(layout.columns)
    if "date" in source.columns and "time" not in source.columns:
        columns["time"] = columns.pop("date")
    elif "time" in source.columns and "date" not in source.columns:
        columns.pop("date", None)
    missing = [name for name in ("time", "close") if name not in columns]
    if missing:
        shown = ", ".join(map(repr, table.cells.column_names))
        raise SourceError(
            f"{table.file} has no column for the {' and the '.join(missing)}; it has {shown}, and "
            f"begins with {table.first_line[:80]!r}.",
            remedy=(
                "Set source.columns, such as {time: Stamp, close: Rate}; in a file without header "
                'they are called "1", "2", ...'
            ),
        )
    _refuse_many_symbols(table)
    return replace(layout, columns=columns)


def _refuse_many_symbols(table: Table) -> None:
    import pyarrow.compute as pc

    for name in table.cells.column_names:
        if table.header and folded(name) in _SYMBOLS:
            symbols = [str(value) for value in pc.unique(table.cells[name]).to_pylist() if value]
            if len(symbols) > 1:
                raise SourceError(
                    f"{table.file} has the prices of {', '.join(symbols[:5])} in one file.",
                    remedy="Cut it into a file for each instrument.",
                )


def time_text(table: Table, layout: Layout, row: int) -> str:
    """What the file says about the time of a row, counted without the rows that are header."""
    columns = [layout.columns["time"]]
    if "date" in layout.columns:
        columns.insert(0, layout.columns["date"])
    values = [table.cells[column][int(row) + layout.skipped].as_py() for column in columns]
    return " ".join("" if value is None else str(value) for value in values)
