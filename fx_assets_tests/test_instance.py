"""Dagster's records are made faster than by Dagster, and are the same."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from fx_assets.errors import FxAssetsError
from fx_assets.instance import close_records, open_instance


def made(file: Path) -> list[tuple[object, ...]]:
    """Tables and indexes of a file, its revision and how it is written."""
    with sqlite3.connect(file) as connection:
        return [
            *connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name"),
            *connection.execute("SELECT * FROM alembic_version"),
            *connection.execute("PRAGMA journal_mode"),
        ]


def lived(home: Path) -> list[list[tuple[object, ...]]]:
    """The files of the records after two runs that were heard of."""
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    instance = open_instance(home)
    for run in ("first", "second"):
        instance.report_engine_event("begun", job_name="a_job", run_id=run)
        assert [entry.run_id for entry in instance.all_logs(run)] == [run]
    close_records()
    records = home / "history" / "runs"
    names = {file.name.split("-")[0] for file in records.iterdir()}
    assert names == {"index.db", "first.db", "second.db"}
    return [made(records / name) for name in sorted(names)]


def test_files_of_records_that_are_copied_are_those_that_dagster_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("this disk knows no links")

    found = []
    for name in ("copied", "by dagster"):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        found.append(lived(home))
        monkeypatch.setattr(os, "link", refused)
    assert found[0] == found[1]


def test_a_file_that_another_process_is_beginning_is_left_to_it_and_then_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def late(copy: Path, file: Path) -> None:
        file.touch()
        link(copy, file)

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(os, "link", late)
    assert len(lived(tmp_path)) == 3


@pytest.mark.parametrize(
    ("named", "said"), [("", "has no dagster.yaml"), ("away", "DAGSTER_HOME is away")]
)
def test_a_home_that_does_not_say_where_records_are_is_refused_with_what_to_do(
    named: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", named)
    with pytest.raises(FxAssetsError, match=said) as refused:
        open_instance(tmp_path)
    assert "dagster.yaml" in refused.value.remedy
