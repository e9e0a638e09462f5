"""Dagster's records are made faster than by Dagster, and are the same."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import dagster as dg
import pytest

from fx_assets.instance import close_records, open_instance


def made(file: Path) -> list[tuple[object, ...]]:
    """Tables and indexes of a file, its revision and how it is written."""
    with sqlite3.connect(file) as connection:
        return [
            *connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name"),
            *connection.execute("SELECT * FROM alembic_version"),
            *connection.execute("PRAGMA journal_mode"),
        ]


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return tmp_path / "history" / "runs"


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_the_files_of_runs_begin_as_dagsters_own_begins(
    records: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("links are not known here")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    instance = open_instance(records.parents[1])
    for run in ("first", "second"):
        instance.report_engine_event("begun", job_name="a_job", run_id=run)
        assert [entry.run_id for entry in instance.all_logs(run)] == [run]
    close_records()
    whole = made(records / "index.db")
    assert made(records / "first.db") == made(records / "second.db") == whole
    assert {file.name.split("-")[0] for file in records.iterdir()} == {
        "index.db",
        "first.db",
        "second.db",
    }


def test_a_file_that_another_process_is_beginning_is_left_to_it_and_then_used(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = open_instance(records.parents[1])
    instance.report_engine_event("begun", job_name="a_job", run_id="first")
    link = os.link

    def late(copy: Path, file: Path) -> None:
        file.touch()
        link(copy, file)

    monkeypatch.setattr(os, "link", late)
    instance.report_engine_event("begun", job_name="a_job", run_id="second")
    assert isinstance(instance, dg.DagsterInstance)
    assert len(instance.all_logs("second")) == 1
