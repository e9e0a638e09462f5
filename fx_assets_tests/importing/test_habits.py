"""Files as vendors, brokers and central banks write them become the right bars."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.cli import main
from fx_assets.importing.command import import_files
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import Bars, bars_of, feed_of, same
from fx_assets_tests.importing.test_import import home, options, put, read_back, scripted

__all__ = ["home"]
OHLC = ["open", "high", "low", "close"]
FX_HOURLY = feed_of(Path("."), frequency="1h", calendar="24x5")
FX_DAILY = feed_of(Path("."), frequency="1d", calendar="24x5")
COIN_HOURLY = feed_of(Path("."), frequency="1h", calendar="24x7")


def hours(count: int = 3000) -> Bars:
    return bars_of(FX_HOURLY, date(2023, 1, 2), count)


def days(count: int = 520) -> Bars:
    return bars_of(FX_DAILY, date(2023, 1, 2), count)


def shown_days(bars: Bars, form: str = "%Y-%m-%d") -> list[str]:
    return world.shown(world.bar_days(bars, FX_DAILY), form)


def daily_text(bars: Bars, header: str = "Date,Open,High,Low,Close") -> str:
    return world.lines(shown_days(bars), *world.prices(bars), header=header)


def imported(*flags: str, columns: list[str] = OHLC, bars: Bars, name: str) -> None:
    assert main(["import", "in", *flags, "--yes"]) == 0
    same(read_back(name)[1], bars, columns)


@pytest.fixture(autouse=True)
def _here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


@pytest.mark.parametrize(
    ("written", "said", "right"),
    [
        ("America/New_York+7", "Europe/Athens", "America/New_York+7"),
        ("Europe/Athens", "America/New_York+7", "Europe/Athens"),
    ],
)
def test_a_zone_that_is_wrong_in_the_weeks_between_two_changes_of_clocks_only_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], written: str, said: str, right: str
) -> None:
    bars = hours(8000)
    put(home, world.metatrader4(bars, FX_HOURLY, written))
    assert main(["import", "in", "--timezone", said, "--yes"]) == 1
    assert f"--timezone {right}   (all 8,000 bars fall on open hours)" in capsys.readouterr().err
    imported("--timezone", right, bars=bars, name="eurusd_1h")


@pytest.mark.parametrize(
    ("header", "form", "zone"),
    [
        ("UTC", "%d.%m.%Y %H:%M:%S.000 UTC", "UTC"),
        ("Time (UTC)", "%Y.%m.%d %H:%M:%S", "UTC"),
        ("Time (EET)", "%Y.%m.%d %H:%M:%S", "Europe/Athens"),
    ],
)
def test_each_header_of_dukascopy_says_the_zone(
    home: Path, header: str, form: str, zone: str
) -> None:
    bars = hours()
    when = world.shown(world.local(world.opens(bars, FX_HOURLY), zone), form)
    text = world.lines(when, *world.prices(bars), header=f"{header},Open,High,Low,Close")
    put(home, text, "EURUSD_1h.csv")
    imported(bars=bars, name="eurusd_1h")


@pytest.mark.parametrize(
    "header",
    [
        "Datum;Zuletzt;Eröffn.;Hoch;Tief;+/- %",
        "Date;Dernier;Ouv.; Plus Haut;Plus Bas;Variation %",
        "Fecha;Último;Apertura;Máximo;Mínimo;% var.",
    ],
)
def test_the_names_of_other_languages_are_those_of_columns(home: Path, header: str) -> None:
    bars = days()
    cells = [
        [text.replace(".", ",") for text in column]
        for column in world.prices(bars, ["close", "open", "high", "low"])
    ]
    change = ["0,10%"] * len(bars)
    when = shown_days(bars, "%d.%m.%Y")
    put(home, world.lines(when, *cells, change, header=header, delimiter=";"))
    imported(bars=bars, name="eurusd_1d")


@pytest.mark.parametrize("newest_first", [True, False])
def test_prices_without_names_are_told_in_whatever_order_they_stand(
    home: Path, capsys: pytest.CaptureFixture[str], newest_first: bool
) -> None:
    bars = bars_of(COIN_HOURLY, date(2023, 1, 2), 2000)
    seconds = (world.opens(bars, COIN_HOURLY).astype("datetime64[s]").astype("int64")).tolist()
    rows = [
        [at, r.low, r.high, r.open, r.close, r.volume]
        for at, r in zip(seconds, bars.itertuples(), strict=True)
    ]
    put(home, json.dumps(rows[::-1] if newest_first else rows), "BTC-USD.json")
    assert main(["import", "in", "--stamp", "open", "--yes"]) == 1
    said = capsys.readouterr().err
    answer = "--column time=1 --column open=4 --column high=3 --column low=2 --column close=5"
    assert answer in said
    imported(*answer.split(), "--stamp", "open", bars=bars, name="btcusd_1h")


def test_rates_of_several_currencies_are_no_bar(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = days()
    levels = [[f"{value * factor:.4f}" for value in bars["close"]] for factor in (1, 1.4, 0.8, 1.2)]
    header = "Date,USD,CAD,GBP,AUD"
    put(home, world.lines(shown_days(bars), *levels, header=header), "rates.csv")
    assert main(["import", "in", "--yes"]) == 1
    said = capsys.readouterr().err
    assert "--column close=GBP" in said
    assert "open=" not in said


def test_the_calendar_is_asked_with_the_column_and_not_after_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed = feed_of(Path("."), frequency="1d", calendar="target")
    bars = bars_of(feed, date(2021, 1, 4), 900)
    cells = [[f"{value * factor:.4f}" for value in bars["close"]] for factor in (1, 130)]
    text = world.lines([f"{t:%Y-%m-%d}" for t in bars["event_time"]], *cells, header="Date,USD,JPY")
    put(home, text, "eurofxref-hist.csv")
    assert main(["import", "in", "--yes"]) == 1
    said = capsys.readouterr().err
    for flag in ("--column close=USD", "--instrument EURUSD", "--calendar target"):
        assert flag in said


def test_zone_and_stamp_are_weighed_together_and_answered_at_once(home: Path) -> None:
    bars = hours()
    when = world.shown(bars["event_time"], "%Y%m%d %H%M%S")
    cells = [*world.prices(bars), world.whole(bars["volume"] + 1)]
    path = put(home, world.lines(when, *cells, delimiter=";"), "EURUSD.Last.txt")
    said: list[str] = []
    assert import_files(options(path), said.append, scripted(["1", "", ""])) == 0
    offered = [line.strip() for line in said if "--timezone" in line and "all 3,000" in line]
    assert "--timezone UTC --stamp close" in offered[0]
    assert not any("--format histdata" in line and "1)" in line for line in said)
    same(read_back("eurusd_1h")[1], bars, OHLC)


@pytest.mark.parametrize(
    ("cut", "left_out"), [(3, True), (4, True), (9, True), (0, False)], ids=str
)
def test_a_last_line_that_is_cut_off_is_left_out_and_said(
    home: Path, capsys: pytest.CaptureFixture[str], cut: int, left_out: bool
) -> None:
    bars = days()
    text = daily_text(bars).rstrip("\n")
    put(home, text[: len(text) - cut])
    imported(bars=bars.iloc[:-1] if left_out else bars, name="eurusd_1d")
    assert ("ends in the middle of the last line" in capsys.readouterr().out) == left_out


def test_rows_in_no_order_and_files_put_together_are_read(home: Path) -> None:
    bars = days()
    put(home, daily_text(bars.sample(frac=1, random_state=1)))
    imported(bars=bars, name="eurusd_1d")
    put(home, daily_text(bars.iloc[:300]) + daily_text(bars.iloc[300:]))
    imported(bars=bars, name="eurusd_1d")


def test_reports_beside_histdatas_files_are_left_out_and_its_workbooks_are_known(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import openpyxl

    bars = hours(1000)
    report = (
        "HistData.com (c) 2023\nFile: DAT_ASCII_EURUSD_M1_2023.csv Status Report\n\nTimezone: EST\n"
    )
    put(home, world.histdata(bars, FX_HOURLY), "DAT_ASCII_EURUSD_M1_2023.csv")
    put(home, report, "DAT_ASCII_EURUSD_M1_2023.txt")
    imported(bars=bars, name="eurusd_1h")
    assert "files have no rows: " in capsys.readouterr().out
    for file in (home / "in").iterdir():
        file.unlink()
    book = openpyxl.Workbook()
    for at, row in zip(world.opens(bars, FX_HOURLY), bars.itertuples(), strict=True):
        prices = (row.open, row.high, row.low, row.close)
        book.active.append([(at - pd.Timedelta(hours=5)).to_pydatetime(), *prices, 0])
    book.save(home / "in" / "DAT_XLSX_EURUSD_M1_2023.xlsx")
    imported("--replace", bars=bars, name="eurusd_1h")


def alpha_vantage(bars: Bars) -> dict[str, Any]:
    meta = {"2. From Symbol": "EUR", "3. To Symbol": "USD", "7. Time Zone": "US/Eastern"}
    when = world.shown(world.local(world.opens(bars, FX_HOURLY), "US/Eastern"), "%Y-%m-%d %H:%M:%S")
    names = ["1. open", "2. high", "3. low", "4. close"]
    rows = zip(when, *world.prices(bars), strict=True)
    table = {at: dict(zip(names, cells, strict=True)) for at, *cells in rows}
    return {"Meta Data": meta, "Time Series FX (60min)": table}


def test_what_a_document_says_of_its_instrument_and_zone_is_believed(home: Path) -> None:
    bars = bars_of(FX_HOURLY, date(2023, 4, 3), 1500)
    put(home, json.dumps(alpha_vantage(bars), indent=1), "intraday.json")
    imported("--stamp", "open", bars=bars, name="eurusd_1h")


def test_the_symbol_of_a_document_is_the_instrument(home: Path) -> None:
    values = [
        {"datetime": day, "close": close}
        for day, close in zip(shown_days(days()), world.prices(days(), ["close"])[0], strict=True)
    ]
    put(home, json.dumps({"meta": {"symbol": "EUR/USD"}, "values": values}), "td.json")
    imported(bars=days(), name="eurusd_1d", columns=["close"])


def test_a_long_table_sorted_by_currency_asks_which(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = days(2100)
    closes = world.prices(bars, ["close"])[0]
    rows = [
        f"B;{name};NOK;{day};{close}"
        for name in ("USD", "GBP")
        for day, close in zip(shown_days(bars), closes, strict=True)
    ]
    put(home, "\n".join(["FREQ;BASE_CUR;QUOTE_CUR;TIME_PERIOD;OBS_VALUE", *rows]) + "\n", "EXR.csv")
    assert main(["import", "in", "--yes"]) == 1
    assert "--symbol GBP" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "zone"), [("%d %b %y", ""), ("%d-%b-%y", ""), ("%Y-%m-%d %I-%p", "UTC")]
)
def test_dates_of_two_digit_years_and_hours_by_halves_of_the_day_are_read(
    home: Path, form: str, zone: str
) -> None:
    feed, bars = (
        (COIN_HOURLY, bars_of(COIN_HOURLY, date(2023, 1, 2), 600))
        if zone
        else (
            FX_DAILY,
            days(),
        )
    )
    when = world.shown(world.opens(bars, feed), form) if zone else shown_days(bars, form)
    name = "BTCUSD" if zone else "GBPUSD"
    put(
        home,
        world.lines(when, *world.prices(bars), header="Date,Open,High,Low,Close"),
        f"{name}.csv",
    )
    flags = ["--timezone", "UTC", "--stamp", "open"] if zone else []
    imported(*flags, bars=bars, name=f"{name.lower()}_{feed.frequency}")


def test_columns_that_are_not_read_are_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = days()
    header = "Date,Open,High,Low,Close,Swap,Remark"
    extra = ["7"] * len(bars)
    put(home, world.lines(shown_days(bars), *world.prices(bars), extra, extra, header=header))
    imported(bars=bars, name="eurusd_1d")
    assert "not read    Swap, Remark" in capsys.readouterr().out
