"""What earlier releases wrote opens, goes on without a lost row, is served; newer is refused."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets.lake.schema import FILE
from fx_assets.tables import CATALOGUE
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.homes import Home

HERE = Path(__file__).parent
APPENDED = {table.name for table in CATALOGUE if table.written == "appended"}
NEWEST = pytest.param("november_21", marks=pytest.mark.slow)


def home_of(release: str, folder: Path) -> Home:
    """Its home, on the evening three bars later."""
    with tarfile.open(HERE / f"{release}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    home = Home(folder, pd.Timestamp("2019-05-15"))
    home.environment |= {
        "FX_ASSETS_NOW": "2019-05-15T18:00:00+00:00",
        "FX_ASSETS_ECB_SNAPSHOT": str(folder / "2019-05-15.zip"),
        "FX_ASSETS_ECB_HISTORY_URL": "http://127.0.0.1:9/history.zip",
        "FX_ASSETS_ECB_DAILY_URL": "http://127.0.0.1:9/daily.xml",
        "FX_ASSETS_HTTP_ATTEMPTS": "1",
    }
    return home


def lake_of(home: Home) -> Lake:
    return Lake(str(home.folder / "data" / "lake"))


def rows_of(lake: Lake) -> dict[str, pd.DataFrame]:
    """Every appended table as it is."""
    return {
        f"{table}/{name}": lake.read(table, name)
        for table in lake.tables()
        if table in APPENDED
        for name in lake.names(table)
    }


def require_kept(before: dict[str, pd.DataFrame], lake: Lake) -> None:
    """Every row of then is there, in the columns of then."""
    for key, rows in before.items():
        now = lake.read(*key.split("/"))[list(rows)]
        shared = pd.concat([rows, now.astype(rows.dtypes)]).astype(str)
        assert len(shared.drop_duplicates()) == len(now.astype(str).drop_duplicates()), key


def goes_on(home: Home, before: dict[str, pd.DataFrame]) -> None:
    said = home.run("run").succeeded().out
    assert "there is no champion yet" not in said
    lake = lake_of(home)
    require_kept(before, lake)
    assert len(lake.read("predictions", "up")) == len(before["predictions/up"]) + 3
    assert len(lake.read("decisions", "up")) > len(before["decisions/up"])
    early = len(before["predictions/up"])
    said = home.run("verify", "up").succeeded().out
    assert f"{early + 3} rows, {early} of them of before it had a chain" in said
    rows = lake.read("predictions", "up").sort_values("event_time", ignore_index=True)
    rows.loc[0, "prediction"] += 1e-9
    lake.replace("predictions", "up", rows)
    said = home.run("verify").failed().out
    assert f"{rows['event_time'][0]:%Y-%m-%d %H:%M}" in said
    assert "was changed" in said


@pytest.mark.parametrize("release", [NEWEST, "november_28"])
def test_an_earlier_lake_goes_on_without_a_migration(release: str, tmp_path: Path) -> None:
    home = home_of(release, tmp_path)
    goes_on(home, rows_of(lake_of(home)))


@pytest.mark.slow
def test_the_first_release_is_migrated_goes_on_and_is_served(tmp_path: Path) -> None:
    home = home_of("first_release", tmp_path)
    before = rows_of(lake_of(home))
    said = home.run("migrate", "--dry-run").succeeded().out
    assert "would  mark the lake for this release (decisions 2)" in said
    assert "would  predictions/up: add series" in said
    assert "would  bundles/up/1: keep second copies of its files" in said
    assert not (tmp_path / "data/lake" / FILE).exists(), "a dry run does nothing"
    done = home.run("migrate").succeeded().out
    assert done.count(" done  ") >= 8
    assert "Everything is as this release writes it." in home.run("migrate").succeeded().out
    require_kept(before, lake_of(home))
    goes_on(home, before)
    lake = tmp_path / "data" / "lake"
    with serving(lake, tmp_path / "server", now=home.environment["FX_ASSETS_NOW"]) as server:
        until(lambda: server.client.get("/v1/forecasts/up/latest").status_code == 200)
        rows = server.client.get("/v1/forecasts/up/history").json()["rows"]
    assert len(rows) == len(before["predictions/up"]) + 3


def test_a_migration_that_was_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_of("first_release", tmp_path)
    before, widen, calls = rows_of(lake_of(home)), Lake.widen, []

    def interrupted(self: Lake, table: str, name: str, dtypes: dict[str, str]) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(table)
        widen(self, table, name, dtypes)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "widen", interrupted)
        assert home.run("migrate").code == 130
    said = home.run("migrate").succeeded().out
    for table in calls:
        assert f"{table}/up: add" not in said
    assert "scores/up: add series" in said
    assert "Everything is as this release writes it." in home.run("migrate").succeeded().out
    require_kept(before, lake_of(home))


def newer_lake(home: Home) -> Lake:
    note = {"tables": {"decisions": 99}, "written_by": "9.1"}
    lake = lake_of(home)
    lake.write_blob(FILE, json.dumps(note).encode())
    return lake_of(home)


def test_a_lake_of_a_newer_release_is_refused_by_readers_writers_and_the_server(
    tmp_path: Path,
) -> None:
    home = home_of("november_28", tmp_path)
    lake = newer_lake(home)
    says = r"written by fx-assets 9\.1: its table decisions has schema version 99, .* version 2"
    with pytest.raises(LakeError, match=says):
        lake.read("predictions", "up")
    with pytest.raises(LakeError, match=says):
        lake.append("log", "x", pd.DataFrame({"n": [1]}))
    for command in (("run",), ("migrate",), ("show",)):
        answer = home.run(*command).failed()
        assert "schema version 99" in answer.said
        assert "Use fx-assets 9.1 or later with this lake." in answer.said
    assert not lake.blob_exists("log/x/_delta_log/00000000000000000000.json")
    with serving(tmp_path / "data" / "lake", tmp_path / "server") as server:
        answered = server.client.get("/v1/forecasts/up/latest")
        assert answered.status_code == 503
        assert "schema version 99" in answered.text


@pytest.mark.slow
def test_an_mlflow_database_of_a_newer_release_is_refused_with_both_revisions(
    tmp_path: Path,
) -> None:
    home = home_of("november_28", tmp_path)
    with closing(sqlite3.connect(tmp_path / "data" / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'fff999fff999'")
    answer = home.run("migrate").failed()
    assert "is at revision fff999fff999, which MLflow" in answer.err
    assert "Install the MLflow that did" in answer.err
    assert "a newer MLflow has upgraded it" in home.run("run", "--retrain").failed().said


def test_a_bundle_of_a_newer_format_is_refused_with_both_formats(tmp_path: Path) -> None:
    home = home_of("november_28", tmp_path)
    path = tmp_path / "data/lake/bundles/up/champion.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 7}))
    with serving(tmp_path / "data" / "lake", tmp_path / "server") as server:
        refused = server.client.get("/v1/forecasts/up/latest")
    assert refused.status_code == 503
    assert "is of format 7, which a newer release of fx-assets wrote" in refused.text
    assert "reads formats up to 1" in refused.text
    assert home.folder.exists()
