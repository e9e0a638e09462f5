"""A deployment can be put away and taken out again, wherever it lies and whoever writes."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.backup import back_up, restore
from fx_assets.errors import FxAssetsError
from fx_assets.lake import Lake
from fx_assets_tests.homes import Home
from fx_assets_tests.production.servers import s3


def test_a_restored_home_goes_on_where_the_backup_was_taken(home: Home, tmp_path: Path) -> None:
    place = str(tmp_path / "backup")
    predictions = Lake(str(home.folder / "data/lake")).read("predictions", "up")
    home.run("backup", place).succeeded()
    home.advance()
    shutil.rmtree(home.folder / "data")
    (home.folder / "fx.duckdb").unlink()
    assert "fx-assets run goes on" in home.run("restore", place).succeeded().out
    lake = Lake(str(home.folder / "data/lake"))
    pd.testing.assert_frame_equal(lake.read("predictions", "up"), predictions)
    said = home.run("run").succeeded().out
    assert "first champion" not in said
    assert len(lake.read("predictions", "up")) == len(predictions) + 1


def test_a_restored_home_may_be_another_one(home: Home, tmp_path: Path) -> None:
    place = str(tmp_path / "backup")
    home.run("backup", place).succeeded()
    other = home.copy_to(tmp_path / "elsewhere")
    shutil.rmtree(other.folder / "data")
    other.run("restore", place).succeeded()
    said = other.run("run").succeeded().out
    assert "first champion" not in said
    assert "up v1" in said or "prediction:" in said


def test_nothing_is_restored_over_something_nor_from_what_is_no_backup(
    home: Home, tmp_path: Path
) -> None:
    place = tmp_path / "backup"
    home.run("backup", str(place)).succeeded()
    assert "is something already" in home.run("restore", str(place)).failed().said
    assert "is not empty" in home.run("backup", str(place)).failed().said
    (place / "backup.json").rename(place / "away.json")
    shutil.rmtree(home.folder / "data" / "lake")
    assert "no whole backup" in home.run("restore", str(place)).failed().said


def test_a_backup_of_a_later_form_is_refused(tmp_path: Path) -> None:
    Lake(str(tmp_path / "b")).write_blob(
        "backup.json", json.dumps({"form": 99, "made_at": "2030-01-01T00:00:00Z"}).encode()
    )
    with pytest.raises(FxAssetsError, match="form 99"):
        restore(str(tmp_path / "b"))


def use(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Lake:
    monkeypatch.setenv("FX_ASSETS_HOME", str(folder))
    return Lake(str(folder / "data/lake"))


def test_tables_that_are_written_meanwhile_are_whole_in_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, done = use(monkeypatch, tmp_path / "home"), threading.Event()
    lake.append("log", "x", pd.DataFrame({"n": [0]}))

    def write() -> None:
        n = 1
        while not done.is_set():
            lake.append("log", "x", pd.DataFrame({"n": [n]}))
            lake.replace("state", "x", pd.DataFrame({"n": [n]}))
            n += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(4):
            back_up(str(tmp_path / f"backup{n}"))
    finally:
        done.set()
        writer.join()
    for n in range(4):
        copy = Lake(str(tmp_path / f"backup{n}" / "lake"))
        rows = sorted(copy.read("log", "x")["n"])
        assert rows == list(range(len(rows)))
        for table in copy.tables():
            assert len(copy.read(table, "x"))


def test_a_lake_on_disk_is_put_away_on_s3_and_taken_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = use(monkeypatch, tmp_path / "home")
    lake.append("log", "x", pd.DataFrame({"n": [1, 2]}))
    with s3("backups") as address:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        back_up("s3://backups/monday")
        again = use(monkeypatch, tmp_path / "again")
        restore("s3://backups/monday")
    assert list(again.read("log", "x")["n"]) == [1, 2]
