"""A deployment can be put away and taken out again, wherever it lies and whoever writes."""

from __future__ import annotations

import hashlib
import json
import re
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
from fx_assets_tests.states.stores import lake_of


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


@pytest.mark.slow
def test_a_restored_home_may_be_another_one(home: Home, tmp_path: Path) -> None:
    place = str(tmp_path / "backup")
    home.run("backup", place).succeeded()
    other = home.copy_to(tmp_path / "elsewhere")
    shutil.rmtree(other.folder / "data")
    other.run("restore", place).succeeded()
    said = other.run("run").succeeded().out
    assert "first champion" not in said
    assert "up v1" in said or "prediction:" in said


@pytest.mark.slow
def test_nothing_is_restored_over_something_without_force_nor_from_what_is_no_backup(
    home: Home, tmp_path: Path
) -> None:
    place = tmp_path / "backup"
    home.run("backup", str(place), "--name", "monday").succeeded()
    assert "is something already" in home.run("restore", str(place)).failed().said
    assert "monday is taken" in home.run("backup", str(place), "--name", "monday").failed().said
    predictions = lake_of(home).read("predictions", "up")
    home.advance()
    home.run("run").succeeded()
    home.run("restore", str(place), "--force").succeeded()
    pd.testing.assert_frame_equal(lake_of(home).read("predictions", "up"), predictions)
    assert list((home.folder / "data").glob("lake.before-*")), "moved aside, not lost"
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_bytes(b"cat")
    assert "has no backups" in home.run("backup", str(other)).failed().said
    assert "no whole backup" in home.run("restore", str(other)).failed().said


@pytest.mark.slow
def test_one_of_several_backups_is_chosen_by_name_or_by_moment(home: Home, tmp_path: Path) -> None:
    place, counts = str(tmp_path / "backups"), []
    for name in ("monday", "tuesday"):
        home.run("backup", place, "--name", name).succeeded()
        counts.append(len(lake_of(home).read("predictions", "up")))
        home.advance()
        home.run("run").succeeded()
    notes = {
        path.stem: json.loads(path.read_text()) for path in (tmp_path / "backups/backups").iterdir()
    }
    for number, at in enumerate(("monday", notes["tuesday"]["made_at"])):
        other = Home(home.copy_to(tmp_path / f"again{number}").folder, home.day)
        shutil.rmtree(other.folder / "data")
        other.run("restore", place, "--at", at).succeeded()
        assert len(lake_of(other).read("predictions", "up")) == counts[number]
    refused = home.run("restore", place, "--at", "wednesday").failed().said
    assert "There are: monday, tuesday." in refused
    assert "2001-01-01 or before" in home.run("restore", place, "--at", "2001-01-01").failed().said


def test_a_backup_adds_what_is_new_to_those_before_it(home: Home, tmp_path: Path) -> None:
    place = str(tmp_path / "backups")
    first = home.run("backup", place, "--name", "one").succeeded().out
    again = home.run("backup", place, "--name", "two").succeeded().out
    new = [int(re.search(r"(\d+) of them new", said)[1]) for said in (first, again)]
    assert new[0] > 50
    assert new[1] <= 2, "locks and databases that were opened since"


@pytest.mark.parametrize("torn", ["missing", "shortened", "flipped"])
def test_a_torn_backup_is_refused_before_anything_is_written(
    home: Home, tmp_path: Path, torn: str
) -> None:
    place = tmp_path / "backups"
    home.run("backup", str(place), "--name", "monday").succeeded()
    note = json.loads((place / "backups/monday.json").read_text())
    path = next(name for name in note["files"] if name.endswith(".parquet"))
    victim = place / "objects" / note["files"][path]["sha256"]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    if torn == "missing":
        victim.unlink()
    else:
        victim.write_bytes(bytes(content if torn == "flipped" else content[:-10]))
    shutil.rmtree(home.folder / "data")
    said = home.run("restore", str(place)).failed().said
    assert f"is torn: the content of {path} is missing or damaged" in said
    assert not (home.folder / "data" / "lake").exists()


def test_what_was_interrupted_is_no_backup(home: Home, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    home.run("backup", str(place), "--name", "monday").succeeded()
    (place / "backups/monday.json").unlink()
    assert "no whole backup" in home.run("restore", str(place), "--force").failed().said


@pytest.mark.parametrize("what", ["form", "schema"])
def test_a_backup_of_a_newer_release_is_refused(tmp_path: Path, what: str) -> None:
    target = Lake(str(tmp_path / "b"))
    schema = json.dumps({"tables": {"decisions": 99}, "written_by": "9.1"}).encode()
    digest = hashlib.sha256(schema).hexdigest()
    target.write_blob(f"objects/{digest}", schema)
    files = {"lake/schema.json": {"sha256": digest, "size": len(schema)}}
    note = {
        "form": 99 if what == "form" else 2, "name": "x", "made_at": "2030-01-01T00:00:00Z",
        "made_by": "9.1", "files": files,
    }  # fmt: skip
    target.write_blob("backups/x.json", json.dumps(note).encode())
    says = "form 99, made by fx-assets 9.1" if what == "form" else "schema version 99"
    with pytest.raises(FxAssetsError, match=says):
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
            back_up(str(tmp_path / "backups"), f"number{n}")
    finally:
        done.set()
        writer.join()
    for n in range(4):
        copy = use(monkeypatch, tmp_path / f"again{n}")
        restore(str(tmp_path / "backups"), f"number{n}")
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
