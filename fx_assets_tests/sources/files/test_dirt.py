"""Files as people have them: what is broken is named and kept out, and the rest is read."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.quality import inspect
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import NOW, Bars, bars_of, feed_of, read, same

MONDAY = date(2024, 1, 8)


def hourly(folder: Path, count: int = 24 * 30, **given: Any) -> tuple[FeedSpec, Bars, list[str]]:
    """An hourly feed, its bars, and their rows in Dukascopy's format."""
    feed = feed_of(folder, **given)
    bars = bars_of(feed, MONDAY, count)
    return feed, bars, world.dukascopy(bars, feed).strip().split("\n")


def write(folder: Path, rows: list[str], name: str = "a.csv") -> None:
    (folder / name).write_text("\n".join(rows) + "\n")


def without(bars: Bars, *rows: int) -> Bars:
    return bars.drop(index=list(rows)).reset_index(drop=True)


def day_row(bars: Bars, first: int, at: str) -> str:
    """The daily row of 24 hourly bars."""
    day = bars.iloc[first : first + 24]
    prices = (day["open"].iloc[0], day["high"].max(), day["low"].min(), day["close"].iloc[-1])
    cells = ",".join(f"{price:.5f}" for price in prices)
    return f"{at},{cells},{day['volume'].sum():.0f}"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("08.01.2024 09:00:00.000,1.2,1.2,1.2", "has another number of cells"),
        ("08.01.2024 09:00:00.000,1.2,1.2,1.2,x,5", "a price cannot be read"),
        ("08.13.2024 09:00:00.000,1.2,1.2,1.2,1.2,5", "the date cannot be read"),
        ("08.01.2024 25:00:00.000,1.2,1.2,1.2,1.2,5", "the date cannot be read"),
        ("08.01.2024 09:00:00.000,1.2,1.2,1.2,1.2,5,7,8", "has another number of cells"),
    ],
)
def test_a_broken_row_is_rejected_with_its_line_and_refuses_the_batch(
    tmp_path: Path, broken: str, reason: str
) -> None:
    feed, bars, rows = hourly(tmp_path, 48)
    rows[10] = broken
    write(tmp_path, ["", *rows[:5], "", *rows[5:]])
    batch = read(feed)
    same(batch, without(bars, 9))
    assert batch.rejected["reason"].tolist() == [f"{tmp_path}/a.csv line 13: {reason}"]
    report = inspect(batch.bars.iloc[:0], batch.bars, batch.rejected, feed, feed.market, NOW)
    assert not report.passed
    assert "line 13" in report.finding("schema_and_types").message


def test_blank_lines_remarks_and_totals_are_no_rows(tmp_path: Path) -> None:
    feed, bars, rows = hourly(tmp_path, 48)
    (tmp_path / "a.csv").write_bytes(
        b"\xef\xbb\xbfMy broker\r\n\r\n"
        + "\r\n".join([*rows[:20], "", ",,,,,", "  ", *rows[20:]]).encode()
        + b"\r\nTotal,,,,,123\r\nExported by hand\r\n\r\n"
    )
    batch = read(feed)
    same(batch, bars)
    assert batch.rejected.empty
    assert "2 lines below the rows or between them are no bars" in batch.provenance.notes


def test_rows_and_files_that_say_the_same_count_once(tmp_path: Path) -> None:
    feed, bars, rows = hourly(tmp_path, 100)
    write(tmp_path, rows[:61], "a.csv")
    write(tmp_path, [rows[0], *rows[41:]], "b.csv")
    write(tmp_path, rows[:61], "copy of a.csv")
    write(tmp_path, ["Gmt time,Open,High,Low,Close,Volume"], "empty.csv")
    (tmp_path / "nothing.csv").write_bytes(b"")
    batch = read(feed)
    same(batch, bars)
    assert "80 rows repeat another one" in batch.provenance.notes
    assert "2 files have no rows" in batch.provenance.notes
    hashes = batch.bars["payload"]
    assert hashes.nunique() == 2
    assert len(batch.provenance.sha256) == 64


def test_files_that_contradict_each_other_leave_the_bar_out_and_say_where(tmp_path: Path) -> None:
    feed, bars, rows = hourly(tmp_path, 60)
    unfinished = rows[40].split(",")
    unfinished[4] = "1.20001"
    write(tmp_path, [*rows[:40], ",".join(unfinished)], "a.csv")
    write(tmp_path, [rows[0], *rows[30:]], "b.csv")
    batch = read(feed)
    same(batch, without(bars, 39))
    assert batch.rejected["check"].tolist() == ["duplicates"] * 2
    reason = batch.rejected["reason"][0]
    assert f"{tmp_path}/a.csv line 41 says 1.20001 and {tmp_path}/b.csv line 12 says" in reason
    assert f"it is the newest bar of {tmp_path}/a.csv, which may have been unfinished" in reason
    report = inspect(batch.bars.iloc[:0], batch.bars, batch.rejected, feed, feed.market, NOW)
    assert [f.check for f in report.findings if not f.passed] == ["duplicates"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("at", ["16.01.2024 00:00:00.000", "16.01.2024 23:59:59.000", "16.01.2024"])
def test_a_stray_daily_row_among_hourly_ones_is_kept_out(
    tmp_path: Path, seed: int, beside: bool, at: str
) -> None:
    feed = feed_of(tmp_path)
    bars = bars_of(feed, MONDAY, 24 * 20, seed=seed)
    rows = world.dukascopy(bars, feed).strip().split("\n")
    place = 1 + 24 * 8
    stray = day_row(bars, 24 * 8, at)
    midnight = "23:59" not in at
    kept = rows if beside or not midnight else [*rows[:place], *rows[place + 1 :]]
    write(tmp_path, [*kept[:place], stray, *kept[place:]])
    batch = read(feed)
    assert batch.rejected["check"].tolist() == ["stray_bar"]
    assert "a daily row among bars of 1h" in batch.rejected["reason"][0]
    same(batch, bars if kept is rows else without(bars, 24 * 8))
    report = inspect(batch.bars.iloc[:0], batch.bars, batch.rejected, feed, feed.market, NOW)
    assert report.passed


def test_honest_midnight_bars_are_no_strays(tmp_path: Path) -> None:
    for frequency, cal in (("1h", "24x7"), ("1min", "24x5"), ("15min", "24x5"), ("4h", "24x7")):
        feed = feed_of(tmp_path, frequency, cal, path=f"{frequency}.csv")
        bars = bars_of(feed, MONDAY, 3000, seed=3)
        (tmp_path / f"{frequency}.csv").write_text(world.dukascopy(bars, feed))
        batch = read(feed)
        assert batch.rejected.empty
        same(batch, bars)


def test_weekend_bars_reach_the_gate_and_are_refused_or_kept_out(tmp_path: Path) -> None:
    given: dict[str, Any] = {"calendar": "24x5", "instrument": "EURUSD"}
    flat = feed_of(tmp_path)
    bars = bars_of(flat, MONDAY, 24 * 14)
    (tmp_path / "a.csv").write_text(world.dukascopy(bars, flat))
    feed = feed_of(tmp_path, **given)
    batch = read(feed)
    same(batch, bars)
    kept = inspect(batch.bars.iloc[:0], batch.bars, batch.rejected, feed, feed.market, NOW)
    finding = kept.finding("closed_days")
    assert (finding.severity, finding.passed, finding.count) == ("warn", False, 2 * 48)
    assert "2024-01-12 23:00" in finding.message
    assert kept.passed
    assert len(kept.accepted) == len(bars) - 96
    assert kept.finding("missing_days").count == 0


def test_the_gate_refuses_the_stale_closes_of_yahoo(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, "1d", "24x5", instrument="EURUSD")
    honest = bars_of(feed, date(2021, 1, 4), 700, seed=5)
    stale = honest.assign(close=honest["close"].shift(1), open=honest["close"].shift(1))
    for bars, passes in ((honest, True), (stale.iloc[1:], False)):
        (tmp_path / "a.csv").write_text(world.yahoo(bars, feed))
        batch = read(feed)
        assert len(batch.bars) == len(bars)
        report = inspect(batch.bars.iloc[:0], batch.bars, batch.rejected, feed, feed.market, NOW)
        assert report.finding("stale_close").passed == passes


def test_a_time_that_comes_twice_and_is_there_once_is_kept_out_and_one_that_is_none_refused(
    tmp_path: Path,
) -> None:
    feed = feed_of(tmp_path, timezone="Europe/Berlin")
    rows = ["2024.10.27,01:00", "2024.10.27,02:00", "2024.10.27,03:00", "2024.03.31,02:00"]
    write(tmp_path, [f"{row},1.1,1.2,1.0,1.15,5" for row in rows])
    batch = read(feed)
    assert len(batch.bars) == 2
    assert batch.rejected["check"].tolist() == ["local_time", "schema_and_types"]
    assert "line 2: this time comes twice in Europe/Berlin" in batch.rejected["reason"][0]
    assert "line 4: there is no such time in Europe/Berlin" in batch.rejected["reason"][1]


def test_bars_that_are_not_finished_or_before_the_start_are_left_out(tmp_path: Path) -> None:
    _, bars, rows = hourly(tmp_path, 72)
    write(tmp_path, rows)
    feed = feed_of(tmp_path, start=date(2024, 1, 9))
    now = bars["event_time"].iloc[50].tz_localize("UTC") + timedelta(minutes=59)
    batch = read(feed, now.to_pydatetime())
    same(batch, bars.iloc[24:51].reset_index(drop=True))
    assert "24 bars are before the start of the feed" in batch.provenance.notes
    assert "21 bars close after now" in batch.provenance.notes


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    feed, bars, rows = hourly(tmp_path, 30)
    write(tmp_path, rows[:20])
    first = read(feed)
    write(tmp_path, rows)
    second = read(feed)
    assert len(second.bars) == len(bars) > len(first.bars)
    assert first.provenance.sha256 != second.provenance.sha256


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    head = '"Date","Price","Open","High","Low","Vol.","Change %"\n'
    rows = [
        '"Jan 09, 2024","46,123.5","46,000.0","46,500.0","45,900.0","52.30K","0.3%"',
        '"Jan 08, 2024","$46,000.0","46,100.0","46,200.0","45,000.0","1.2M","-0.2%"',
        '"Jan 07, 2024","45,900.0","46,100.0","46,200.0","45,000.0","-","-0.2%"',
    ]
    (tmp_path / "a.csv").write_text(head + "\n".join(rows))
    bars = read(feed_of(tmp_path, "1d")).bars
    assert bars["close"].tolist() == [45900.0, 46000.0, 46123.5]
    assert bars["volume"].tolist()[1:] == [1.2e6, 52.3e3]
    assert np.isnan(bars["volume"][0])
    (tmp_path / "a.csv").write_text("Datum;Price\n08.01.2024;1.046,10\n31.01.2024;46,5\n")
    german = read(feed_of(tmp_path, "1d", columns={"date": "Datum"})).bars
    assert german["close"].tolist() == [1046.1, 46.5]


def test_the_last_point_of_coingecko_before_a_close_is_the_close(tmp_path: Path) -> None:
    texts = ["00:00:00", "00:58:10", "01:07:00", "01:45:00", "02:59:59", "03:10:00"]
    rows = [f"2024-01-08 {t} UTC,{i}.5,1e9,100" for i, t in enumerate(texts)]
    write(tmp_path, ["snapped_at,price,market_cap,total_volume", *rows])
    batch = read(feed_of(tmp_path))
    closes = dict(zip(batch.bars["event_time"].dt.hour, batch.bars["close"], strict=True))
    assert closes == {0: 0.5, 1: 1.5, 2: 3.5, 3: 4.5}
    assert "2 points are not the last before a close" in batch.provenance.notes
    daily = read(feed_of(tmp_path, "1d"))
    assert daily.bars["close"].tolist() == [0.5]
    assert "5 points are not the last before a close" in daily.provenance.notes


@pytest.mark.slow
def test_hundreds_of_thousands_of_minutes_are_read_in_a_second(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, "1min", timezone="America/New_York+7")
    count = 300_000
    at = pd.date_range("2021-01-01", periods=count, freq="min").strftime("%Y.%m.%d,%H:%M")
    price = (1.1 + np.arange(count) % 1000 / 1e5).round(5).astype(str)
    body = "\n".join(f"{t},{p},1.2,1.0,{p},7" for t, p in zip(at, price, strict=True))
    (tmp_path / "a.csv").write_text(body)
    begin = time.process_time()
    batch = read(feed)
    assert time.process_time() - begin < 3
    assert len(batch.bars) + len(batch.rejected) == count
