"""What a run says comes from its end state."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fx_assets_tests.homes import Answer, Home


def _garbage(file: Path) -> None:
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()
    file.write_bytes(b"\x00garbage" * 500)


def damaged_mlflow(home: Home) -> None:
    _garbage(home.folder / "data" / "mlflow.db")


def mlflow_out_of_reach(home: Home) -> None:
    home.environment["FX_ASSETS_MLFLOW"] = "http://127.0.0.1:9"


def damaged_run_storage(home: Home) -> None:
    _garbage(home.folder / "data" / "dagster" / "history" / "runs.db")


def damaged_event_log(home: Home) -> None:
    _garbage(home.folder / "data" / "dagster" / "history" / "runs" / "index.db")


def file_in_place_of_dagster(home: Home) -> None:
    folder = home.folder / "data" / "dagster"
    if folder.exists():
        folder.rename(folder.with_name("moved"))
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("")


def file_in_place_of_the_lake(home: Home) -> None:
    home.environment["FX_ASSETS_LAKE"] = "in/eur.csv"


FAULTS: dict[Callable[[Home], None], str] = {
    mlflow_out_of_reach: "MLflow at http://127.0.0.1:9: connecting",
    damaged_run_storage: "Dagster's records in",
    damaged_event_log: "Dagster's records in",
    file_in_place_of_dagster: "Dagster's records in",
    file_in_place_of_the_lake: "The lake's folder",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_retrain_that_a_fault_stops_exits_with_one_and_its_reason(
    home: Home, fault: Callable[[Home], None]
) -> None:
    fault(home)
    answer = home.run("run", "--retrain").failed()
    assert FAULTS[fault] in answer.said
    assert "What to do: " in answer.said


def test_a_first_run_without_a_registry_exits_with_one_and_says_why_there_is_no_prediction(
    new_home: Home,
) -> None:
    mlflow_out_of_reach(new_home)
    answer = new_home.run("run").failed()
    assert "prediction: none yet: no champion has been decided on" in answer.out
    assert "FAILED up_retrain:\nMLflow at http://127.0.0.1:9: connecting" in answer.out
    assert "make dev" not in answer.out


@pytest.mark.slow
def test_a_damaged_registry_can_be_moved_away_as_the_message_says(home: Home) -> None:
    damaged_mlflow(home)
    assert "move a damaged file away" in home.run("run", "--retrain").failed().said
    database = home.folder / "data" / "mlflow.db"
    database.rename(database.with_suffix(".damaged"))
    home.run("run", "--retrain").succeeded()


@pytest.mark.slow
def test_damaged_records_of_dagster_can_be_moved_away_as_the_message_says(home: Home) -> None:
    damaged_run_storage(home)
    assert "move the folder away" in home.run("run").failed().said
    records = home.folder / "data" / "dagster"
    records.rename(records.with_name("damaged"))
    answer = home.run("run").succeeded()
    assert "1 forecast was up to date" in answer.out


@pytest.mark.slow
def test_a_forecast_whose_first_live_day_is_to_come_says_so_and_is_no_failure(
    new_home: Home,
) -> None:
    file = new_home.folder / "defs/forecasts/up/defs.yaml"
    file.write_text(file.read_text().replace("2022-01-01", "2022-06-01"))
    answer = new_home.run("run").succeeded()
    why = "its first live day is 2022-06-01, and the newest bar is of 2022-03-04"
    assert f"prediction: none yet: {why}" in answer.out


def test_a_damaged_table_is_told_once_with_what_to_do(home: Home) -> None:
    (file,) = (home.folder / "data/lake/predictions/up").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    said = home.run("run").failed().said
    assert said.count("FAILED") == 1
    assert said.count(f"its file {file.name} is damaged or missing") == 1
    assert "Put " in said


@pytest.mark.slow
def test_an_interrupt_ends_the_whole_run_and_the_next_one_goes_on(new_home: Home) -> None:
    process = new_home.start("run")
    lake = new_home.folder / "data" / "lake"
    _until(process, lambda: (lake / "features").exists())
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert "stopped. What was finished is kept" in err
    assert "up_predict" not in out
    new_home.run("run").succeeded()


@pytest.mark.slow
def test_a_run_in_the_background_of_a_script_can_still_be_ended(home: Home) -> None:
    # Scripts start what they put into the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        home.advance(1)
        assert home.run("run").succeeded().out.count("done") >= 2
        assert signal.getsignal(signal.SIGTERM) is before[1]
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


@pytest.mark.slow
def test_two_first_runs_at_once_both_end_well(new_home: Home) -> None:
    (new_home.folder / "data" / "mlflow.db").unlink()
    answers = [_ended(process) for process in [new_home.start("run"), new_home.start("run")]]
    for answer in answers:
        answer.succeeded()
        assert "as of: 2022-03-04" in answer.out
    assert sum("waiting for it" in answer.out for answer in answers) == 1


def test_an_error_that_nobody_expected_is_told_in_a_line_and_logged_whole(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fx_assets import cli

    def fail() -> int:
        raise ValueError("of all things\nand more of it")

    for name, value in home.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "_check", fail)
    assert cli.main(["check"]) == 1
    log = home.folder / "data" / "errors.log"
    said = capsys.readouterr().err
    assert said == f"fx-assets: ValueError: of all things\n  The whole error is in {log}.\n"
    assert "in fail" in log.read_text()


def test_records_of_dagster_lie_in_the_home_wherever_the_command_is_given(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    home.run("run").succeeded()
    assert not list(elsewhere.iterdir())


@pytest.mark.slow
def test_a_run_opens_each_file_of_dagsters_records_a_few_times_and_leaves_none_open(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Counter[str] = Counter()
    connect = sqlite3.dbapi2.connect

    def counted(file: str, *arguments: Any, **options: Any) -> sqlite3.Connection:
        opened[str(file)] += 1
        return connect(file, *arguments, **options)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    records = home.folder / "data" / "dagster"
    home.run("run", "--retrain").succeeded()
    index = [n for file, n in opened.items() if file.endswith("history/runs/index.db")]
    assert 0 < sum(index) < 20
    assert not list(records.rglob("*-wal"))


def _ended(process: subprocess.Popen[str]) -> Answer:
    out, err = process.communicate()
    return Answer(process.returncode, out, err)


def _until(process: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    while not happened():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
