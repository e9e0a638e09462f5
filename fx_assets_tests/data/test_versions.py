"""Versions of bars: logged, shown, compared and named, of a feed and of a universe."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.cli import main
from fx_assets.data.versions import DataVersions
from fx_assets.errors import SpecError
from fx_assets.lake import Lake
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.tables import RAW_PRICES, READINGS, UNIVERSE_RAW_PRICES

NOW = datetime(2024, 3, 8, 12, tzinfo=UTC)


def bars(first: str, closes: list[float], known: str, reading: str = "r1") -> pd.DataFrame:
    """Hourly bars; ``known`` is when they were published."""
    times = pd.date_range(first, periods=len(closes), freq="h", tz="UTC")
    rows = pd.DataFrame({"event_time": times, "close": closes})
    rows["available_at"] = rows["ingested_at"] = pd.Timestamp(known, tz="UTC")
    rows = rows.assign(source="test", high=[c + 1 for c in closes])
    return rows.reindex(columns=list(BAR_DTYPES)).astype(BAR_DTYPES).assign(reading=reading)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Three versions: four hours, then an hour more and a correction, then nothing but upkeep."""
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    monkeypatch.setenv("FX_ASSETS_NOW", NOW.isoformat())
    made = Lake(str(tmp_path / "data" / "lake"))
    key = list(RAW_PRICES.key)
    made.insert_new("raw_prices", "hours", bars("2024-03-01", [1, 2, 3, 4], "2024-03-02"), key)
    later = pd.concat(
        [
            bars("2024-03-01T01:00", [2.5], "2024-03-03"),
            bars("2024-03-01T04:00", [5], "2024-03-03"),
        ]
    )
    made.insert_new("raw_prices", "hours", later, key)
    made.compact("raw_prices", "hours")
    return made


def test_a_version_is_the_bars_as_they_were_known(lake: Lake) -> None:
    versions = DataVersions(lake, "hours")
    first, newest = versions.resolve("0"), versions.resolve(None)
    assert versions.bars(first)["close"].tolist() == [1, 2, 3, 4]
    assert versions.bars(newest)["close"].tolist() == [1, 2.5, 3, 4, 5]
    assert [version.number for version in versions.log()] == [2, 1, 0]


def test_a_difference_names_what_came_and_what_was_corrected(lake: Lake) -> None:
    versions = DataVersions(lake, "hours")
    found = versions.difference(versions.resolve("0"), versions.resolve(None))
    assert found.added["close"].tolist() == [5]
    assert found.gone.empty
    told = found.revised[["column", "before", "after"]].values.tolist()
    assert told == [["high", 3, 3.5], ["close", 2, 2.5]] or told == [
        ["close", 2, 2.5],
        ["high", 3, 3.5],
    ]
    back = versions.difference(versions.resolve(None), versions.resolve("0"))
    assert back.gone["close"].tolist() == [5]
    assert versions.difference(versions.resolve("1"), versions.resolve("2")).empty


def test_a_tag_names_a_version_for_good(lake: Lake) -> None:
    versions = DataVersions(lake, "hours")
    versions.tag("audit", "0", by="me", note="as sent", now=NOW)
    assert versions.resolve("audit").number == 0
    assert versions.tag("audit", "0", by="you", note="again", now=NOW).number == 0
    with pytest.raises(SpecError, match="names version 0 of hours, for good"):
        versions.tag("audit", "1", by="you", note="", now=NOW)
    assert versions.log()[-1].tags == ("audit",)
    assert versions.tags()["by"].tolist() == ["me"]


@pytest.mark.parametrize("name", ["", "3", "2024-01-31", "2024-01-31T16:00Z", "model@3", " x"])
def test_what_means_something_else_cannot_be_a_tag(lake: Lake, name: str) -> None:
    with pytest.raises(SpecError, match="cannot be a tag"):
        DataVersions(lake, "hours").tag(name, None, by="me", note="", now=NOW)


def test_a_moment_means_the_newest_version_by_then(lake: Lake) -> None:
    versions = DataVersions(lake, "hours")
    for version in versions.log():
        assert versions.resolve(version.committed_at.isoformat()).number == version.number
    with pytest.raises(SpecError, match="was stored by 2000-01-01"):
        versions.resolve("2000-01-01")


def test_bars_of_a_reading_that_is_not_in_force_are_not_shown(lake: Lake) -> None:
    readings = pd.DataFrame(
        {
            "reading": ["r1", "r2"],
            "since": pd.to_datetime(["2024-03-01", "2024-03-05"], utc=True),
            "start": "2024-03-01",
            "facts": "{}",
        }
    ).astype(READINGS.dtypes)
    lake.append("readings", "hours", readings)
    other = bars("2024-03-01", [7, 8], "2024-03-05", reading="r2")
    lake.insert_new("raw_prices", "hours", other, list(RAW_PRICES.key))
    versions = DataVersions(lake, "hours")
    assert versions.bars(versions.resolve(None))["close"].tolist() == [7, 8]


def test_a_universe_s_instruments_are_kept_apart(lake: Lake) -> None:
    key = list(UNIVERSE_RAW_PRICES.key)
    for closes in ([1, 2], [1, 2, 9]):
        rows = pd.concat(
            [
                bars("2024-03-01", closes, "2024-03-02").assign(instrument="AAA"),
                bars("2024-03-01", [4, 5], "2024-03-02").assign(instrument="BBB"),
            ]
        )
        lake.insert_new("raw_prices", "pair", rows, key)
    versions = DataVersions(lake, "pair")
    found = versions.difference(versions.resolve("0"), versions.resolve("1"))
    assert found.added[["instrument", "close"]].values.tolist() == [["AAA", 9.0]]
    assert found.revised.empty


def test_the_terminal_shows_compares_and_writes_all_rows(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lake.exists("raw_prices", "hours")
    assert main(["data", "tag", "hours", "sent", "0", "--note", "to the auditor"]) == 0
    assert main(["data", "log", "hours"]) == 0
    assert "sent (to the auditor)" in " ".join(capsys.readouterr().out.split())
    assert main(["data", "show", "hours", "sent"]) == 0
    assert "version 0" in (said := capsys.readouterr().out)
    assert "4 bars, 2024-03-01 00:00 to 2024-03-01 03:00 UTC" in said
    file = tmp_path / "difference.csv"
    assert main(["data", "diff", "hours", "sent", "--csv", str(file)]) == 1
    assert "1 bar added, 1 revised, 0 gone" in capsys.readouterr().out
    assert sorted(pd.read_csv(file)["change"]) == ["added", "revised", "revised"]
    assert main(["data", "diff", "hours", "1", "2"]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "nothing"], "There are no bars of nothing"),
        (["show", "hours", "77"], "no version 77"),
        (["diff", "hours", "yesterday"], "'yesterday'"),
        (["show", "hours", "up@1"], "no model up@1"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    lake: Lake, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lake.exists("raw_prices", "hours")
    assert main(["data", *words]) == 1
    assert told in capsys.readouterr().err
