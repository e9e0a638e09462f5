"""The command line on a small project of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.cli import main
from fx_assets.run import _in_order
from fx_assets.settings import PACKAGED_DECLARATIONS
from fx_assets.sources import ecb
from fx_assets.specs.files import load_declared
from fx_assets_tests.homes import DAGSTER
from fx_assets_tests.platform import ecb_zip

FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: eurusd
  source: {kind: ecb, quote: USD}
  start: 2014-01-01
"""
FORECAST = """\
type: fx_assets.components.Forecast
attributes:
  name: direction
  feed: eurusd
  target: {kind: direction}
  candidates: [persistence]
  walk_forward: {first_test: 2016-01-01, min_train: 250, refit_every: 504}
  live_from: 2018-01-01
"""
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project(
    new_folder: Callable[[], Path], rates: pd.DataFrame
) -> tuple[Path, dict[str, str], subprocess.CompletedProcess[str]]:
    """A project in a folder, its environment, and what its first ``fx-assets run`` said."""
    folder = new_folder()
    for name, text in {"feed": FEED, "forecast": FORECAST}.items():
        (folder / "declared" / name).mkdir(parents=True)
        (folder / "declared" / name / "defs.yaml").write_text(text)
    (folder / "dagster.yaml").write_text(DAGSTER)
    (folder / "published.zip").write_bytes(ecb_zip(rates[:"2018-03-28"]))  # type: ignore[misc]
    settings = {
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_DECLARED": "declared",
        "FX_ASSETS_ECB_SNAPSHOT": str(folder / "published.zip"),
        "FX_ASSETS_ECB_HISTORY_URL": "http://127.0.0.1:9/hist.zip",
        "FX_ASSETS_ECB_DAILY_URL": "http://127.0.0.1:9/daily.xml",
        "FX_ASSETS_HTTP_ATTEMPTS": "1",
        "FX_ASSETS_NOW": "2018-03-28T18:00:00+00:00",
        "DAGSTER_HOME": str(folder),
    }
    answer = subprocess.run(
        [sys.executable, "-m", "fx_assets.cli", "run"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    return folder, settings, answer


@pytest.fixture
def here(project: tuple[Path, dict[str, str], object], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, with this process's environment set for it."""
    for name, value in project[1].items():
        monkeypatch.setenv(name, value)
    ecb.forget()
    return project[0]


def test_the_first_run_makes_forecasts_and_tells_how_far_to_trust_them(
    project: tuple[Path, dict[str, str], subprocess.CompletedProcess[str]],
) -> None:
    answer = project[2]
    assert answer.returncode == 0, answer.stdout + answer.stderr
    said = answer.stdout
    assert "warning eurusd/raw_prices live_source: Fell back to ecb-snapshot" in said
    for job in ("eurusd_ingest", "direction_retrain", "direction_predict"):
        assert f"done  {job}" in said
    assert "forecast: direction\ninstrument: EURUSD\nas of: 2018-03-28\n" in said
    assert "\ntarget: 2018-03-29\n" in said
    assert "prediction: P(up) " in said
    assert "champion: base_rate v1" in said
    assert "score against the baseline: brier 0.25" in said
    assert "skill demonstrated: no" in said
    assert "fx-assets dev" in said
    assert answer.stderr == ""
    assert max(map(len, said.splitlines())) > 80, "lines are wrapped where nobody looks on"


def test_forecasts_of_paused_feeds_do_not_come_first() -> None:
    declared = load_declared(PACKAGED_DECLARATIONS)
    paused = [not declared.feed_of(spec.name).automatic for spec in _in_order(declared)]
    assert paused == sorted(paused)
    assert True in paused


def test_a_second_run_says_that_all_is_up_to_date(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run"]) == 0
    said = capsys.readouterr().out
    assert "1 forecast was up to date" in said
    assert "retrain" not in said
    assert "_predict" not in said


@pytest.mark.parametrize("names", [[], ["direction"]])
def test_show_prints_the_latest_forecasts(
    here: Path, capsys: pytest.CaptureFixture[str], names: list[str]
) -> None:
    assert main(["show", *names]) == 0
    assert "as of: 2018-03-28" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "show"])
def test_an_unknown_forecast_is_named_beside_those_that_exist(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "derection"]) == 1
    said = capsys.readouterr()
    assert said.err == (
        "fx-assets: No forecast or universe is called derection.\n"
        "  What to do: Declared are: direction.\n"
    )


def test_check_reports_mistakes_and_exits_with_one(
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check"]) == 0
    assert "1 feed and 1 forecast are well declared." in capsys.readouterr().out
    (tmp_path / "defs.yaml").write_text(FEED.replace("quote", "qoute"))
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path))
    for command in ("check", "run", "dev", "show"):
        assert main([command]) == 1
        assert "no setting 'qoute'. Did you mean 'quote'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "setting", "said"),
    [
        ("path: in/*.csv, columns: {close: Kurs}", "", "has no column 'Kurs'"),
        ("path: in/*.csv", "frequency: 1h", "a date without a time"),
        ("path: in/none/*.csv", "", ""),
    ],
)
def test_check_looks_into_the_first_local_file_and_names_feeds_without_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    setting: str,
    said: str,
) -> None:
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path / "defs"))
    for folder in ("in", "defs"):
        (tmp_path / folder).mkdir()
    days = pd.bdate_range("2024-01-02", periods=40)
    rows = "".join(f"{day:%Y-%m-%d},1.{1000 + i}\n" for i, day in enumerate(days))
    (tmp_path / "in" / "days.csv").write_text("Date,Close\n" + rows)
    (tmp_path / "defs" / "defs.yaml").write_text(
        "type: fx_assets.components.PriceFeed\nattributes:\n  name: mine\n  calendar: 24x5\n"
        f"  source: {{kind: files, instrument: EURUSD, {source}}}\n  {setting}\n"
    )
    assert main(["check"]) == (1 if said else 0)
    answer = capsys.readouterr()
    assert said in answer.err
    assert said or "note: mine: No file matches" in answer.out


@pytest.fixture
def of_one_name(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed and a forecast with the same name are declared."""
    for name, text in {"one": FEED, "two": FORECAST.replace("direction\n", "eurusd\n", 1)}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(text)
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path))


def refuses_one_name(said: str) -> bool:
    return (
        "two/defs.yaml:1: 'eurusd' is already a feed, declared at " in said
        and "Traceback" not in said
        and "Duplicate definition" not in said
    )


@pytest.mark.usefixtures("of_one_name")
@pytest.mark.parametrize("command", ["check", "run", "dev"])
def test_a_feed_and_a_forecast_of_one_name_are_refused_by_every_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command]) == 1
    assert refuses_one_name("".join(capsys.readouterr()))


@pytest.mark.slow
@pytest.mark.usefixtures("of_one_name")
def test_a_feed_and_a_forecast_of_one_name_are_refused_by_dagster() -> None:
    dagster = str(Path(sys.executable).with_name("dagster"))
    validate = [dagster, "definitions", "validate", "-m", "fx_assets.definitions"]
    validated = subprocess.run(validate, capture_output=True, text=True)
    assert validated.returncode == 1
    assert refuses_one_name(validated.stdout + validated.stderr)


def test_a_source_that_fails_without_fallback_ends_the_run_with_its_reason(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, text in {
        "feed": FEED.replace("quote: USD", "quote: USD, fallback: false"),
        "forecast": FORECAST,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(text)
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path))
    assert main(["run"]) == 1
    said = capsys.readouterr().out
    assert "FAILED eurusd_ingest, eurusd/raw_prices:\nExpected the ECB's history zip" in said
    assert "no connection" in said
    assert "What to do:" in said
    assert "Traceback" not in said
    assert "Stack Trace" not in said


def test_a_clock_that_makes_no_sense_is_explained(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FX_ASSETS_NOW", "yesterday")
    assert main(["run"]) == 1
    assert "FX_ASSETS_NOW='yesterday' is not an ISO 8601 instant" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FX_ASSETS_HTTP_ATTEMPTS", "zero", "FX_ASSETS_HTTP_ATTEMPTS='zero': Input should be a"),
        ("FX_ASSETS_LAKE", "/proc/lake", "The lake's folder /proc/lake cannot be made"),
        ("FX_ASSETS_DECLARED", "nowhere", "There is no folder"),
    ],
)
def test_a_setting_that_makes_no_sense_is_explained(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["run"]) == 1
    answer = capsys.readouterr().err
    assert answer.startswith(f"fx-assets: {said}")
    assert "What to do:" in answer


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fx-assets {project['version']}\n"
