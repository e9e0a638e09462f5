"""``fx-assets import`` writes declarations that are well-formed and load the right bars."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from fx_assets import clock
from fx_assets.cli import main
from fx_assets.components.declared import declared
from fx_assets.errors import SpecError
from fx_assets.importing.command import import_files
from fx_assets.importing.first_forecast import propose
from fx_assets.importing.flags import add_arguments
from fx_assets.settings import Settings
from fx_assets.sources import Batch, fetch_bars
from fx_assets.specs.files import Declared
from fx_assets.testing.vendors import files as world
from fx_assets.testing.vendors.exports import EXPORTS, Export, made, soiled
from fx_assets.testing.vendors.files import bars_of, feed_of, same

BY_NAME = {export.name: export for export in EXPORTS}
AT_ONCE = {"mt5_1h", "histdata_1h", "dukascopy_1d", "binance_1h", "own_1h", "fred_1d"}
"""Exports that each run imports; CI imports those of every vendor."""
Import = Callable[..., int]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an empty folder of declarations and one of files."""
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    monkeypatch.setenv("FX_ASSETS_DECLARED", "declared")
    monkeypatch.setenv("FX_ASSETS_NOW", "2026-06-01T00:00:00+00:00")
    (tmp_path / "in").mkdir()
    return tmp_path


def put(home: Path, text: str | bytes, name: str = "EURUSD.csv") -> str:
    file = home / "in" / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def read_back(name: str) -> tuple[Declared, Batch]:
    """What ``fx-assets check`` accepts, and the bars of a feed."""
    found = declared()
    batch = fetch_bars(found.feeds[name], Settings(), clock.now())
    return found, batch


@pytest.mark.parametrize(
    "dirty", [pytest.param(False, marks=pytest.mark.slow), True], ids=["clean", "dirty"]
)
@pytest.mark.parametrize(
    "export",
    [e if e.name in AT_ONCE else pytest.param(e, marks=pytest.mark.slow) for e in EXPORTS],
    ids=lambda export: export.name,
)
def test_each_vendors_files_become_a_feed_with_the_right_bars_and_a_forecast(
    export: Export, dirty: bool, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = 1100 if export.feed["frequency"] == "1h" else 520
    text, bars, _ = made(export, count)
    if dirty:
        text, bars = soiled(export, text, bars)
    put(home, text, f"{export.feed.get('instrument', 'EURUSD')}.csv")
    flags = [*export.flags, "--feed", "mine", "--forecast", "ours", "--yes"]
    assert main(["import", str(home / "in"), *flags]) == 0
    said = capsys.readouterr().out
    assert "Next: fx-assets run ours" in said
    assert main(["check"]) == 0
    assert "1 feed and 1 forecast are well declared." in capsys.readouterr().out
    found, batch = read_back("mine")
    same(batch, bars, list(export.columns))
    feed = found.feeds["mine"]
    assert feed.market.bar == feed_of(Path("."), **export.feed).market.bar
    assert feed.source.model_dump()["path"].startswith("in/")
    assert max(len(path.read_text().splitlines()) for path in home.rglob("defs.yaml")) <= 25


def test_files_that_leave_questions_open_are_refused_once_with_all_of_them(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed = feed_of(Path("."), **BY_NAME["own_1h"].feed)
    bars = bars_of(feed, date(2022, 1, 3), 400)
    when = world.shown(world.opens(bars, feed), "%Y-%m-%d %H:%M")
    text = world.lines(when, *world.prices(bars, ["close", "open"]), header="Stamp,Bid,Ask")
    put(home, text, "prices.csv")
    assert main(["import", str(home / "in")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("fx-assets: 4 things must be said about the files:\n")
    for flag in (
        *(
            "--column close=Bid",
            "--instrument EURUSD",
            "--timezone UTC --stamp open   (all 400 bars fall",
        ),
        *("--stamp open", "--stamp close", "Nothing was written."),
    ):
        assert flag in said
    assert not (home / "declared").exists()
    answers = ["--column", "close=Bid", "--instrument", "EURUSD", "--timezone", "UTC"]
    assert main(["import", str(home / "in"), *answers, "--stamp", "open", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "closes only have no feature set" in out
    _, batch = read_back("eurusd_1h")
    same(batch, bars, ["close"])


def scripted(answers: list[str]) -> Callable[[str], str]:
    remaining: Iterator[str] = iter(answers)
    return lambda _: next(remaining)


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_on_a_terminal_everything_is_asked_and_nothing_is_written_without_a_yes(home: Path) -> None:
    text, bars, _ = made(BY_NAME["mt4_1h"], 1100)
    path = put(home, text)
    said: list[str] = []
    answers = ["Nowhere/City", "Europe/Athens", "direction", "n"]
    assert import_files(options(path), said.append, scripted(answers)) == 1
    assert not (home / "declared").exists()
    assert any("no time zone is called 'Nowhere/City'" in line for line in said)
    assert any("2021-01-04" in line and "|" not in line for line in said)
    assert import_files(options(path), said.append, scripted(["2", "return", ""])) == 0
    found, batch = read_back("eurusd_1h")
    assert found.forecasts["eurusd_1h_return"].target.kind == "return"
    same(batch, bars)


def test_what_is_declared_is_never_overwritten_without_a_word(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(home, made(BY_NAME["yahoo_1d"], 520)[0])
    assert main(["import", path, "--yes"]) == 0
    files = sorted(home.rglob("defs.yaml"))
    before = [file.read_text() for file in files]
    capsys.readouterr()
    assert main(["import", path, "--yes"]) == 0
    assert capsys.readouterr().out.count("as it was: ") == 2
    assert main(["import", path, "--yes", "--start", "2021-06-01"]) == 1
    assert "exist and say something else" in capsys.readouterr().err
    assert [file.read_text() for file in files] == before
    assert main(["import", path, "--yes", "--start", "2021-06-01", "--replace"]) == 0
    assert "start: 2021-06-01" in files[0].read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--feed", "a", "--forecast", "a"], "The feed and the forecast are both called a."),
        (["--feed", "other_volatility"], "A forecast called other_volatility is declared already"),
        (["--feed", "EUR-USD"], "--feed EUR-USD: name: String should match pattern"),
        (["--features", "none"], "no feature set 'none'"),
        (["--calendar", "us"], "no calendar 'us'. Did you mean 'US'?"),
        (["--calendar", "US"], "does not tell when a day closes; set day_close"),
        (["--timezone", "Nowhere"], "no time zone is called 'Nowhere'"),
        (["--scale", "much"], "--scale is 'much', which is no number"),
        (["--set", "gate.jmps.limit=3"], "gate.jmps: Extra inputs are not permitted"),
        (["--set", "gate"], "--set 'gate' has no '='"),
        (["--column", "close"], "--column 'close' has no '='"),
    ],
)
def test_flags_that_make_no_sense_are_explained_and_nothing_is_written(
    home: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    path = put(home, made(BY_NAME["yahoo_1d"], 520)[0])
    assert main(["import", path, "--yes", "--feed", "other"]) == 0
    before = sorted(home.rglob("defs.yaml"))
    capsys.readouterr()
    assert main(["import", path, "--yes", *flags]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "What to do:" in told
    assert sorted(home.rglob("defs.yaml")) == before


def test_rows_that_the_gate_refuses_are_asked_about_and_can_be_kept_out(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, bars, _ = made(BY_NAME["yahoo_1d"], 520)
    lines = text.split("\n")
    day = lines[301].split(",")[0]
    contradicting = lines[301].replace("1.", "1.1", 1)
    path = put(home, "\n".join([*lines[:302], contradicting, *lines[302:]]))
    assert main(["import", path, "--yes"]) == 1
    said = capsys.readouterr().err
    assert "The quality gate refuses these bars. duplicates: " in said
    assert day in said
    options = [line.split("   (")[0].strip() for line in said.split("\n") if "  --set" in line]
    assert options == [
        f"--set 'gate.known_bad=[{day}]'",
        "--set gate.duplicates.severity=warn",
    ]
    for place, flag in enumerate(options):
        name = f"way_{place}"
        assert main(["import", path, "--yes", "--feed", name, *shlex.split(flag)]) == 0
    assert main(["check"]) == 0
    for name in ("way_0", "way_1"):
        _, batch = read_back(name)
        same(batch, bars.drop(index=300).reset_index(drop=True))


def test_check_looks_into_the_files_for_the_columns_that_features_read(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(home, made(BY_NAME["fred_1d"], 520)[0])
    assert main(["import", path, "--yes", "--forecast", "f"]) == 0
    file = home / "declared" / "forecasts" / "f" / "defs.yaml"
    text = file.read_text()
    file.write_text(text.replace("features: fx_close", "features: ohlc"))
    line = text.split("\n").index("  features: fx_close") + 1
    capsys.readouterr()
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert f"forecasts/f/defs.yaml:{line}: features: ohlc reads open, high and low, and " in said
    assert "EURUSD.csv has close only; choose one of fx_close, or name the columns" in said


def test_files_of_several_instruments_are_not_mixed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = made(BY_NAME["yahoo_1d"], 120)[0]
    put(home, text, "EURUSD_2021.csv")
    put(home, text, "GBPUSD_2021.csv")
    assert main(["import", str(home / "in"), "--yes"]) == 1
    assert "several instruments: EURUSD (1), GBPUSD (1)" in capsys.readouterr().err


def test_several_paths_a_folder_and_a_glob_mean_just_the_files_that_are_meant(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, bars, _ = made(BY_NAME["yahoo_1d"], 400)
    lines = text.strip().split("\n")
    one = put(home, "\n".join(lines[:200]), "EURUSD_1.csv")
    two = put(home, "\n".join([lines[0], *lines[200:]]), "EURUSD_2.csv")
    put(home, "not a table", "README.md")
    for name, paths in {
        "several": [one, two],
        "folder": [str(home / "in")],
        "globbed": [str(home / "in" / "EUR*.csv")],
    }.items():
        assert main(["import", *paths, "--yes", "--feed", name]) == 0, capsys.readouterr().err
        declared_now = (home / "declared" / "feeds" / name / "defs.yaml").read_text()
        assert "path: in/" in declared_now
    found = declared()
    for name in ("several", "folder", "globbed"):
        same(fetch_bars(found.feeds[name], Settings(), clock.now()), bars)
    assert main(["import", str(home / "in" / "nothing*"), "--yes"]) == 1
    said = capsys.readouterr().err
    assert "No file matches" in said
    assert "EURUSD_1.csv" in said


def test_weekends_that_an_export_has_filled_are_asked_about_and_kept_out(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    feed = feed_of(Path("."), "1d", "24x7", day_close="00:00 UTC")
    bars = bars_of(feed, date(2022, 1, 3), 700)
    weekend = world.opens(bars, feed).dt.dayofweek >= 5
    bars.loc[weekend, ["open", "high", "low", "close"]] = None
    bars = bars.ffill()
    bars.loc[weekend, "volume"] = 0.0
    path = put(home, world.dukascopy(bars, feed))
    assert main(["import", path, "--yes"]) == 1
    said = capsys.readouterr().err
    assert "EURUSD is a currency pair, and 200 of 700 bars close when currency markets" in said
    assert "--calendar 24x5 --day-close '00:00 UTC'   (keeps the 200 bars of weekends out" in said
    assert "--calendar 24x7   (takes them for prices)" in said
    assert main(["import", path, "--yes", "--calendar", "24x5"]) == 0
    assert "200 rows stay out" in capsys.readouterr().out
    found, _ = read_back("eurusd_1d")
    assert found.feeds["eurusd_1d"].day_close == "00:00 UTC"


def test_a_servers_daily_bars_close_at_its_midnight_without_being_asked(home: Path) -> None:
    export = BY_NAME["mt5_1d"]
    text, bars, _ = made(export, 520)
    path = put(home, text)
    assert main(["import", path, "--yes", "--timezone", "Europe/Athens"]) == 0
    found, batch = read_back("eurusd_1d")
    assert found.feeds["eurusd_1d"].day_close == "00:00 Europe/Athens"
    same(batch, bars)


def test_an_own_calendar_is_proposed_where_its_holidays_explain_the_gaps(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, bars, feed = made(BY_NAME["fred_1d"], 700)
    rows = [line for line in text.split("\n") if not line.endswith(".")]
    path = put(home, "\n".join(rows).replace("DEXUSEU", "Rate"))
    assert main(["import", path, "--yes"]) == 1
    said = capsys.readouterr().err
    assert "The days are not those of currency markets (24x5)" in said
    assert "--calendar US --day-close '12:00 America/New_York'   (0 days missing, 0 bars" in said
    answer = ["--calendar", "US", "--day-close", "12:00 America/New_York"]
    assert main(["import", path, "--yes", *answer]) == 0
    found, batch = read_back("eurusd_1d")
    assert found.feeds["eurusd_1d"].market.key == feed.market.key
    same(batch, bars, ["close"])


@pytest.mark.parametrize("count", [60, 300, 780, 3000])
def test_the_first_forecast_fits_the_length_of_the_history_or_says_why_there_is_none(
    count: int,
) -> None:
    feed = feed_of(Path("."), "1d", "24x5")
    bars = bars_of(feed, date(2010, 1, 4), count)
    frame = bars.assign(
        event_time=bars["event_time"].dt.tz_localize("UTC"), volume=0.0, market_cap=float("nan")
    )
    proposal = propose("f", feed, frame, "return")
    if count < 300:
        assert proposal.attributes is None
        assert f"there are {count}" in proposal.notes[0]
        return
    assert proposal.attributes is not None
    assert proposal.attributes["features"] == "ohlc"
    folds = proposal.attributes["walk_forward"]
    first = feed.market.event_time(date.fromisoformat(folds["first_test"]))
    tested = int((frame["event_time"] > first).sum())
    assert folds["min_train"] <= count - tested
    assert tested >= 60
    assert (tested < 1000) == any("the baseline predicts" in note for note in proposal.notes)


def test_a_home_without_a_terminal_asks_nobody(home: Path) -> None:
    path = put(home, made(BY_NAME["mt4_1h"], 300)[0])
    with pytest.raises(SpecError, match="1 thing must be said about the files"):
        import_files(options(path), lambda _: None)
