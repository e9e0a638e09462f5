"""The window shows what is in the lake's tables, and nothing else can be had through it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from fx_assets.lake import Lake
from fx_assets.sql_window.queries import MOST_ROWS, Queries, QueryError
from fx_assets.sql_window.server import create_app

Ask = Callable[..., Any]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    known = pd.Timestamp("2026-10-30", tz="UTC").as_unit("us")
    lake.append("prices", "eurusd", pd.DataFrame({"event_time": [known], "close": [1.15]}))
    return lake


@pytest.fixture
def client(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("FX_ASSETS_LAKE", lake.root)
    return TestClient(create_app())


def test_tables_are_listed_and_rows_shown_with_names_and_types(client: TestClient) -> None:
    asked = client.post("/query", json={"sql": "show tables"}).json()
    assert ["prices"] in asked["rows"]
    asked = client.post("/query", json={"sql": "select close, feed, event_time from prices"}).json()
    assert asked["columns"] == ["close", "feed", "event_time"]
    assert asked["types"][0] == "DOUBLE"
    assert asked["rows"][0][:2] == ["1.15", "eurusd"]
    assert not asked["more"]


def test_new_rows_are_seen_soon(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fx_assets.sql_window.queries.FRESH_SECONDS", 0.0)
    queries = Queries(lake)
    assert queries.ask("select count(*) from prices").rows == [[1]]
    lake.append("prices", "eurusd", lake.read("prices", "eurusd"))
    assert queries.ask("select count(*) from prices").rows == [[2]]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/etc/*')",
        "select * from read_parquet('http://127.0.0.1:1/x.parquet')",
        "select * from PAGE",
        "select * from os",
        "copy prices to '/tmp/stolen.csv'",
        "copy (select 1) to '/tmp/stolen.csv'",
        "export database '/tmp/stolen'",
        "attach '/tmp/stolen.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set memory_limit = '100GB'",
        "pragma database_list",
        "create table t (n integer)",
        "insert into prices select * from prices",
        "drop view prices",
        "select 1; drop view prices",
        "",
        "nonsense",
        "select getenv('PATH')",
        "select * from prices where no_such_column = 1",
    ],
)
def test_what_does_not_read_the_lakes_tables_is_refused(client: TestClient, sql: str) -> None:
    answer = client.post("/query", json={"sql": sql})
    assert answer.status_code in (400, 422), answer.text
    again = client.post("/query", json={"sql": "select count(*) from prices"})
    assert again.json()["rows"] == [[1]]
    assert not Path("/tmp/stolen.csv").exists()  # noqa: S108


def test_a_question_that_takes_too_long_or_too_much_is_given_up(lake: Lake) -> None:
    queries = Queries(lake, seconds=0.3)
    with pytest.raises(QueryError, match=r"longer than 0\.3 s"):
        queries.ask("select sum(a.range * b.range) from range(10000000) a, range(10000000) b")
    with pytest.raises(QueryError, match=r"[Mm]emory"):
        Queries(lake).ask("select list(range) from range(2000000000)")
    assert queries.ask("select 1").rows == [[1]]


def test_many_rows_are_cut_and_the_page_is_told(lake: Lake) -> None:
    answer = Queries(lake).ask("from range(1000000)")
    assert len(answer.rows) == MOST_ROWS
    assert answer.more


def test_a_form_of_another_site_cannot_ask(client: TestClient) -> None:
    answer = client.post("/query", data={"sql": "show tables"})
    assert answer.status_code == 422
    text = client.post(
        "/query", content='{"sql": "show tables"}', headers={"content-type": "text/plain"}
    )
    assert text.status_code == 422


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "http" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
