"""All that a home's stores hold, in a form in which two homes can be compared."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import duckdb
import pandas as pd

from fx_assets.bundles.bundle import champion_ref, load
from fx_assets.bundles.copies import copies_of, damage
from fx_assets.lake import Lake
from fx_assets_tests.homes import Home

FORECAST = "up"
OF_RUNS = {"mlflow_version", "mlflow_run_id", "dagster_run_id", "table_versions", "created_at"}
"""Facts of a bundle that tell of the runs which made it, not of what it is."""
TABLES = ("raw_prices/eur", "prices/eur", "features/eur.ohlc", *(f"{t}/{FORECAST}" for t in (
    "backtest", "decisions", "predictions", "outcomes",
)))  # fmt: skip


def lake_of(home: Home) -> Lake:
    return Lake(str(home.folder / "data" / "lake"), home.folder / "fx.duckdb")


def stores(home: Home) -> dict[str, Any]:
    """Tables, views, bundle, pointer, copies and aliases, and that they agree."""
    lake = lake_of(home)
    tables = {key: rows(lake.read(*key.split("/"))) for key in TABLES}
    newest = lake.read("decisions", FORECAST).sort_values("sequence").iloc[-1]
    pointer = champion_ref(lake, FORECAST)
    bundle = load(lake, FORECAST)
    assert pointer.version == newest["version"], "the pointer is not the ledger's"
    assert not damage(lake, FORECAST, pointer.version)
    facts = bundle.manifest.content
    return {
        **tables,
        "views": views(home),
        "bundle": {name: value for name, value in facts.items() if name not in OF_RUNS},
        "copies": sorted(copies_of(lake, FORECAST, pointer.version)),
        "aliases": aliases(home, bundle.manifest.mlflow_run_id),
    }


def views(home: Home) -> list[str]:
    """The views, read by DuckDB alone; each has the rows of its table."""
    lake = lake_of(home)
    query = "SELECT view_name FROM duckdb_views() WHERE NOT internal"
    with closing(duckdb.connect(str(home.folder / "fx.duckdb"), read_only=True)) as database:
        tables = [name for (name,) in sorted(database.sql(query).fetchall())]
        counts = {table: database.table(table).count("*").fetchall()[0][0] for table in tables}
    stored = {t: sum(len(lake.read(t, name)) for name in lake.names(t)) for t in lake.tables()}
    assert counts == stored, "the views are not the tables'"
    return tables


def aliases(home: Home, champion_run: str) -> dict[str, str]:
    """The candidate of each alias in MLflow; the champion's is the bundle's run."""
    query = (
        "SELECT a.alias, v.run_id, t.value FROM registered_model_aliases a"
        " JOIN model_versions v ON v.name = a.name AND v.version = a.version"
        " JOIN model_version_tags t ON t.name = a.name AND t.version = a.version"
        " WHERE t.key = 'candidate'"
    )
    with closing(sqlite3.connect(home.folder / "data" / "mlflow.db")) as database:
        found = {alias: (run, candidate) for alias, run, candidate in database.execute(query)}
    assert found["champion"][0] == champion_run, "the alias is not the bundle's"
    return {alias: candidate for alias, (_, candidate) in found.items()}


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows in an order of their own, without what tells of the run."""
    plain = table.drop(columns=["table_versions", "ingested_at"], errors="ignore")
    found = json.loads(plain.to_json(orient="records", date_format="iso", double_precision=15))
    return sorted(found, key=lambda row: json.dumps(row, sort_keys=True))
