"""What files do not tell is asked for, with the file, the line, and what stands there."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fx_assets.errors import SourceError
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import bars_of, feed_of, read

FX: dict[str, Any] = {"calendar": "24x5", "instrument": "EURUSD"}
DAILY: dict[str, Any] = {**FX, "frequency": "1d"}
MT4 = "2024.01.03,10:00,1.1,1.2,1.0,1.15,10\n2024.01.03,11:00,1.1,1.2,1.0,1.15,10\n"
OHLC = "Open,High,Low,Close"
ROW = "1.1,1.2,1.0,1.15"


def asked(folder: Path, text: str | bytes, name: str = "a.csv", **given: Any) -> SourceError:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SourceError) as caught:
        read(feed_of(folder, **{**FX, **given}))
    assert caught.value.remedy
    return caught.value


CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "the zone of a MetaTrader server": (
        MT4,
        {},
        "'2024.01.03 10:00'",
        "source.timezone. The time zone of the broker's server",
    ),
    "the zone of MetaTrader's daily bars": (
        f"<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\n2024.01.03\t{ROW.replace(',', chr(9))}\n",
        {"frequency": "1d"},
        "does not say of which time zone",
        "America/New_York+7",
    ),
    "the zone of local times": (
        f"Date,Time,{OHLC}\n2024-01-03,10:00,{ROW}\n",
        {"stamp": "open"},
        "a.csv has instants such as '2024-01-03 10:00'",
        "source.timezone",
    ),
    "whether an instant is an open or a close": (
        f"Time,{OHLC}\n2024-01-03 10:00,{ROW}\n",
        {"timezone": "UTC"},
        "can be the open or the close of a bar of 1h",
        "source.stamp: open or close",
    ),
    "whether the day comes first": (
        f"Date,{OHLC}\n03/04/2024,{ROW}\n04/04/2024,{ROW}\n",
        {"frequency": "1d"},
        "03/04/2024 ({folder}/a.csv line 2) can be 3 Apr 2024 or 4 Mar 2024",
        "source.day_first",
    ),
    "which of two orders of day and month holds": (
        f"Date,{OHLC}\n03/14/2024,{ROW}\n15/03/2024,{ROW}\n",
        {"frequency": "1d"},
        "15/03/2024 ({folder}/a.csv line 3) begins with the day, and 03/14/2024",
        "feed of its own",
    ),
    "whether a comma separates decimals": (
        f"Date;{OHLC.replace(',', ';')}\n2024-01-03;1,101;1,102;1,100;1,101\n",
        {"frequency": "1d"},
        "1,101 in the column 'Open' can be 1.101 or 1101",
        "source.decimal",
    ),
    "by how much prices are multiplied": (
        f"Date,{OHLC}\n2024-01-03,110000,120000,100000,115000\n",
        {"frequency": "1d"},
        "EURUSD cannot cost that",
        "source.price_scale",
    ),
    "which volume is meant": (
        f"Date,{OHLC},Volume BTC,Volume USD\n2024-01-03,{ROW},1,2\n",
        {"frequency": "1d"},
        "several columns that can be the volume",
        "source.columns: {volume:",
    ),
    "where the close is": (
        "Date,Bid,Ask,Open\n2024-01-03,1,2,3\n",
        {"frequency": "1d"},
        "no column for the close; it has 'Date', 'Bid', 'Ask', 'Open'",
        "source.columns",
    ),
    "what the columns of a file without header are": (
        f"2024-01-03 10:00;{ROW.replace(',', ';')}\n",
        {"timezone": "UTC"},
        "no column for the time and the close",
        'called "1", "2"',
    ),
    "how to read dates of two digits": (
        f"Date,{OHLC}\n03/14/24,{ROW}\n",
        {"frequency": "1d"},
        "1 of 1 rows have no date that can be read; {folder}/a.csv line 2 has '03/14/24'",
        "source.date_format",
    ),
    "which instrument is meant": (
        f"Date,Symbol,{OHLC}\n2024-01-03,EURCHF,{ROW}\n2024-01-03,GBPUSD,{ROW}\n",
        {"frequency": "1d"},
        "the prices of EURCHF, GBPUSD in one file",
        "source.symbol: EURCHF",
    ),
    "which ticker is meant": (
        "Price,Close,Close,Open,Open\nTicker,A,B,A,B\nDate,,,,\n2024-01-03,1,2,3,4\n",
        {"frequency": "1d"},
        "has the prices of A, B",
        "source.symbol: A",
    ),
    "whether the frequency is right": (
        "".join(f"2024.01.03,10:{m:02d},{ROW},1\n" for m in range(10)),
        {"timezone": "UTC"},
        "mostly 1 minutes apart, and the feed feed has bars of 1h",
        "frequency",
    ),
    "daily files in an hourly feed": (
        f"Date,{OHLC}\n2024-01-03,{ROW}\n2024-01-04,{ROW}\n",
        {},
        "a date without a time",
        "frequency: 1d",
    ),
    "when daily bars close": (
        f"Gmt time,{OHLC},Volume\n03.01.2024 00:00:00.000,{ROW},1\n"
        f"04.01.2024 00:00:00.000,{ROW},1\n",
        {"frequency": "1d"},
        "closes at 2024-01-04 00:00 UTC, and daily bars of the feed feed close at 22:00 UTC",
        "day_close",
    ),
    "bars of four hours on another grid": (
        f"2024.01.03,00:00,{ROW},1\n2024.01.03,04:00,{ROW},1\n",
        {"frequency": "4h", "timezone": "Europe/Athens"},
        "on a grid that starts at midnight UTC",
        "files of 1h",
    ),
    "what a text without prices is": (
        "hello\nworld\n",
        {},
        "neither a header nor a row of prices in its first 2 lines; line 1 is 'hello'",
        "source.columns",
    ),
    "a file of another format than declared": (
        MT4,
        {"format": "binance"},
        "is not a binance file: its first line is '2024.01.03,10:00",
        "source.format: auto",
    ),
    "a column that does not exist": (
        f"Date,{OHLC}\n2024-01-03,{ROW}\n",
        {"frequency": "1d", "columns": {"close": "Last"}},
        "has no column 'Last'; it has 'Date', 'Open'",
        "source.columns.close",
    ),
    "a date format that is none": (
        f"Date,{OHLC}\n2024-01-03,{ROW}\n",
        {"frequency": "1d", "date_format": "%Q"},
        "source.date_format '%Q' cannot be used",
        "%d/%m/%Y",
    ),
    "an empty file": ("", {}, "None of the 1 files", "Export them again"),
    "a header without rows": (f"Date,{OHLC}\n", {}, "None of the 1 files", "Export them again"),
}


NOT_BY_A_SETTING = {
    "which of two orders of day and month holds",
    "bars of four hours on another grid",
    "what a text without prices is",
    "an empty file",
    "a header without rows",
}
"""What only another file, or another feed, mends."""
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "the zone of a MetaTrader server": ({"timezone": "Europe/Athens"}, "2024-01-03 09:00"),
    "the zone of MetaTrader's daily bars": (
        {"timezone": "America/New_York+7"},
        "2024-01-03 22:00",
    ),
    "the zone of local times": ({"timezone": "Asia/Tokyo"}, "2024-01-03 02:00"),
    "whether an instant is an open or a close": ({"stamp": "close"}, "2024-01-03 10:00"),
    "whether the day comes first": ({"day_first": False}, "2024-03-04 22:00"),
    "whether a comma separates decimals": ({"decimal": ","}, "2024-01-03 22:00"),
    "by how much prices are multiplied": ({"price_scale": 100_000}, "2024-01-03 22:00"),
    "which volume is meant": ({"columns": {"volume": "Volume USD"}}, "2024-01-03 22:00"),
    "where the close is": ({"columns": {"close": "Bid"}}, "2024-01-03 22:00"),
    "what the columns of a file without header are": (
        {"columns": {"time": "1", "close": "5"}, "stamp": "open"},
        "2024-01-03 11:00",
    ),
    "how to read dates of two digits": ({"date_format": "%m/%d/%y"}, "2024-03-14 21:00"),
    "which instrument is meant": ({"symbol": "GBPUSD"}, "2024-01-03 22:00"),
    "which ticker is meant": ({"symbol": "B"}, "2024-01-03 22:00"),
    "whether the frequency is right": ({"frequency": "1min"}, "2024-01-03 10:01"),
    "daily files in an hourly feed": ({"frequency": "1d"}, "2024-01-03 22:00"),
    "when daily bars close": ({"day_close": "00:00 UTC"}, "2024-01-04 00:00"),
    "a file of another format than declared": (
        {"format": "auto", "timezone": "Asia/Tokyo"},
        "2024-01-03 02:00",
    ),
    "a column that does not exist": ({"columns": {"close": "Close"}}, "2024-01-03 22:00"),
    "a date format that is none": ({"date_format": "%Y-%m-%d"}, "2024-01-03 22:00"),
}


def test_every_refusal_has_an_answer_or_is_about_the_file() -> None:
    assert set(ANSWERS) | NOT_BY_A_SETTING == set(CASES)


@pytest.mark.parametrize("what", ANSWERS)
def test_what_the_remedy_says_is_accepted_and_gives_the_right_bars(
    tmp_path: Path, what: str
) -> None:
    text, given, _, _ = CASES[what]
    answers, first_close = ANSWERS[what]
    error = asked(tmp_path, text, **given)
    for name in answers:
        assert name in error.remedy
    batch = read(feed_of(tmp_path, **{**FX, **given, **answers}))
    assert f"{batch.bars['event_time'].iloc[0]:%Y-%m-%d %H:%M}" == first_close
    assert batch.rejected.empty


@pytest.mark.parametrize("what", CASES)
def test_what_cannot_be_decided_is_asked_for(tmp_path: Path, what: str) -> None:
    text, given, message, remedy = CASES[what]
    error = asked(tmp_path, text.replace("\\\n", "\n").replace("\\\t", "\t"), **given)
    assert message.format(folder=tmp_path) in error.message
    assert remedy in error.remedy


def test_a_missing_file_names_what_the_folder_has(tmp_path: Path) -> None:
    (tmp_path / "eurusd_2024.csv").write_text(MT4)
    for path in ("eurusd.csv", "*.parquet", "2024/**/*.csv"):
        with pytest.raises(SourceError, match=r"No file matches|There is no file") as caught:
            read(feed_of(tmp_path, path=path, timezone="UTC"))
        assert "eurusd_2024.csv" in caught.value.remedy


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder") as caught:
        read(feed_of(tmp_path, path=""))
    assert "*.csv" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", b"\x1f\x8b\x08\x00broken"),
        ("a.zip", b"PK\x03\x04broken"),
        ("a.parquet", b"PAR1broken"),
        ("a.json", b"[[1, 2,"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    error = asked(tmp_path, content, name)
    assert name in error.message


def test_files_of_two_sides_are_refused(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, "1min")
    bars = bars_of(feed, date(2024, 1, 2), 1500)
    (tmp_path / "bid.csv").write_text(world.dukascopy(bars, feed))
    asks = bars.assign(**{n: bars[n] + 0.0001 for n in world.PRICES[:4]})
    (tmp_path / "ask.csv").write_text(world.dukascopy(asks, feed))
    with pytest.raises(SourceError, match="contradict each other in 1500 bars") as caught:
        read(feed)
    assert "bid or ask" in caught.value.remedy


def test_a_zone_that_does_not_exist_is_refused_by_the_declaration(tmp_path: Path) -> None:
    for zone in ("Europe/Atlantis", "America/New_York+99", "Atlantis+2"):
        with pytest.raises(ValueError, match="zone"):
            feed_of(tmp_path, timezone=zone)
