# ruff: noqa: E501
"""Each vendor's files are taken for what they are, and each question has an answer that works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.sources.files.inspect import inspect_files, with_settings
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import Bars, bars_of, feed_of, read, same

OHLC = ["open", "high", "low", "close"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = date(2024, 3, 4)
MT5 = "{0}DATE{1}\t{0}TIME{1}\t{0}OPEN{1}\t{0}HIGH{1}\t{0}LOW{1}\t{0}CLOSE{1}\t{0}TICKVOL{1}"


def hourly(shift: timedelta = -HOUR) -> tuple[Bars, pd.Series]:
    bars = bars_of(feed_of(Path("."), "1h", "24x5", instrument="EURUSD"), FIRST, 24 * 30)
    return bars, bars["event_time"] + shift


def daily() -> tuple[Bars, list[str]]:
    bars = bars_of(feed_of(Path("."), "1d", "24x5", instrument="EURUSD"), FIRST, 40)
    return bars, world.shown(world.bar_days(bars, feed_of(Path("."), "1d", "24x5")), "%Y-%m-%d")


def cells(bars: Bars) -> list[list[str]]:
    return [*world.prices(bars), world.whole(bars["volume"])]


def rows(at: list[str], bars: Bars, header: str = "", cut: str = ",", **more: Any) -> str:
    extra = [[str(value)] * len(bars) for value in more.values()]
    return world.lines(at, *cells(bars), *extra, header=header, delimiter=cut)


@dataclass(frozen=True)
class Kind:
    """A program's file: its text, the format that it is, and the answers to what is asked."""

    text: str
    format: str
    answers: dict[str, Any] = field(default_factory=dict)
    name: str = "EURUSD.csv"
    columns: list[str] = field(default_factory=lambda: world.PRICES)


def local(at: pd.Series, zone: str, form: str) -> list[str]:
    return world.shown(world.local(at, zone), form)


def seconds(at: pd.Series, unit: int = 1) -> list[str]:
    return [str(int(t.timestamp()) * unit) for t in at]


def kinds() -> dict[str, Kind]:
    bars, at = hourly()
    _, ends = hourly(timedelta())
    days, texts = daily()
    feed = feed_of(Path("."), "1h", "24x5", instrument="EURUSD")
    ny7, athens = "America/New_York+7", "Europe/Athens"
    zone = "source.timezone"
    quiet = bars.assign(volume=0.0)
    split = [local(at, ny7, "%Y.%m.%d"), local(at, ny7, "%H:%M:%S")]
    brackets = MT5.format("<", ">")
    closes = [str(int(t.timestamp()) * 1000 - 1) for t in bars["event_time"]]
    return {
        "MetaTrader 4": Kind(world.metatrader4(bars, feed, athens), "metatrader4", {zone: athens}),
        "MetaTrader 5": Kind(world.metatrader5(bars, feed, ny7), "metatrader5", {zone: ny7}),
        "MetaTrader 5 without brackets": Kind(
            world.lines(*split, *cells(bars), header=MT5.format("", ""), delimiter="\t"),
            "generic", {zone: ny7, "source.stamp": "open"},
        ),
        "MetaTrader 5 without brackets, all columns": Kind(
            world.lines(*split, *cells(bars), ["0"] * len(bars), ["2"] * len(bars),
                        header=MT5.format("", "") + "\tVOL\tSPREAD", delimiter="\t"),
            "metatrader5", {zone: ny7},
        ),
        "MetaTrader 5 with commas": Kind(
            world.lines(*split, *cells(bars), header=brackets.replace("\t", ",")),
            "metatrader5", {zone: ny7},
        ),
        "MetaTrader's API": Kind(
            rows(seconds(at), bars, "time,open,high,low,close,tick_volume,spread,real_volume", spread=2, real=0),
            "generic", {"source.stamp": "open"},
        ),
        "HistData": Kind(world.histdata(quiet, feed), "histdata", columns=OHLC),
        "HistData by name": Kind(world.histdata(bars, feed), "histdata", name="DAT_ASCII_EURUSD_M1_2024.csv"),
        "HistData for MetaTrader": Kind(
            world.metatrader4(bars, feed, "Etc/GMT+5"), "histdata", name="DAT_MT_EURUSD_M1_2024.csv",
        ),
        "NinjaTrader": Kind(
            rows(local(ends, "Europe/Berlin", "%Y%m%d %H%M%S"), bars, cut=";"),
            "generic", {zone: "Europe/Berlin", "source.stamp": "close"}, "EURUSD.Last.txt",
        ),
        "Dukascopy": Kind(world.dukascopy(bars, feed), "dukascopy"),
        "Dukascopy, local": Kind(world.dukascopy(bars, feed, "Europe/Zurich"), "dukascopy"),
        "rows like Dukascopy's without offset": Kind(
            rows(world.shown(at, "%d.%m.%Y %H:%M:%S.000"), bars),
            "dukascopy", {"source.format": "dukascopy"},
        ),
        "a local time that is not Dukascopy's": Kind(
            rows(local(at, "Europe/Berlin", "%Y-%m-%d %H:%M"), bars, "Local time,Open,High,Low,Close,Volume"),
            "generic", {zone: "Europe/Berlin", "source.stamp": "open"},
        ),
        "Binance": Kind(world.binance(bars, feed, 1000), "binance"),
        "Binance with a header": Kind(
            world.lines(seconds(at, 1000), *cells(bars), closes, *[["1"] * len(bars)] * 5,
                        header="open_time,open,high,low,close,volume,close_time,a,b,c,d,ignore"),
            "binance",
        ),
        "Kraken": Kind(
            rows(seconds(at), bars, trades=3), "generic",
            {"source.columns": {"time": "1", "open": "2", "high": "3", "low": "4", "close": "5",
                                "volume": "6"}, "source.stamp": "open"},
        ),
        "TradingView": Kind(
            rows(seconds(at), bars, "time,open,high,low,close,Volume"), "generic", {"source.stamp": "open"},
        ),
        "CryptoDataDownload": Kind(
            "https://www.CryptoDataDownload.com\n" + world.lines(
                seconds(at), world.shown(at, "%Y-%m-%d %H:%M:%S"), ["EUR/USD"] * len(bars), *cells(bars),
                ["5"] * len(bars),
                header="unix,date,symbol,open,high,low,close,Volume EUR,Volume USD"),
            "generic", {"source.stamp": "open"},
        ),
        "FXCM": Kind(
            world.lines(world.shown(at, "%m/%d/%Y %H:%M:%S"), *world.prices(bars), *world.prices(bars),
                        header="DateTime,BidOpen,BidHigh,BidLow,BidClose,AskOpen,AskHigh,AskLow,AskClose"),
            "generic",
            {"source.columns.close": "BidClose", zone: "UTC", "source.stamp": "open"}, columns=OHLC,
        ),
        "Finam": Kind(
            world.lines(local(at, "Europe/Moscow", "%Y%m%d"), local(at, "Europe/Moscow", "%H%M%S"), *cells(bars),
                        header="<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>", delimiter=";"),
            "generic", {zone: "Europe/Moscow", "source.stamp": "open"},
        ),
        "Tickstory": Kind(
            world.lines(world.shown(at, "%Y%m%d"), world.shown(at, "%H:%M:%S"), *cells(bars),
                        header="Date,Timestamp,Open,High,Low,Close,Volume"),
            "generic", {zone: "UTC", "source.stamp": "open"},
        ),
        "Polygon": Kind(
            world.lines(["EURUSD"] * len(bars), ["987654321"] * len(bars), *(cells(bars)[i] for i in (0, 3, 1, 2)),
                        seconds(at, 10**9), ["4"] * len(bars),
                        header="ticker,volume,open,close,high,low,window_start,transactions"),
            "generic", {"source.stamp": "open"}, columns=OHLC,
        ),
        "Yahoo": Kind(
            world.lines(texts, *world.prices(days), world.prices(days)[3], world.whole(days["volume"]),
                        header="Date,Open,High,Low,Close,Adj Close,Volume"),
            "yahoo",
        ),
        "yfinance": Kind(world.yfinance(days, feed_of(Path("."), "1d", "24x5")), "yahoo"),
        "CoinGecko": Kind(
            world.coingecko(days.assign(event_time=days["event_time"])), "coingecko", columns=["close", "volume"],
        ),
        "Investing.com": Kind(
            "\n".join(['"Date","Price","Open","High","Low","Vol.","Change %"', *[
                f'"{pd.Timestamp(t):%m/%d/%Y}","{c}","{o}","{h}","{low}","","0.1%"'
                for t, o, h, low, c in zip(texts, *world.prices(days), strict=True)][::-1]]),
            "generic", columns=OHLC,
        ),
        "Stooq": Kind(
            world.lines(["EURUSD"] * len(days), ["D"] * len(days), [t.replace("-", "") for t in texts],
                        ["000000"] * len(days), *cells(days), ["0"] * len(days),
                        header="<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"),
            "generic",
        ),
        "Alpha Vantage": Kind(
            world.lines(texts[::-1], *(c[::-1] for c in world.prices(days)), header="timestamp,open,high,low,close"),
            "generic", columns=OHLC,
        ),
        "FRED": Kind(
            world.lines(texts, world.prices(days, ["close"])[0], header="observation_date,DEXUSEU"),
            "generic", columns=["close"],
        ),
    }  # fmt: skip


KINDS = kinds()


@pytest.mark.parametrize("encoding", ["utf-8", pytest.param("utf-16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", KINDS)
def test_a_file_is_taken_for_what_it_is_asked_about_and_read(
    tmp_path: Path, what: str, encoding: str
) -> None:
    kind = KINDS[what]
    bars = hourly()[0] if len(kind.text) > 20_000 else daily()[0]
    (tmp_path / kind.name).write_bytes(kind.text.encode(encoding))
    attributes = {"source": {"path": kind.name}, "calendar": "24x5"}
    seen = inspect_files(attributes, tmp_path)
    assert [file.format for file in seen.files] == [kind.format]
    assert seen.problems == ()
    offered = {question.setting: question for question in seen.questions}
    answered = seen.attributes
    for setting, value in kind.answers.items():
        question = offered.get(setting) or offered["source.timezone"]
        options = [dict(option.settings) for option in question.options]
        assert setting == "source.timezone" or {setting: value} in options
        answered = with_settings(answered, {setting: value})
    if kind.answers:
        assert len(offered) == len(kind.answers)
    known = inspect_files(answered, tmp_path)
    assert (known.questions, known.problems) == ((), ())
    assert known.bars
    absolute = with_settings(known.attributes, {"source.path": str(tmp_path / kind.name)})
    batch = read(FeedSpec.model_validate({"name": "f", **absolute}))
    assert batch.rejected.empty
    same(batch, bars, kind.columns)


NOT_THEIRS: dict[str, Callable[[], str]] = {
    "metatrader5": lambda: KINDS["Finam"].text,
    "dukascopy": lambda: KINDS["a local time that is not Dukascopy's"].text,
    "histdata": lambda: KINDS["NinjaTrader"].text,
    "yahoo": lambda: "Price,Close,Date\n1.1,1.2,2024-03-04\n1.1,1.2,2024-03-05\n",
    "binance": lambda: KINDS["Kraken"].text,
}


@pytest.mark.parametrize("name", NOT_THEIRS)
def test_a_file_that_only_looks_like_a_vendor_s_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(NOT_THEIRS[name]())
    seen = inspect_files({"source": {"path": "a.csv"}}, tmp_path)
    assert name not in [file.format for file in seen.files]
