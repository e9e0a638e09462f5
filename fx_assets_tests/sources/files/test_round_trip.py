"""Whatever a vendor writes is read back as the bars that it wrote."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_assets.errors import SourceError
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.files import Bars, Dialect, bars_of, feed_of, read, same
from fx_assets_tests.examples import examples

FEW = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
ZONES = ["America/New_York+7", "Europe/Athens", "UTC", "Etc/GMT-2", "Asia/Kolkata"]
VENDORS = ["metatrader4", "metatrader5", "histdata", "dukascopy"]
VENDORS += ["binance", "coingecko", "yahoo", "yfinance"]
FIRST_DAYS = st.dates(date(2002, 1, 1), date(2025, 6, 1))
INTRADAY = st.sampled_from(["1min", "5min", "15min", "1h"])


def cut(draw: Any, bars: Bars) -> list[Bars]:
    """One to three files with overlaps."""
    size = len(bars)
    ends = sorted(draw(st.lists(st.integers(2, size - 2), max_size=2))) if size > 8 else []
    starts = [0, *(max(0, end - draw(st.integers(0, 3))) for end in ends)]
    return [bars.iloc[a:b].reset_index(drop=True) for a, b in zip(starts, [*ends, size])]  # noqa: B905


@st.composite
def exports(draw: Any) -> tuple[dict[str, Any], list[tuple[str, bytes]], Bars, list[str]]:
    """Settings of a feed, its files, the bars in them, and the columns that the format has."""
    kind = draw(st.sampled_from(VENDORS))
    daily = kind in ("yahoo", "yfinance") or (kind != "histdata" and draw(st.booleans()))
    where = draw(st.sampled_from(["24x7", "24x5"]))
    given_settings: dict[str, Any] = {
        "frequency": "1d" if daily else draw(INTRADAY),
        "calendar": where,
    }
    zone = draw(
        st.sampled_from(ZONES if daily or given_settings["frequency"] != "1h" else ZONES[:4])
    )
    if kind.startswith("metatrader"):
        given_settings["timezone"] = zone
        if daily:
            given_settings["day_close"] = (
                "17:00 America/New_York" if "New_York" in zone else f"00:00 {zone}"
            )
    elif daily and kind in ("dukascopy", "binance", "coingecko"):
        given_settings["day_close"] = "00:00 UTC"
    feed = feed_of(Path("."), **given_settings)
    bars = bars_of(
        feed,
        draw(FIRST_DAYS),
        draw(st.integers(6, 40)),
        draw(st.integers(0, 99)),
        draw(st.integers(0, 3)),
    )
    if kind == "histdata":
        bars["volume"] = 0.0
    unit, encoding = draw(st.sampled_from([1, 1000])), draw(st.sampled_from(["utf-8", "utf-16"]))
    local_zone = draw(st.sampled_from([None, "Europe/Zurich", "America/New_York"]))
    write: dict[str, Callable[[Bars], bytes]] = {
        "metatrader4": lambda part: world.metatrader4(part, feed, zone).encode(),
        "metatrader5": lambda part: world.metatrader5(part, feed, zone).encode(encoding),
        "histdata": lambda part: world.histdata(part, feed).encode(),
        "dukascopy": lambda part: world.dukascopy(part, feed, local_zone).encode(),
        "binance": lambda part: world.binance(part, feed, unit).encode(),
        "coingecko": lambda part: world.coingecko(part).encode(),
        "yahoo": lambda part: world.yahoo(part, feed).encode(),
        "yfinance": lambda part: world.yfinance(part, feed).encode(),
    }
    how = draw(st.sampled_from(["", "", "gz", "zip"]))
    parts = [part for part in cut(draw, bars) if len(part)]
    files = [world.packed(f"{i}.csv", write[kind](part), how) for i, part in enumerate(parts)]
    names = ["close", "volume"] if kind == "coingecko" else world.PRICES
    return given_settings, files, bars, names


def read_back(given_settings: dict[str, Any], files: list[tuple[str, bytes]]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            (Path(folder) / name).write_bytes(content)
        return read(feed_of(Path(folder), **given_settings))


@given(exports())
@FEW
def test_what_a_vendor_exported_is_read_back(
    export: tuple[dict[str, Any], list[tuple[str, bytes]], Bars, list[str]],
) -> None:
    given_settings, files, bars, names = export
    batch = read_back(given_settings, files)
    undecided = batch.rejected[batch.rejected["check"] == "local_time"]
    assert len(undecided) == len(batch.rejected)
    if undecided.empty:
        same(batch, bars, names)
    else:
        known = pd.DatetimeIndex(batch.bars["event_time"]).tz_convert(None)
        same(batch, bars[bars["event_time"].isin(known)].reset_index(drop=True), names)
        assert len(bars) - len(known) <= 2 * undecided["value"].nunique()


@given(exports(), st.data())
@FEW
def test_a_damaged_export_is_read_or_refused_with_a_remedy(
    export: tuple[dict[str, Any], list[tuple[str, bytes]], Bars, list[str]], data: st.DataObject
) -> None:
    given_settings, files, bars, _ = export
    name, content = files[0]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        until = at + data.draw(st.sampled_from([0, 1, 1, 30]))
        junk = data.draw(st.sampled_from([b"", b"\n", b",", b"x", b";", b'"', b"\xff", b"9", b"-"]))
        content = content[:at] + junk + content[until:]
    try:
        batch = read_back(given_settings, [(name, content), *files[1:]])
    except SourceError as error:
        refusal = error
    else:
        assert batch.bars["event_time"].is_unique
        assert len(batch.bars) <= len(bars) + 4
        assert (batch.rejected["reason"] != "").all()
        return
    assert refusal.message
    assert refusal.remedy


@st.composite
def tables(draw: Any) -> tuple[dict[str, Any], Dialect, Bars, FeedSpec]:
    date_form = draw(st.sampled_from(sorted(world.DATES)))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    decimal = draw(st.sampled_from([".", ","] if delimiter != "," else ["."]))
    scale = draw(st.sampled_from([1, 1, 100_000]))
    separators = {".": ["", "'", " "], ",": ["", ".", "'"]}[decimal]
    separators += [","] if decimal == "." and delimiter != "," else []
    thousands = draw(st.sampled_from(separators))
    stamp = draw(st.sampled_from(["open", "close"]))
    declared: dict[str, Any] = {"stamp": stamp, "price_scale": scale, **world.DATES[date_form][1]}
    if decimal != "." or thousands:
        declared |= {"decimal": decimal, "thousands": thousands or None}
    names = draw(
        st.sampled_from(
            [
                ("Time", "Open", "High", "Low", "Close", "Volume"),
                ("timestamp", "o", "h", "l", "c", "v"),
                ("Stamp", "Eröffnung", "Hoch", "Tief", "Schluss", "Umsatz"),
            ]
        )
    )
    if names[0] == "Stamp":
        ours = ["time", *world.PRICES]
        declared |= {"format": "generic", "columns": dict(zip(ours, names, strict=True))}
    encodings = ["utf-8", "utf-8-sig", "utf-16", "latin-1"]
    dialect = Dialect(
        date=date_form,
        stamp=stamp,
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        scale=scale,
        descending=draw(st.booleans()),
        end=draw(st.sampled_from(["\n", "\r\n"])),
        encoding=draw(st.sampled_from(encodings)),
        extra=draw(st.booleans()),
        quoted=draw(st.booleans()),
        names=names,
    )
    where = draw(st.sampled_from(["24x7", "24x5"]))
    given_settings = {"frequency": draw(INTRADAY), "calendar": where, **declared}
    feed = feed_of(Path("."), **given_settings)
    bars = bars_of(
        feed,
        draw(FIRST_DAYS),
        draw(st.integers(3, 30)),
        draw(st.integers(0, 99)),
        draw(st.integers(0, 2)),
    )
    return given_settings, dialect, bars, feed


@given(tables())
@FEW
def test_a_table_of_ones_own_is_read_back(
    table: tuple[dict[str, Any], Dialect, Bars, FeedSpec],
) -> None:
    given_settings, dialect, bars, feed = table
    content = world.generic(bars, feed, dialect)
    batch = read_back(given_settings, [("prices.csv", content)])
    assert batch.rejected.empty
    same(batch, bars)


@given(
    FIRST_DAYS,
    st.integers(3, 60),
    st.sampled_from(["aware", "naive", "epoch_ms", "epoch_s_float", "text"]),
)
@settings(FEW, max_examples=15)
def test_a_parquet_file_is_read_back(first: date, count: int, kind: str) -> None:
    given_settings: dict[str, Any] = {"frequency": "5min", "stamp": "close"}
    feed = feed_of(Path("."), **given_settings)
    bars = bars_of(feed, first, count)
    time = bars["event_time"]
    columns = {
        "aware": time.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        "naive": time,
        "epoch_ms": time.astype("datetime64[ms]").astype(np.int64),
        "epoch_s_float": time.astype("datetime64[s]").astype(np.int64).astype(float),
        "text": time.astype(str),
    }
    if kind in ("naive", "text"):
        given_settings["timezone"] = "UTC"
    with tempfile.TemporaryDirectory() as folder:
        frame = bars.drop(columns="event_time").assign(timestamp=columns[kind])
        frame.to_parquet(Path(folder) / "bars.parquet", index=False)
        same(read(feed_of(Path(folder), **given_settings)), bars)


@given(FIRST_DAYS, st.integers(3, 40), st.booleans())
@settings(FEW, max_examples=10)
def test_rows_of_json_are_read_back(first: date, count: int, named: bool) -> None:
    feed = feed_of(Path("."), "15min")
    bars = bars_of(feed, first, count)
    at = world.opens(bars, feed).astype("datetime64[ms]").astype(np.int64)
    names = ["timestamp", *world.PRICES]
    rows = [
        list(row)
        for row in zip(at.tolist(), *(bars[n].tolist() for n in world.PRICES), strict=True)
    ]
    content = json.dumps([dict(zip(names, row, strict=True)) for row in rows] if named else rows)
    given_settings = {"frequency": "15min", "format": "dukascopy"}
    same(read_back(given_settings, [("prices.json", content.encode())]), bars)


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Europe/Athens", "Australia/Sydney"]),
    st.integers(2003, 2025),
    st.sampled_from(["5min", "1h"]),
    st.booleans(),
)
@settings(FEW, max_examples=12)
def test_hours_that_come_twice_are_told_apart_by_their_order(
    zone: str, year: int, frequency: str, descending: bool
) -> None:
    autumn = date(year, 4, 1) if zone.startswith("Australia") else date(year, 10, 24)
    feed = feed_of(Path("."), frequency)
    bars = bars_of(feed, autumn, 24 * 16 * (1 if frequency == "1h" else 12))
    text = world.metatrader4(bars, feed, zone)
    if descending:
        text = "\n".join(reversed(text.strip().split("\n")))
    batch = read_back({"frequency": frequency, "timezone": zone}, [("a.csv", text.encode())])
    assert batch.rejected.empty
    same(batch, bars)


def test_dates_with_the_day_first_are_recognised_by_any_file_of_the_feed() -> None:
    feed = feed_of(Path("."), "1d", calendar="24x5")
    bars = bars_of(feed, date(2024, 3, 4), 60)
    days = world.bar_days(bars, feed)
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        texts = world.shown(days, form)
        header = "Date,Open,High,Low,Close"
        parts = (slice(0, 7), slice(7, None))
        files = [
            (
                f"{i}.csv",
                world.lines(
                    texts[part], *[c[part] for c in world.prices(bars)], header=header
                ).encode(),
            )
            for i, part in enumerate(parts)
        ]
        batch = read_back({"frequency": "1d", "calendar": "24x5"}, files)
        same(batch, bars, world.PRICES[:4])
