"""Tables in the forms in which people and programs keep them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_assets.errors import SourceError
from fx_assets.sources.files.questions import FilesUnclear
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import Bars, bars_of, feed_of, read, same
from fx_assets_tests.examples import examples

OHLC = ["open", "high", "low", "close"]
HOURLY: dict[str, Any] = {"calendar": "24x7", "stamp": "open"}
DAILY: dict[str, Any] = {"frequency": "1d", "calendar": "24x7"}
HEAD = "time,open,high,low,close,volume"


def hours(count: int = 60, first: date = date(2024, 3, 4), **given: Any) -> Bars:
    return bars_of(feed_of(Path("."), **{"calendar": "24x7", **given}), first, count)


def days(count: int = 60, first: date = date(2024, 3, 4)) -> Bars:
    return bars_of(feed_of(Path("."), **DAILY), first, count)


def epochs(bars: Bars, unit: int = 1000) -> list[int]:
    at = bars["event_time"] - pd.Timedelta(hours=1)
    seconds = at.astype("datetime64[s]").astype(np.int64)
    return [int(value) * unit for value in seconds]


def day_texts(bars: Bars) -> list[str]:
    return world.shown(bars["event_time"] - pd.Timedelta(days=1), "%Y-%m-%d")


def records(bars: Bars) -> list[dict[str, Any]]:
    rows = bars[world.PRICES].to_dict("records")
    return [{"time": at, **row} for at, row in zip(epochs(bars), rows, strict=True)]


def by_day(bars: Bars, names: list[str]) -> dict[str, dict[str, str]]:
    rows = bars[OHLC].to_numpy().tolist()
    return {
        day: dict(zip(names, map(repr, row), strict=True))
        for day, row in zip(day_texts(bars), rows, strict=True)
    }


JSON: dict[str, Callable[[Bars], Any]] = {
    "records": records,
    "records below a key": lambda b: {"status": "ok", "data": records(b), "meta": {"n": 3}},
    "records two keys below": lambda b: {"Data": {"Aggregated": False, "Data": records(b)}},
    "lists with a header": lambda b: [["time", *world.PRICES]]
    + [[r["time"], *[r[n] for n in world.PRICES]] for r in records(b)],
    "columns": lambda b: {"time": epochs(b), **{n: b[n].tolist() for n in world.PRICES}},
    "columns below a key": lambda b: {
        "s": "ok",
        "r": {"t": epochs(b), **{n[0]: b[n].tolist() for n in world.PRICES}},
    },
    "pandas' columns": lambda b: json.loads(
        pd.DataFrame({"time": epochs(b), **b[world.PRICES]}).to_json()
    ),
    "pandas' split": lambda b: json.loads(
        pd.DataFrame({"time": epochs(b), **b[world.PRICES]}).to_json(orient="split")
    ),
    "pandas' table": lambda b: json.loads(
        pd.DataFrame({"time": epochs(b), **b[world.PRICES]}).to_json(orient="table", index=False)
    ),
    "pandas' index of instants": lambda b: json.loads(
        b[world.PRICES].set_axis(pd.to_datetime(epochs(b), unit="ms")).to_json(orient="index")
    ),
    "pandas' columns by instants": lambda b: json.loads(
        b[world.PRICES].set_axis(pd.to_datetime(epochs(b), unit="ms")).to_json()
    ),
    "prices in an object of each row": lambda b: {
        "candles": [
            {"volume": r["volume"], "time": r["time"], "mid": {n[0]: r[n] for n in OHLC}}
            for r in records(b)
        ]
    },
    "Yahoo's chart": lambda b: {
        "chart": {
            "result": [
                {
                    "meta": {"currency": "USD", "validRanges": ["1d", "5d"]},
                    "timestamp": epochs(b, 1),
                    "indicators": {
                        "quote": [{n: b[n].tolist() for n in world.PRICES}],
                        "adjclose": [{"adjclose": b["close"].tolist()}],
                    },
                }
            ],
            "error": None,
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("form", JSON)
def test_json_is_read_in_every_form(tmp_path: Path, form: str, indent: int | None) -> None:
    bars = hours()
    (tmp_path / "a.json").write_text(json.dumps(JSON[form](bars), indent=indent))
    batch = read(feed_of(tmp_path, **HOURLY))
    assert batch.rejected.empty
    same(batch, bars)


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize(
    "names",
    [
        ["1. open", "2. high", "3. low", "4. close"],
        ["1a. open (USD)", "2a. high (USD)", "3a. low (USD)", "4a. close (USD)"],
        OHLC,
    ],
)
def test_json_by_date_is_read(tmp_path: Path, names: list[str], indent: int | None) -> None:
    bars = days()
    body = {"Meta Data": {"1. Information": "Daily"}, "Time Series (Daily)": by_day(bars, names)}
    (tmp_path / "a.json").write_text(json.dumps(body, indent=indent))
    same(read(feed_of(tmp_path, **DAILY)), bars, OHLC)


def test_json_of_rates_by_date_and_of_points_is_read(tmp_path: Path) -> None:
    bars = days()
    rates = {day: {"USD": close} for day, close in zip(day_texts(bars), bars["close"], strict=True)}
    text = json.dumps({"amount": 1.0, "base": "EUR", "rates": rates}, indent=1)
    (tmp_path / "a.json").write_text(text)
    same(read(feed_of(tmp_path, **DAILY)), bars, ["close"])
    at = bars["event_time"].astype("datetime64[ms]").astype(np.int64).tolist()
    points = {"prices": list(map(list, zip(at, bars["close"], strict=True)))}
    points["market_caps"] = [[t, 1.0] for t in at]
    points["total_volumes"] = list(map(list, zip(at, bars["volume"], strict=True)))
    (tmp_path / "a.json").write_text(json.dumps(points))
    batch = read(feed_of(tmp_path, **DAILY))
    same(batch, bars, ["close", "volume"])
    assert batch.provenance.provider == "files-coingecko"


def test_lines_of_json_are_read_and_a_cut_line_is_named(tmp_path: Path) -> None:
    bars = hours()
    lines = [json.dumps(row) for row in records(bars)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    same(read(feed_of(tmp_path, **HOURLY)), bars)
    (tmp_path / "a.jsonl").write_text("\n".join([*lines[:7], lines[7][:20]]))
    with pytest.raises(SourceError, match="is not JSON: line 8"):
        read(feed_of(tmp_path, **HOURLY))


def test_rows_that_are_called_unfinished_are_left_out_and_counted(tmp_path: Path) -> None:
    bars = hours()
    rows = [{**row, "complete": i < 58} for i, row in enumerate(records(bars))]
    (tmp_path / "a.json").write_text(json.dumps({"candles": rows}))
    batch = read(feed_of(tmp_path, **HOURLY))
    same(batch, bars.iloc[:58])
    assert "2 rows are unfinished by the column 'complete'" in batch.provenance.notes


def test_json_without_rows_says_which_forms_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"error": "limit", "code": {"a": 1}}')
    with pytest.raises(SourceError, match="no rows in a form that is read") as caught:
        read(feed_of(tmp_path, **HOURLY))
    assert "an object by date" in caught.value.remedy


def test_json_of_several_instruments_gives_the_feed_s(tmp_path: Path) -> None:
    bars = hours()
    other = bars.assign(close=9.0)
    both = {"ETH/USD": {"values": records(other)}, "BTC/USD": {"values": records(bars)}}
    (tmp_path / "a.json").write_text(json.dumps(both))
    same(read(feed_of(tmp_path, **HOURLY)), bars)
    with pytest.raises(FilesUnclear, match="below the keys ETH/USD, BTC/USD") as caught:
        read(feed_of(tmp_path, **HOURLY, instrument="XBTUSD"))
    (question,) = caught.value.questions
    assert [dict(o.settings) for o in question.options] == [
        {"source.symbol": "ETH/USD"},
        {"source.symbol": "BTC/USD"},
    ]
    same(read(feed_of(tmp_path, **HOURLY, instrument="XBTUSD", symbol="BTC/USD")), bars)


def typed(bars: Bars) -> pd.DataFrame:
    opened = (bars["event_time"] - pd.Timedelta(hours=1)).dt.tz_localize("UTC")
    return bars[world.PRICES].assign(date=opened)


TYPED: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "a.feather": lambda f, p: f.to_feather(p),
    "lz4.feather": lambda f, p: f.to_feather(p, compression="lz4"),
    "a.parquet": lambda f, p: f.to_parquet(p),
    "index.parquet": lambda f, p: f.set_index(f.pop("date").rename(None)).to_parquet(p),
}


@pytest.mark.parametrize("name", TYPED)
def test_feather_and_parquet_are_read_and_a_cut_file_is_named(tmp_path: Path, name: str) -> None:
    bars = hours()
    TYPED[name](typed(bars), tmp_path / name)
    same(read(feed_of(tmp_path, **HOURLY)), bars)
    whole = (tmp_path / name).read_bytes()
    for cut in (whole[:5], whole[: len(whole) // 2], whole[:-3], b"\0" * 200):
        (tmp_path / name).write_bytes(cut)
        with pytest.raises(SourceError) as caught:
            read(feed_of(tmp_path, **HOURLY))
        assert name in caught.value.message
        assert caught.value.remedy


def workbook(frames: dict[str, pd.DataFrame], path: Path, **how: Any) -> None:
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        for title, frame in frames.items():
            frame.to_excel(book, sheet_name=title, index=False, **how)


def test_a_workbook_is_read_and_its_rows_are_named(tmp_path: Path) -> None:
    bars = days()
    frame = pd.DataFrame({"Date": pd.to_datetime(day_texts(bars)), **bars[OHLC]})
    workbook(
        {"Notes": pd.DataFrame({"by": ["hand"]}), "Prices": frame}, tmp_path / "a.xlsx", startrow=3
    )
    same(read(feed_of(tmp_path, **DAILY)), bars, OHLC)
    broken = frame.astype({"close": object})
    broken.loc[4, "close"] = "n.a. yet"
    workbook({"Prices": broken}, tmp_path / "a.xlsx", startrow=3)
    batch = read(feed_of(tmp_path, **DAILY))
    assert batch.rejected["reason"].tolist() == [
        f"{tmp_path}/a.xlsx!Prices line 9: a price cannot be read"
    ]


def test_of_several_sheets_the_one_is_asked_for(tmp_path: Path) -> None:
    bars = days()
    frame = pd.DataFrame({"Date": day_texts(bars), **bars[OHLC]})
    other = frame.assign(close=9.0)
    workbook({"bid": other, "mid": frame}, tmp_path / "a.xlsx")
    with pytest.raises(FilesUnclear, match="several sheets with prices: bid, mid"):
        read(feed_of(tmp_path, **DAILY))
    same(read(feed_of(tmp_path, **DAILY, sheet="mid")), bars, OHLC)
    with pytest.raises(SourceError, match="no sheet 'ask'; it has 'bid', 'mid'"):
        read(feed_of(tmp_path, **DAILY, sheet="ask"))
    workbook({"ETHUSD": other, "BTCUSD": frame}, tmp_path / "a.xlsx")
    same(read(feed_of(tmp_path, **DAILY)), bars, OHLC)


def test_without_the_library_a_workbook_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbook({"a": pd.DataFrame({"Date": ["2024-01-02"], "Close": [1.1]})}, tmp_path / "a.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(SourceError, match="openpyxl, which reads those, is missing") as caught:
        read(feed_of(tmp_path, **DAILY))
    assert "pip install 'fx-assets[excel]'" in caught.value.remedy


FOREIGN = {
    "a.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Excel workbook", ".xlsx"),
    "a.h5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5", "Parquet"),
    "a.orc": (b"ORC\0\1\2" + b"\0" * 100, "ORC", "Parquet"),
    "a.db": (b"SQLite format 3\0" + b"\1" * 100, "SQLite", "CSV"),
    "a.pdf": (b"%PDF-1.7\n%\xe2\xe3", "a PDF", "CSV"),
    "a.rar": (b"Rar!\x1a\x07\1\0", "RAR", ".zip"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c\0\4", "7z", ".zip"),
    "a.csv": (b"<!DOCTYPE html><html><body>Log in</body></html>", "a page of HTML", "Download"),
    "a.xml": (b"<?xml version='1.0'?><rates/>", "HTML or XML", "CSV"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_read_says_what_it_is(tmp_path: Path, name: str) -> None:
    content, what, remedy = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=what) as caught:
        read(feed_of(tmp_path, **HOURLY))
    assert name in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_packed_files_are_read_and_damaged_ones_named(tmp_path: Path, ending: str) -> None:
    import pyarrow as pa

    bars = hours()
    text = world.lines(
        [str(t) for t in epochs(bars)],
        *world.prices(bars),
        world.whole(bars["volume"]),
        header=HEAD,
    )
    buffer = io.BytesIO()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(text.encode())
        stream.flush()
        zstd = pa.compress(text.encode(), "zstd", asbytes=True)
    packed = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": lambda _: zstd}
    content = packed[ending](text.encode())
    (tmp_path / f"a.csv.{ending}").write_bytes(content)
    same(read(feed_of(tmp_path, **HOURLY)), bars)
    (tmp_path / f"a.csv.{ending}").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="cannot be unpacked") as caught:
        read(feed_of(tmp_path, **HOURLY))
    assert "damaged" in caught.value.remedy


def csv_of(bars: Bars, header: str, *before: str) -> str:
    rows = world.lines(
        [str(t) for t in epochs(bars)],
        *world.prices(bars),
        world.whole(bars["volume"]),
        header=header,
    )
    return "\n".join([*before, rows])


@pytest.mark.parametrize("count", [1, 21, 300])
@pytest.mark.parametrize(
    "remark",
    [
        "https://www.CryptoDataDownload.com",
        "Binance: BTCUSDT, 1h",
        "Terms of use: see www.example.com, section 3, and be kind",
        "2024-03-04, 12 rows",
        "# exported 04.03.2024 12:00",
        "Open, close and volume are of the exchange",
    ],
)
def test_lines_above_the_header_are_no_rows(tmp_path: Path, remark: str, count: int) -> None:
    bars = hours()
    (tmp_path / "a.csv").write_text(csv_of(bars, HEAD, *[remark] * count))
    batch = read(feed_of(tmp_path, **HOURLY))
    same(batch, bars)
    assert batch.rejected.empty


HEADERS = [
    "timestamp,1. open,2. high,3. low,4. close,5. volume",
    "Unix,BTCUSD_open,BTCUSD_high,BTCUSD_low,BTCUSD_close,BTCUSD_volume",
    "time,A:BTCUSDT open,A:BTCUSDT high,A:BTCUSDT low,A:BTCUSDT close,Volume",
    "Time,BidOpen,BidHigh,BidLow,BidClose,Volume",
    "Time,open_bid,high_bid,low_bid,close_bid,volume_bid",
    "Time,Open (USD),High (USD),Low (USD),Close (USD),Volume (BTC)",
    "Time (UTC),Open,High,Low,Close,Volume",
    "<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
    "time,mid.o,mid.h,mid.l,mid.c,volume",
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_prefix_of_the_vendor_does_not_hide_a_header(tmp_path: Path, header: str) -> None:
    bars = hours()
    (tmp_path / "a.csv").write_text(csv_of(bars, header))
    same(read(feed_of(tmp_path, **HOURLY)), bars)


def test_of_bid_and_ask_one_is_asked_for(tmp_path: Path) -> None:
    bars = hours()
    asks = bars.assign(**{n: bars[n] + 0.001 for n in OHLC})
    header = "Time,BidOpen,BidHigh,BidLow,BidClose,AskOpen,AskHigh,AskLow,AskClose"
    at = [str(t) for t in epochs(bars)]
    text = world.lines(at, *world.prices(bars), *world.prices(asks), header=header)
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(FilesUnclear, match="BidClose, AskClose") as caught:
        read(feed_of(tmp_path, **HOURLY))
    assert caught.value.questions[0].setting == "source.columns.close"
    same(read(feed_of(tmp_path, **HOURLY, columns={"close": "BidClose"})), bars, OHLC)
    read_asks = read(feed_of(tmp_path, **HOURLY, columns={"close": "AskClose"}))
    np.testing.assert_allclose(read_asks.bars["open"], asks["open"])


INSTANTS: dict[str, tuple[str, Callable[[pd.Timestamp], list[str]], dict[str, Any]]] = {
    "an epoch beside a text": (
        "unix,date",
        lambda t: [str(int(t.timestamp())), f"{t:%Y-%m-%d %H:%M:%S}"],
        {},
    ),
    "an epoch called timestamp beside a local text called time": (
        "timestamp,time",
        lambda t: [str(int(t.timestamp())), f"{t + pd.Timedelta(hours=3):%Y-%m-%d %H:%M:%S}"],
        {},
    ),
    "a text called timestamp beside an epoch called time": (
        "timestamp,time",
        lambda t: [f"{t + pd.Timedelta(hours=3):%Y-%m-%d %H:%M:%S}", str(int(t.timestamp()))],
        {},
    ),
    "a day called timestamp and a clock called time": (
        "timestamp,time",
        lambda t: [f"{t:%Y.%m.%d}", f"{t:%H:%M}"],
        {"timezone": "UTC"},
    ),
    "a day and a whole instant": (
        "Date,Time",
        lambda t: [f"{t:%Y-%m-%d}", f"{t:%Y-%m-%d %H:%M:%S}"],
        {"timezone": "UTC"},
    ),
    "midnights and clocks": (
        "Date,Time",
        lambda t: [f"{t:%Y-%m-%d} 00:00:00", f"{t:%H:%M:%S}"],
        {"timezone": "UTC"},
    ),
    "a local time beside one of UTC": (
        "Local time,UTC",
        lambda t: [f"{t + pd.Timedelta(hours=3):%Y-%m-%d %H:%M}", f"{t:%Y-%m-%d %H:%M}"],
        {},
    ),
    "an offset beside a text without": (
        "date,timestamp",
        lambda t: [f"{t:%Y-%m-%d %H:%M}", f"{t + pd.Timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00"],
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", INSTANTS)
def test_of_two_columns_of_time_the_one_that_states_more_is_read(tmp_path: Path, what: str) -> None:
    names, form, given_settings = INSTANTS[what]
    bars = hours()
    at = bars["event_time"] - pd.Timedelta(hours=1)
    cells = list(zip(*(form(t) for t in at), strict=True))
    text = world.lines(
        *map(list, cells), *world.prices(bars), header=f"{names},open,high,low,close"
    )
    (tmp_path / "a.csv").write_text(text)
    same(read(feed_of(tmp_path, **HOURLY, **given_settings)), bars, OHLC)


MT5 = [
    "DATE\tTIME\tOPEN\tHIGH\tLOW\tCLOSE\tTICKVOL\tVOL\tSPREAD",
    "Date,Time,Open,High,Low,Close,TickVol,Vol,Spread",
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
    "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<TICKVOL>,<VOL>,<SPREAD>",
]


@pytest.mark.parametrize("header", MT5)
def test_metatrader5_is_read_with_and_without_its_brackets(tmp_path: Path, header: str) -> None:
    bars = hours()
    cut = "\t" if "\t" in header else ","
    local = world.local(bars["event_time"] - pd.Timedelta(hours=1), "Europe/Athens")
    text = world.lines(
        world.shown(local, "%Y.%m.%d"), world.shown(local, "%H:%M:%S"), *world.prices(bars),
        world.whole(bars["volume"]), ["0"] * len(bars), ["3"] * len(bars),
        header=header, delimiter=cut,
    )  # fmt: skip
    (tmp_path / "a.csv").write_text(text)
    batch = read(feed_of(tmp_path, calendar="24x7", timezone="Europe/Athens"))
    same(batch, bars)
    assert batch.provenance.provider == "files-metatrader5"


def long_table(parts: dict[str, Bars], name: str, first: bool) -> str:
    rows = []
    for symbol, bars in parts.items():
        texts = day_texts(bars)
        cells = zip(texts, *world.prices(bars), strict=True)
        rows += [[symbol, *row] if first else [row[0], symbol, *row[1:]] for row in cells]
    rows.sort(key=lambda row: row[1] if first else row[0])
    names = [name, "date"] if first else ["date", name]
    return "\n".join([",".join([*names, *OHLC]), *map(",".join, rows)])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", ["symbol", "Currency", "isin_like"])
@pytest.mark.parametrize(
    "keys", [("BTC/USD", "ETH/USD", "SOL/USD"), ("BTCUSD=X", "ETHUSD=X", "XRPUSD=X")]
)
def test_of_a_long_table_the_feed_s_instrument_is_read(
    tmp_path: Path, first: bool, name: str, keys: tuple[str, ...]
) -> None:
    bars = days()
    parts = {k: bars.assign(close=bars["close"] + i, high=9.0) for i, k in enumerate(keys)}
    parts[keys[0]] = bars
    (tmp_path / "a.csv").write_text(long_table(parts, name, first))
    batch = read(feed_of(tmp_path, **DAILY))
    same(batch, bars, OHLC)
    assert f"{keys[0]} was read" in batch.provenance.notes


def test_where_no_instrument_of_a_long_table_is_the_feed_s_all_are_named(tmp_path: Path) -> None:
    bars = days()
    parts = {
        k: bars.assign(close=bars["close"] + i, high=9.0) for i, k in enumerate(("USD", "JPY"))
    }
    (tmp_path / "a.csv").write_text(long_table(parts, "currency", first=False))
    with pytest.raises(FilesUnclear, match="the prices of USD, JPY in one file") as caught:
        read(feed_of(tmp_path, **DAILY))
    (question,) = caught.value.questions
    for i, option in enumerate(question.options):
        symbol = option.settings["source.symbol"]
        batch = read(feed_of(tmp_path, **DAILY, symbol=symbol))
        np.testing.assert_allclose(batch.bars["close"], bars["close"] + i)
    with pytest.raises(SourceError, match="no 'CHF' in the column 'currency'; it has USD, JPY"):
        read(feed_of(tmp_path, **DAILY, symbol="CHF"))


def test_of_a_wide_table_the_column_of_the_instrument_is_read(tmp_path: Path) -> None:
    bars = days()
    closes = world.prices(bars, ["close"])[0]
    others = ["1.5"] * len(bars)
    text = world.lines(day_texts(bars), others, closes, header="Date,ETHUSD,BTC/USD")
    (tmp_path / "a.csv").write_text(text)
    same(read(feed_of(tmp_path, **DAILY)), bars, ["close"])
    text = world.lines(day_texts(bars), closes, header="observation_date,DEXUSEU")
    (tmp_path / "a.csv").write_text(text)
    same(read(feed_of(tmp_path, **DAILY)), bars, ["close"])
    (tmp_path / "a.csv").write_text(
        world.lines(day_texts(bars), others, closes, header="Date,USD,JPY")
    )
    with pytest.raises(FilesUnclear, match="no column for the close") as caught:
        read(feed_of(tmp_path, **DAILY))
    assert [dict(o.settings) for o in caught.value.questions[0].options] == [
        {"source.columns.close": "USD"},
        {"source.columns.close": "JPY"},
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("typed_cells", [True, False])
def test_epochs_of_a_declared_unit_are_read(tmp_path: Path, unit: str, typed_cells: bool) -> None:
    bars = bars_of(feed_of(Path(".")), date(1973, 1, 1), 40)
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    at = epochs(bars, factor)
    if typed_cells:
        bars[world.PRICES].assign(time=at).to_parquet(tmp_path / "a.parquet")
    else:
        (tmp_path / "a.csv").write_text(
            world.lines(
                [str(t) for t in at], *world.prices(bars), header="time,open,high,low,close"
            )
        )
    old = {**HOURLY, "start": date(1970, 1, 1), "date_format": unit}
    same(read(feed_of(tmp_path, **old)), bars, OHLC)


def test_the_day_numbers_of_spreadsheets_are_read(tmp_path: Path) -> None:
    bars = days()
    origin = pd.Timestamp("1899-12-30")
    numbers = [str((pd.Timestamp(day) - origin).days) for day in day_texts(bars)]
    text = world.lines(numbers, *world.prices(bars), header="Date,Open,High,Low,Close")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SourceError, match=r"date that can be read.*\n.*date_format: excel"):
        read(feed_of(tmp_path, **DAILY))
    same(read(feed_of(tmp_path, **DAILY, date_format="excel")), bars, OHLC)


def test_columns_without_a_header_are_offered_by_what_stands_in_them(tmp_path: Path) -> None:
    bars = hours()
    at = world.shown(bars["event_time"], "%Y-%m-%d %H:%M")
    (tmp_path / "a.csv").write_text(world.lines(at, *world.prices(bars), delimiter=";"))
    with pytest.raises(FilesUnclear) as caught:
        read(feed_of(tmp_path, calendar="24x7"))
    asked = [q.setting for q in caught.value.questions]
    assert asked == ["source.columns", "source.timezone", "source.stamp"]
    (option,) = caught.value.questions[0].options
    columns = option.settings["source.columns"]
    assert columns == {"time": "1", "open": "2", "high": "3", "low": "4", "close": "5"}
    told = {"calendar": "24x7", "timezone": "UTC", "stamp": "close", "columns": columns}
    same(read(feed_of(tmp_path, **told)), bars, OHLC)


def test_a_nul_byte_inside_a_number_is_no_number(tmp_path: Path) -> None:
    bars = hours()
    text = csv_of(bars, HEAD).split("\n")
    cells = text[5].split(",")
    cells[4] = cells[4][:3] + "\0" + cells[4][3:]
    text[5] = ",".join(cells)
    (tmp_path / "a.csv").write_bytes("\n".join(text).encode() + b"\0" * 4096 + b"\x1a")
    batch = read(feed_of(tmp_path, **HOURLY))
    assert batch.rejected["reason"].tolist() == [f"{tmp_path}/a.csv line 6: a price cannot be read"]
    same(batch, bars.drop(index=4).reset_index(drop=True))


def test_a_file_full_of_nul_bytes_is_to_be_exported_again(tmp_path: Path) -> None:
    text = csv_of(hours(), HEAD).replace(".", ".\0")
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SourceError, match="no number that can be read") as caught:
        read(feed_of(tmp_path, **HOURLY))
    assert "NUL bytes" in caught.value.remedy


@pytest.mark.parametrize("size", [131_073, 1_000_000])
def test_a_field_of_any_length_is_read(tmp_path: Path, size: int) -> None:
    bars = hours()
    lines = csv_of(bars, f"{HEAD},note").strip().split("\n")
    rows = [line + ',"' + "x" * (size if i == 1 else 1) + '"' for i, line in enumerate(lines[1:])]
    (tmp_path / "a.csv").write_text("\n".join([lines[0], *rows]))
    same(read(feed_of(tmp_path, **HOURLY)), bars)
    (tmp_path / "a.csv").write_text("\n".join(["x" * size, lines[0], *rows]))
    same(read(feed_of(tmp_path, **HOURLY)), bars)


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
)
def test_texts_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    bars = days()
    text = world.lines(day_texts(bars), *world.prices(bars), header="Date,Open,High,Low,Close")
    text = f"Währung: £ je Münze\n{text}"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    same(read(feed_of(tmp_path, **DAILY)), bars, OHLC)


@pytest.mark.parametrize("name", ["%41.csv", "a%20b.csv", "a b+c.csv", "ä%.csv", "a#1?.csv"])
def test_a_path_is_taken_as_it_is_written(tmp_path: Path, name: str) -> None:
    bars = hours()
    folder = tmp_path / "x%41y"
    folder.mkdir()
    (folder / name).write_text(csv_of(bars, HEAD))
    batch = read(feed_of(folder, path=name, **HOURLY))
    same(batch, bars)
    assert batch.provenance.url.endswith(name)


@given(
    st.binary(min_size=0, max_size=300),
    st.sampled_from(["a.csv", "a.parquet", "a.json", "a.xlsx", "a.feather"]),
    st.sampled_from(
        [
            b"",
            b"PAR1",
            b"ARROW1\0\0",
            b"PK\x03\x04",
            b"[[",
            b'{"a":',
            b"\x1f\x8b",
            b"BZh9",
            b"time,close\n",
        ]
    ),
)
@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_bytes_are_read_or_refused_with_a_remedy(
    tmp_path: Path, content: bytes, name: str, magic: bytes
) -> None:
    (tmp_path / name).write_bytes(magic + content)
    try:
        read(feed_of(tmp_path, path=name, **HOURLY, timezone="UTC", day_first=True))
    except SourceError as error:
        refused = error
    else:
        return
    assert refused.remedy
