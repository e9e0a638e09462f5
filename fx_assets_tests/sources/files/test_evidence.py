"""What the data states wins over what is assumed, or the files are refused with a way out."""

from __future__ import annotations

import json
import pickle
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_assets.sources.files.inspect import inspect_files, with_settings
from fx_assets.sources.files.questions import FilesUnclear
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import Bars, bars_of, feed_of, read, same
from fx_assets_tests.examples import examples

FEW = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DAY_ENDS = [
    *("17:00 America/New_York", "00:00 UTC", "00:00 Europe/London", "00:00 Europe/Athens"),
    *("00:00 America/New_York", "00:00 Asia/Kolkata", "00:00 Australia/Sydney"),
]
SHOWN_IN = ["UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Etc/GMT+11", "Etc/GMT-14"]
DAYS = st.dates(date(2005, 1, 1), date(2025, 6, 1))
OHLC = ["open", "high", "low", "close"]
FIRST = date(2024, 3, 4)
FX: dict[str, Any] = {"calendar": "24x5", "instrument": "EURUSD"}


def table(texts: list[str], bars: Bars, header: str = "Date,Open,High,Low,Close") -> bytes:
    return world.lines(texts, *world.prices(bars), header=header).encode()


def written(instants: pd.Series, zone: str, form: str) -> list[str]:
    """UTC instants as a vendor of some zone would state them."""
    aware = instants.dt.tz_localize("UTC").dt.tz_convert(zone)
    if form == "epoch":
        return [str(int(t.timestamp())) for t in aware]
    if form == "z":
        return [f"{t.tz_convert('UTC'):%Y-%m-%dT%H:%M:%SZ}" for t in aware]
    if form == "iso":
        return [t.isoformat() for t in aware]
    return [f"{t:%Y-%m-%d %H:%M:%S%z}" for t in aware]


def read_text(folder: Path, content: bytes, name: str = "a.csv", **given: Any) -> Any:
    (folder / name).write_bytes(content)
    return read(feed_of(folder, **given))


def opened_at(bars: Bars, feed: Any) -> pd.Series:
    """When daily bars open: at the close of the day before, which may be 23 or 25 hours ago."""
    market = feed.market
    days = [market.bar_day(t.tz_localize("UTC").to_pydatetime()) for t in bars["event_time"]]
    opens = [market.event_time(day - timedelta(days=1)) for day in days]
    return pd.Series(pd.DatetimeIndex(opens).tz_convert(None))


@given(
    DAYS,
    st.sampled_from(DAY_ENDS),
    st.sampled_from(["24x5", "24x7"]),
    st.sampled_from(SHOWN_IN),
    st.sampled_from(["epoch", "z", "iso", "offset"]),
    st.sampled_from(["open", "close"]),
    st.booleans(),
)
@FEW
def test_a_daily_row_that_states_its_instant_closes_when_its_bar_does(
    first: date, day_close: str, calendar: str, zone: str, form: str, stamp: str, adj: bool
) -> None:
    given_settings = {"frequency": "1d", "calendar": calendar, "day_close": day_close}
    feed = feed_of(Path("."), **given_settings)
    bars = bars_of(feed, first, 40)
    instants = opened_at(bars, feed) if stamp == "open" else bars["event_time"]
    header = "Date,Open,High,Low,Close"
    if adj and stamp == "open":
        header, rows = f"{header},Adj Close,Volume", [*world.prices(bars)]
        content = world.lines(
            written(instants, zone, form), *rows, rows[3], ["1"] * len(bars), header=header
        ).encode()
        extra: dict[str, Any] = {}
    else:
        content, extra = table(written(instants, zone, form), bars), {"stamp": stamp}
    with tempfile.TemporaryDirectory() as folder:
        batch = read_text(Path(folder), content, **given_settings, **extra)
    assert batch.rejected.empty
    same(batch, bars, OHLC)


@given(DAYS, st.sampled_from(DAY_ENDS), st.sampled_from(DAY_ENDS), st.sampled_from(["z", "offset"]))
@FEW
def test_stated_days_that_end_at_another_time_than_the_feed_s_are_refused_with_the_day_close(
    first: date, declared: str, true: str, form: str
) -> None:
    own = {"frequency": "1d", "calendar": "24x7", "stamp": "open"}
    feed = feed_of(Path("."), day_close=true, **own)
    bars = bars_of(feed, first, 300)
    content = table(written(opened_at(bars, feed), "UTC", form), bars)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if declared == true:
            same(read_text(folder, content, day_close=declared, **own), bars, OHLC)
            return
        with pytest.raises(FilesUnclear) as caught:
            read_text(folder, content, day_close=declared, **own)
        (question,) = caught.value.questions
        assert "a.csv line " in question.message
        assert "daily bars of the feed feed close at" in question.message
        answers = [option.settings["day_close"] for option in question.options]
        assert true in answers
        assert true in caught.value.remedy
        same(read(feed_of(folder, day_close=true, **own)), bars, OHLC)


def test_a_vendor_s_summer_days_in_utc_are_not_known_a_day_early(tmp_path: Path) -> None:
    """Midnights of London: the evening before in UTC, in summer only."""
    given_settings = {"frequency": "1d", "calendar": "24x5", "day_close": "00:00 Europe/London"}
    feed = feed_of(tmp_path, **given_settings)
    bars = bars_of(feed, date(2023, 5, 1), 100)
    texts = written(opened_at(bars, feed), "UTC", "offset")
    assert all(" 23:00:00+0000" in text for text in texts)
    content = table(texts, bars, "Date,Open,High,Low,Close,Adj Close,Volume")
    content = world.lines(
        texts,
        *world.prices(bars),
        world.prices(bars)[3],
        ["0"] * len(bars),
        header="Date,Open,High,Low,Close,Adj Close,Volume",
    ).encode()
    same(read_text(tmp_path, content, **given_settings), bars, OHLC)
    with pytest.raises(FilesUnclear, match="daily bars of the feed feed close at 21:00 UTC") as no:
        read(feed_of(tmp_path, frequency="1d", calendar="24x5"))
    assert "day_close: 00:00 Europe/London" in no.value.remedy


def test_the_last_price_of_an_unfinished_day_is_left_out_and_counted(tmp_path: Path) -> None:
    given_settings = {"frequency": "1d", "calendar": "24x7"}
    feed = feed_of(tmp_path, **given_settings)
    bars = bars_of(feed, date(2024, 1, 1), 30)
    texts = written(opened_at(bars, feed), "UTC", "offset")
    texts[-1] = texts[-1].replace("00:00:00+0000", "14:05:33+0000")
    batch = read_text(tmp_path, table(texts, bars), stamp="open", **given_settings)
    same(batch, bars.iloc[:-1], OHLC)
    assert "in the middle of a bar, which was unfinished" in batch.provenance.notes


ROWS = {
    "epochs in seconds": lambda at: [str(int(t.timestamp())) for t in at],
    "epochs in milliseconds": lambda at: [str(int(t.timestamp()) * 1000) for t in at],
    "epochs in nanoseconds": lambda at: [f"{int(t.timestamp())}000000000" for t in at],
    "a Z": lambda at: [f"{t:%Y-%m-%d %H:%M:%SZ}" for t in at],
    "an offset of zero": lambda at: [f"{t:%Y-%m-%d %H:%M:%S}+00:00" for t in at],
}


@pytest.mark.parametrize("how", ROWS)
@pytest.mark.parametrize("zone", ["America/New_York+7", "Europe/Athens", "Etc/GMT-2"])
def test_a_declared_zone_is_never_ignored_where_the_rows_state_utc(
    tmp_path: Path, how: str, zone: str
) -> None:
    feed = feed_of(tmp_path, **FX)
    bars = bars_of(feed, date(2024, 2, 5), 24 * 60)
    local = world.local(world.opens(bars, feed), zone)
    header = "time,open,high,low,close"
    content = table(ROWS[how](local), bars, header)
    declared = {**FX, "stamp": "open", "timezone": zone}
    with pytest.raises(FilesUnclear) as caught:
        read_text(tmp_path, content, **declared)
    (question,) = caught.value.questions
    assert "a.csv line 2" in question.message
    assert zone in question.message
    removed, applied = (option.settings for option in question.options)
    assert removed == {"source.timezone": None}
    assert applied == {"source.offsets": "local"}
    assert "all 1,440 bars fall on open hours" in question.options[1].evidence
    same(read(feed_of(tmp_path, **declared, offsets="local")), bars, OHLC)
    shifted = read(feed_of(tmp_path, **FX, stamp="open"))
    first = pd.Timestamp(local.iloc[0]) + timedelta(hours=1)
    assert shifted.bars["event_time"].iloc[0].tz_convert(None) == first


def test_a_declared_zone_that_agrees_with_the_rows_is_no_contradiction(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, **FX)
    bars = bars_of(feed, date(2024, 3, 4), 24 * 30)
    for zone, form in (("UTC", "epoch"), ("Etc/UTC", "z"), ("America/New_York", "iso")):
        content = table(written(world.opens(bars, feed), zone, form), bars)
        same(read_text(tmp_path, content, **FX, stamp="open", timezone=zone), bars, OHLC)


def test_a_header_that_says_utc_is_not_overruled_in_silence(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, **FX)
    bars = bars_of(feed, date(2024, 3, 4), 24 * 30)
    (tmp_path / "a.csv").write_text(world.dukascopy(bars, feed))
    with pytest.raises(FilesUnclear, match="'Gmt time', which says UTC") as caught:
        read(feed_of(tmp_path, **FX, timezone="Europe/Athens"))
    assert "Remove source.timezone" in caught.value.remedy
    same(read(feed_of(tmp_path, **FX)), bars)
    own = {**FX, "timezone": "Europe/Athens", "columns": {"time": "Gmt time"}}
    (tmp_path / "a.csv").write_text(
        world.dukascopy(
            bars.assign(event_time=world.local(bars["event_time"], "Europe/Athens")), feed
        )
    )
    same(read(feed_of(tmp_path, **own)), bars)


def ninja_trader(bars: Bars, zone: str) -> bytes:
    """NinjaTrader's minutes: as HistData's, stamped at the close, in the platform's zone."""
    at = world.shown(world.local(bars["event_time"], zone), "%Y%m%d %H%M%S")
    return world.lines(at, *world.prices(bars), ["5"] * len(bars), delimiter=";").encode()


def test_semicolon_rows_of_another_program_are_not_taken_for_histdata(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, "1min", **FX)
    bars = bars_of(feed, date(2023, 3, 1), 500)
    with pytest.raises(FilesUnclear) as caught:
        read_text(tmp_path, ninja_trader(bars, "Europe/Berlin"), frequency="1min", **FX)
    zone, stamp = caught.value.questions
    assert (zone.setting, stamp.setting) == ("source.timezone", "source.stamp")
    assert zone.options[0].settings == {"source.format": "histdata"}
    assert "NinjaTrader" in caught.value.remedy
    assert "2 things must be said" in caught.value.message
    answered = {"timezone": "Europe/Berlin", "stamp": "close"}
    same(read(feed_of(tmp_path, "1min", **FX, **answered)), bars, OHLC)


def test_rows_of_histdata_are_told_by_their_name_or_by_volumes_of_zero(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, "1min", **FX)
    bars = bars_of(feed, date(2023, 3, 1), 500)
    named = tmp_path / "DAT_ASCII_EURUSD_M1_202303.csv"
    named.write_text(world.histdata(bars, feed))
    same(read(feed), bars)
    named.unlink()
    (tmp_path / "a.csv").write_text(world.histdata(bars.assign(volume=0.0), feed))
    batch = read(feed)
    same(batch, bars, OHLC)
    assert "New York time without daylight saving was assumed" in batch.provenance.notes


WRONG = [("UTC", "America/New_York+7"), ("Europe/Athens", "UTC"), ("UTC", "America/New_York")]


@pytest.mark.parametrize(("declared", "true"), WRONG)
@pytest.mark.parametrize("frequency", ["1h", "15min"])
def test_a_wrong_zone_shows_at_the_weekend_and_the_zones_that_fit_are_named(
    tmp_path: Path, declared: str, true: str, frequency: str
) -> None:
    feed = feed_of(tmp_path, frequency, **FX)
    bars = bars_of(feed, date(2024, 2, 5), 24 * 45)
    (tmp_path / "a.csv").write_text(world.metatrader4(bars, feed, true))
    with pytest.raises(FilesUnclear, match="when the market is closed") as caught:
        read(feed_of(tmp_path, frequency, **FX, timezone=declared))
    (question,) = caught.value.questions
    zones = [o.settings.get("source.timezone") for o in question.options]
    assert true in zones
    assert f"source.timezone: {true} (all 1,080 bars fall on open hours)" in caught.value.remedy
    same(read(feed_of(tmp_path, frequency, **FX, timezone=true)), bars)


def test_several_settings_are_asked_at_once_and_each_answer_is_one_that_works(
    tmp_path: Path,
) -> None:
    feed = feed_of(tmp_path, **FX)
    bars = bars_of(feed, date(2024, 1, 1), 24 * 7)
    local = world.local(world.opens(bars, feed), "America/New_York+7")
    cells = [[f"{v * 1e5:.0f}" for v in bars[n]] for n in OHLC]
    volumes = [world.whole(bars["volume"]), ["1"] * len(bars)]
    content = world.lines(
        world.shown(local, "%d/%m/%Y %H:%M"), *cells, *volumes,
        header="Time,Open,High,Low,Close,Volume lots,Volume USD",
    )  # fmt: skip
    with pytest.raises(FilesUnclear) as caught:
        read_text(tmp_path, content.encode(), **FX)
    asked = [question.setting for question in caught.value.questions]
    assert asked == [
        "source.columns.volume",
        "source.day_first",
        "source.timezone",
        "source.stamp",
        "source.price_scale",
    ]
    for question in caught.value.questions:
        assert question.message in caught.value.message
        assert question.remedy in caught.value.remedy
        assert question.options
    answers = {
        "columns": {"volume": "Volume lots"},
        "day_first": True,
        "timezone": "America/New_York+7",
        "stamp": "open",
        "price_scale": 100_000,
    }
    for question in caught.value.questions:
        name = question.setting.removeprefix("source.")
        wanted = answers["columns"]["volume"] if name == "columns.volume" else answers[name]  # type: ignore[index]
        assert wanted in [o.settings.get(question.setting) for o in question.options]
    same(read(feed_of(tmp_path, **FX, **answers)), bars)


def test_an_inspection_says_what_files_are_and_all_that_must_be_said(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, **FX)
    bars = bars_of(feed, date(2024, 1, 1), 24 * 40)
    for i, part in enumerate(np.array_split(np.arange(len(bars)), 3)):
        text = world.metatrader4(bars.iloc[part], feed, "Europe/Athens")
        (tmp_path / f"EURUSD60_{i}.csv").write_text(text)
    seen = inspect_files({"source": {"path": "*.csv"}}, tmp_path)
    assert [f.format for f in seen.files] == ["metatrader4"] * 3
    assert seen.files[0].times == "dates and times without a zone"
    assert sum(f.rows for f in seen.files) == len(bars)
    assert {k: seen.attributes[k] for k in ("frequency", "calendar")} == {
        "frequency": "1h",
        "calendar": "24x5",
    }
    assert seen.attributes["source"]["instrument"] == "EURUSD"
    assert [q.setting for q in seen.questions] == ["source.timezone"]
    options = [dict(option.settings) for option in seen.questions[0].options]
    assert {"source.timezone": "Europe/Athens"} in options
    told = with_settings(seen.attributes, {"source.timezone": "Europe/Athens"})
    known = inspect_files(told, tmp_path)
    assert (known.questions, known.problems) == ((), ())
    assert known.bars == len(bars)
    assert known.first_close == bars["event_time"].iloc[0].tz_localize("UTC")
    assert json.dumps(known.attributes)


def test_an_inspection_keeps_what_it_found_before_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("hello\nworld\n")
    seen = inspect_files({"source": {"path": "a.csv"}}, tmp_path)
    assert "neither a header nor a row" in seen.problems[0][0]
    assert [q.setting for q in seen.questions] == ["source.instrument"]


def test_fixings_that_state_another_time_than_the_ecb_s_are_offered_a_calendar(
    tmp_path: Path,
) -> None:
    given_settings = {"frequency": "1d", "calendar": "24x5", "day_close": "16:00 Europe/Berlin"}
    bars = bars_of(feed_of(tmp_path, **given_settings), date(2024, 2, 5), 90)
    texts = written(bars["event_time"], "Europe/Berlin", "iso")
    content = table(texts, bars)
    with pytest.raises(FilesUnclear, match="daily bars of the feed feed close at 13:15 UTC") as no:
        read_text(tmp_path, content, frequency="1d", calendar="target", stamp="close")
    (question,) = no.value.questions
    options = [dict(option.settings) for option in question.options]
    assert {"calendar": "24x5", "day_close": "16:00 Europe/Berlin"} in options
    same(read(feed_of(tmp_path, **given_settings, stamp="close")), bars, OHLC)


def test_a_question_survives_the_way_between_processes(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, **FX)
    (tmp_path / "a.csv").write_text(world.metatrader4(bars_of(feed, FIRST, 48), feed, "UTC"))
    with pytest.raises(FilesUnclear) as caught:
        read(feed)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert str(again) == str(caught.value)
    assert again.questions == caught.value.questions
