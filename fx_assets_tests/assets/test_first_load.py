"""A first load that brings nothing says so, and so does everything that would build on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.lake import Lake
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets_tests.platform import Platform, failures, feed_spec, forecast_spec

HEAD = "Date,Open,High,Low,Close,Volume\n"
OLD = HEAD + "".join(f"2015-01-{day:02d},1.1,1.2,1.0,1.1{day},0\n" for day in (5, 6, 7))
SATURDAYS = HEAD + "".join(f"2020-02-{day:02d},1.1,1.2,1.0,1.1,0\n" for day in (1, 8, 15))


@pytest.fixture
def platform(new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Platform:
    folder = new_folder()
    (folder / "in").mkdir()
    feed = feed_spec(
        source={"kind": "files", "path": "in/*.csv", "instrument": "EURUSD"},
        calendar="24x5",
        start="2020-01-01",
        gate={"closed_days": {"severity": "warn"}},
    )
    made = Platform(folder, monkeypatch, [feed], [forecast_spec()])
    made.travel("2020-03-02T12:00:00+00:00")
    return made


def put(platform: Platform, text: str) -> None:
    (platform.folder / "in" / "a.csv").write_text(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OLD, "3 bars are before the start of the feed, 2020-01-01."),
        (SATURDAYS, "3 rows went to quarantine"),
        (HEAD + "2020-06-01,1.1,1.2,1.0,1.1,0\n", "1 bars close after now."),
    ],
    ids=["too old", "all kept out", "in the future"],
)
def test_a_first_load_without_a_bar_fails_and_says_where_it_looked(
    platform: Platform, text: str, said: str
) -> None:
    put(platform, text)
    result = platform.ingest("2020")
    assert not result.success
    told = failures(result)
    assert "The first load of eurusd found no bars: files-" in told
    assert "(in/*.csv) has none of the 43 that are due from 2020-01-01 to 2020-03-02" in told
    assert said in told
    assert not platform.lake.exists("prices", "eurusd")


def test_a_first_load_that_failed_is_made_good_by_the_next(platform: Platform) -> None:
    put(platform, OLD)
    assert not platform.ingest("2020").success
    put(platform, HEAD + "2020-02-03,1.1,1.2,1.0,1.15,0\n2020-02-04,1.1,1.2,1.0,1.16,0\n")
    assert platform.ingest("2020").success
    assert len(platform.lake.read("prices", "eurusd")) == 2


def test_a_load_before_anything_is_due_succeeds_with_zero_rows(platform: Platform) -> None:
    put(platform, OLD)
    platform.travel("2020-01-01T12:00:00+00:00")
    assert platform.ingest("2020").success


def test_whatever_builds_on_a_table_without_bars_says_so(platform: Platform) -> None:
    nothing = pd.DataFrame(columns=list(BAR_DTYPES)).astype(BAR_DTYPES)
    lake: Lake = platform.lake
    for table in ("raw_prices", "prices"):
        lake.append(table, "eurusd", nothing, run_id="old")
    put(platform, OLD)
    assert "The first load of eurusd found no bars" in failures(platform.ingest("2020"))
    for result in (
        platform.materialize("eurusd/features/fx_close"),
        platform.retrain(),
        platform.materialize("eurusd/profile"),
    ):
        assert not result.success
        assert re.search("eurusd has (no|0) bars", failures(result))
        assert "IndexError" not in failures(result)
