"""Export files of each documented vendor, daily and hourly, clean and as people have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import Bars, bars_of, feed_of

ATHENS = ["--timezone", "Europe/Athens"]
NEW_YORK = ["--timezone", "America/New_York+7"]


@dataclass(frozen=True)
class Export:
    """How a vendor writes bars, what the feed is, and the flags that say what the file does not."""

    name: str
    write: Callable[[Bars, FeedSpec], str]
    feed: dict[str, Any]
    flags: list[str] = field(default_factory=list)
    header: int = 0
    """Lines above the rows."""
    columns: tuple[str, ...] = ("open", "high", "low", "close", "volume")


def _generic(bars: Bars, feed: FeedSpec) -> str:
    when = [f"{t.day:02d}.{t.month:02d}.{t.year} {t:%H:%M}" for t in world.opens(bars, feed)]
    cells = [[text.replace(".", ",") for text in column] for column in world.prices(bars)]
    header = "Zeit;Open;High;Low;Schlusskurs"
    return world.lines(when, *cells, header=header, delimiter=";")


def fred_file(bars: Bars, feed: FeedSpec, blank: str = ".") -> str:
    """FRED writes a row for every weekday, and a dot on holidays of the Federal Reserve."""
    closes = dict(zip(world.bar_days(bars, feed), bars["close"], strict=True))
    days = pd.date_range(min(closes), max(closes), freq="B")
    texts = [f"{closes[day]:.5f}" if day in closes else blank for day in days]
    return world.lines([f"{day:%Y-%m-%d}" for day in days], texts, header="DATE,DEXUSEU")


H, D = {"frequency": "1h", "calendar": "24x5"}, {"frequency": "1d", "calendar": "24x5"}
COIN = {"instrument": "BTCUSDT", "calendar": "24x7"}
MIDNIGHT = {"day_close": "00:00 UTC"}
EXPORTS: tuple[Export, ...] = (
    Export(
        "mt4_1h",
        lambda b, f: world.metatrader4(b, f, "Europe/Athens"),
        {**H, "timezone": "Europe/Athens"},
        ATHENS,
    ),
    Export(
        "mt4_1d",
        lambda b, f: world.metatrader4(b, f, "America/New_York+7"),
        {**D, "timezone": "America/New_York+7"},
        NEW_YORK,
    ),
    Export(
        "mt5_1h",
        lambda b, f: world.metatrader5(b, f, "America/New_York+7"),
        {**H, "timezone": "America/New_York+7"},
        [*NEW_YORK, "--volume", "ticks"],
        1,
    ),
    Export(
        "mt5_1d",
        lambda b, f: world.metatrader5(b, f, "Europe/Athens"),
        {**D, "timezone": "Europe/Athens", "day_close": "00:00 Europe/Athens"},
        [*ATHENS, "--day-close", "00:00 Europe/Athens"],
        1,
    ),
    Export("histdata_1h", world.histdata, H, ["--format", "histdata"]),
    Export("dukascopy_1h", world.dukascopy, H, [], 1),
    Export("dukascopy_1d", world.dukascopy, {**D, **MIDNIGHT}, [], 1),
    Export("binance_1h", lambda b, f: world.binance(b, f, 1000), {**COIN, "frequency": "1h"}),
    Export("binance_1d", lambda b, f: world.binance(b, f, 1), {**COIN, "frequency": "1d"}),
    Export(
        "coingecko_1d",
        lambda b, _: world.coingecko(b),
        {**COIN, "frequency": "1d"},
        [],
        1,
        ("close", "volume"),
    ),
    Export(
        "coingecko_1h",
        lambda b, _: world.coingecko(b),
        {**COIN, "frequency": "1h"},
        ["--frequency", "1h"],
        1,
        ("close", "volume"),
    ),
    Export("yahoo_1d", world.yahoo, D, [], 1),
    Export("yfinance_1d", world.yfinance, D, [], 3),
    Export(
        "own_1h",
        _generic,
        H,
        ["--column", "close=Schlusskurs", "--timezone", "UTC", "--stamp", "open", "--decimal", ","],
        1,
        ("open", "high", "low", "close"),
    ),
    Export(
        "fred_1d",
        fred_file,
        {**D, "calendar": "US", "day_close": "12:00 America/New_York"},
        [],
        1,
        ("close",),
    ),
)


def made(export: Export, count: int, first: date = date(2021, 1, 4)) -> tuple[str, Bars, FeedSpec]:
    """The text of a file, its bars, and the feed that reads it."""
    feed = feed_of(Path("."), **export.feed)
    bars = bars_of(feed, first, count, seed=len(export.name))
    return export.write(bars, feed), bars, feed


def soiled(export: Export, text: str, bars: Bars) -> tuple[str, Bars]:
    """Rows missing, repeated, out of order and with blank lines between, and the bars that stay."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.strip().split(end)
    head, rows = lines[: export.header], lines[export.header :]
    if len(rows) != len(bars):  # rows without a price
        return end.join([*head, *rows, "", rows[-1], ""]), bars
    gone = {len(rows) // 3, len(rows) // 2}
    kept = [row for i, row in enumerate(rows) if i not in gone]
    dirty = [*kept[:40], "", *kept[40:], *kept[-3:], kept[5], ""]
    return end.join([*head, *dirty, ""]), bars.drop(index=sorted(gone)).reset_index(drop=True)


def us_days(first: date, last: date) -> list[date]:
    """Days on which FRED has a rate."""
    return calendar("US|1d|12:00 America/New_York|0").open_days(first, last)
