"""A home that was moved, or copied beside the original, works where it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fx_assets.cli import main
from fx_assets_tests.homes import Home
from fx_assets_tests.states.stores import stores, views


def _addresses(home: Home) -> list[str]:
    """Every cell of MLflow's database that names a place on this machine."""
    found = []
    with closing(sqlite3.connect(home.folder / "data" / "mlflow.db")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"').fetchall():  # noqa: S608
                found += [cell for cell in row if isinstance(cell, str) and "/home" in cell]
    return found


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    stats = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path): (found.st_size, found.st_mtime_ns) for path, found in stats.items()}


def _enter(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in home.variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
def test_a_moved_home_works_from_its_new_place(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    old = home.folder
    moved = Home(old.rename(old.with_name("home of mine")), home.day)
    _enter(moved, monkeypatch)
    assert main(["run"]) == 0
    assert not old.exists()
    assert _addresses(moved)
    assert not [text for text in _addresses(moved) if str(old) + "/" in text]
    assert "decisions" in views(moved)
    moved.advance(6)
    _enter(moved, monkeypatch)
    assert main(["run"]) == 0
    assert not old.exists()
    stores(moved)
    _load_every_model(moved)


@pytest.mark.slow
def test_a_copy_never_writes_below_the_original(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _files(home.folder)
    copy = home.copy_to(home.folder.with_name("homecopy"))
    copy.advance(6)
    _enter(copy, monkeypatch)
    assert main(["run"]) == 0
    assert _files(home.folder) == before
    stores(copy)
    _load_every_model(copy)
    _enter(home, monkeypatch)
    assert main(["run"]) == 0
    stores(home)


def _load_every_model(home: Home) -> None:
    import mlflow

    database = home.folder / "data" / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{database}")
    for version in mlflow.MlflowClient().search_model_versions("name='up'"):
        assert mlflow.onnx.load_model(f"models:/up/{version.version}").graph.output
