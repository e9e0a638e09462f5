"""Older data that is added or corrected is noticed by the next run, and by a person's reload."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from fx_assets import clock
from fx_assets.assets.prices import partitions_to_ingest
from fx_assets.cli import main
from fx_assets.lake import Lake
from fx_assets.sources import ecb
from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.assets.test_readings import (
    days,
    declared,
    first_load,
    ingest,
    redeclare,
    write,
)
from fx_assets_tests.platform import Platform, failed_checks, failures, feed_spec, metadata

TOMORROW = "2018-03-29"


def test_a_bar_of_an_earlier_year_that_the_ecb_corrects_is_a_revision(
    platform: Platform, rates: pd.DataFrame
) -> None:
    corrected = rates.copy()
    corrected.loc["2016-05-10", "USD"] = round(float(rates.loc["2016-05-10", "USD"]) * 1.001, 6)
    platform.arrive(corrected, TOMORROW)
    result = ingest(platform, "2018")
    assert result.success, failures(result)
    said = failed_checks(result)["history_stands"]
    assert said == "1 older bar was corrected (2016-05-10)."
    prices = platform.lake.read("prices", "eurusd").set_index("event_time")["close"]
    assert (
        prices[feed_spec().market.event_time(pd.Timestamp("2016-05-10").date())]
        == (corrected.loc["2016-05-10", "USD"])
    )
    platform.arrive(corrected, TOMORROW)
    assert "history_stands" not in failed_checks(ingest(platform, "2018"))


@pytest.mark.slow
def test_files_that_are_added_changed_or_gone_are_noticed_whatever_their_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = first_load(tmp_path, monkeypatch, declared())
    whole = pd.read_csv(tmp_path / "in/eurusd.csv")
    older = whole.assign(time=(pd.to_datetime(whole["time"]) - pd.Timedelta(70, "D")).astype(str))
    older = older[older["time"] < "2024-01-15"]
    redeclare(platform, declared(start="2023-11-01"))
    older.assign(time=older["time"].str[:16]).to_csv(tmp_path / "in/older.csv", index=False)
    result = ingest(platform)
    assert result.success, failures(result)
    said = failed_checks(result)["history_stands"]
    assert said.startswith("in/older.csv is new. start: 2024-01-15 -> 2023-11-01: ")
    raw = platform.lake.read("raw_prices", "eurusd")
    added = raw[raw["event_time"] < "2024-01-15"]
    assert len(added) == len(older)
    assert (added["available_at"] == added["event_time"]).all(), "as history has it"
    assert len(platform.lake.read("prices", "eurusd")) == len(raw)

    older.loc[5, "bid"] += 0.0001
    older.assign(time=older["time"].str[:16]).to_csv(tmp_path / "in/older.csv", index=False)
    (tmp_path / "in/eurusd.csv").unlink()
    result = ingest(platform, "2024-04")
    assert result.success, failures(result)
    said = failed_checks(result)["history_stands"]
    assert "in/older.csv has changed. in/eurusd.csv is gone; its bars stay." in said
    assert "1 older bar was corrected" in said


def test_the_vendors_start_that_is_moved_back_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = {"kind": "simulated", "instrument": "EURUSD"}
    platform = first_load(tmp_path, monkeypatch, declared("1d", source=simulated))
    redeclare(platform, declared("1d", source=simulated, start="2023-05-01"))
    parts = partitions_to_ingest(platform.lake, platform.feeds[0], clock.now())
    assert parts == ["2023", "2024"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one feed of daily files, loaded once, for the command line."""
    folder = tmp_path / "defs" / "eurusd"
    folder.mkdir(parents=True)
    attributes = declared("1d", source=days()).model_dump(
        mode="json", include={"name", "source", "calendar", "start"}, exclude_none=True
    )
    text = yaml.safe_dump({"type": "fx_assets.components.PriceFeed", "attributes": attributes})
    (folder / "defs.yaml").write_text(text)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    for name, value in {
        "FX_ASSETS_HOME": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path),
        "FX_ASSETS_DECLARED": str(tmp_path / "defs"),
        "FX_ASSETS_NOW": "2024-04-01T12:00:00+00:00",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    ecb.forget()
    write(tmp_path, "1d")
    assert main(["run"]) == 0
    return tmp_path


@pytest.mark.slow
def test_a_person_reloads_a_feed_or_a_span_and_accepts_more_revisions_than_the_limit(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert main(["reload", "eurusd"]) == 0
    assert "eurusd: 76 read, 0 added, 0 revised, 76 unchanged." in capfd.readouterr().out
    table = pd.read_csv(home / "in/eurusd.csv")
    table.loc[:39, "bid"] = (table.loc[:39, "bid"] + 0.0001 * (-1) ** table.index[:40]).round(5)
    table.to_csv(home / "in/eurusd.csv", index=False)

    assert main(["reload", "eurusd", "--from", "2024-01-16", "--to", "2024-01-20"]) == 0
    said = capfd.readouterr().out
    assert "eurusd: 5 read, 0 added, 5 revised, 0 unchanged." in said
    assert main(["run"]) == 1
    said = capfd.readouterr().out
    assert "35 of 76 stored bars are revised" in said
    assert "If they are right: fx-assets reload eurusd --accept-revisions" in said
    lake = Lake(str(home / "data/lake"))
    assert len(lake.read("raw_prices", "eurusd")) == 81

    assert main(["reload", "eurusd"]) == 1
    assert main(["reload", "eurusd", "--accept-revisions"]) == 0
    said = capfd.readouterr().out
    assert "eurusd: 76 read, 0 added, 35 revised, 41 unchanged." in said
    assert list(lake.prices("eurusd")["close"]) == list(table["bid"])
    assert main(["run"]) == 0, "the refusal is made good"
    left = lake.read_or_empty("quarantine", "eurusd")
    assert left.empty, "what was accepted is not in quarantine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gbpusd"], "No feed is called gbpusd."),
        (["eurusd", "--from", "31.1.2024"], "'31.1.2024' is not a day."),
        (["eurusd", "--from", "2024-03-01", "--to", "2024-02-01"], "There is nothing of eurusd"),
    ],
)
def test_what_cannot_be_reloaded_is_said(
    home: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["reload", *arguments]) == 1
    assert sentence in capfd.readouterr().err


def test_the_run_says_what_it_found(platform: Platform, rates: pd.DataFrame) -> None:
    platform.arrive(rates, TOMORROW)
    shown = metadata(ingest(platform, "2018"), "eurusd/raw_prices")
    assert (shown["bars_added"], shown["bars_revised"]) == (1, 0)
    assert shown["bars_unchanged"] == len(rates[:TODAY])


def test_a_stand_in_that_knows_less_than_is_stored_corrects_no_older_bar(
    platform: Platform, rates: pd.DataFrame
) -> None:
    outdated = rates.copy()
    outdated.loc["2016-05-10", "USD"] = round(float(rates.loc["2016-05-10", "USD"]) * 1.001, 6)
    platform.arrive(rates, TOMORROW)
    assert ingest(platform, "2018").success
    platform.travel("2018-03-30T18:00:00+00:00")
    platform.publish(outdated[:TODAY])
    result = ingest(platform, "2018")
    assert result.success, failures(result)
    assert metadata(result, "eurusd/raw_prices")["rows_added"] == 0
