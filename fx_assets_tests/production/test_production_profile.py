"""Production as ``deploy/dagster.yaml`` sets it up: PostgreSQL, S3, and secrets kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from fx_assets.bundles.signing import SigningKey
from fx_assets_tests.homes import Home
from fx_assets_tests.production.home import BUCKET, in_production
from fx_assets_tests.production.servers import ANY, Postgres, postgres, s3

CANARY = "canary0f5ecrets"
KEY = SigningKey.new()
SNAPSHOT = """
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster import serialize_value
from fx_assets.definitions import defs
print(serialize_value(RepositorySnap.from_def(defs().get_repository_def())))
"""


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres(CANARY) as server:
        server.create("dagster")
        server.create("mlflow")
        yield server


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with s3(BUCKET) as address:
        yield address


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory, database: Postgres, storage: str) -> Home:
    """A home of which nothing but declarations and input is on local disk."""
    home = in_production(Home.new(tmp_path_factory.mktemp("production")), database, storage)
    home.environment["FX_ASSETS_SIGNING_KEY"] = KEY.secret
    return home


@pytest.fixture(scope="module")
def said(production: Home) -> str:
    """What the first run in production said."""
    return production.call("run").succeeded().said


def predictions(said: str) -> list[str]:
    return [line for line in said.splitlines() if "P(up)" in line or "prediction" in line]


def test_production_says_what_a_laptop_says(
    said: str, tmp_path: Path, empty_registry: Path
) -> None:
    laptop = Home.new(tmp_path / "laptop", empty_registry).run("run").succeeded().said
    assert predictions(said)
    assert predictions(said) == predictions(laptop)


def test_nothing_of_production_is_on_local_disk(said: str, production: Home) -> None:
    left = {path.name for path in production.folder.rglob("*") if path.is_file()}
    assert not {"mlflow.db", "runs.db", "champion.json"} & left


@pytest.mark.slow
def test_prometheus_is_told_of_the_database_and_the_store(said: str, production: Home) -> None:
    told = production.call("metrics", "--once").succeeded().out
    found = dict(line.rsplit(" ", 1) for line in told.splitlines() if not line.startswith("#"))
    assert {value for name, value in found.items() if "part_failed" in name} == {"0.0"}
    assert float(found["fx_platform_records_bytes"]) > 1e6
    assert float(found['fx_platform_lake_bytes{folder="prices"}']) > 1e3
    assert found['fx_platform_missing_bars{feed="eur",paused="false"}'] == "0.0"
    assert float(found["fx_platform_failed_runs"]) == 0
    assert CANARY not in told


@pytest.mark.slow
def test_a_password_is_nowhere_but_in_the_environment(
    said: str, production: Home, database: Postgres, storage: str
) -> None:
    definitions = subprocess.run(
        [sys.executable, "-c", SNAPSHOT],
        env={**os.environ, **production.variables},
        check=True,
        capture_output=True,
        text=True,
    )
    places = {
        "terminal": said,
        "definitions": definitions.stdout + definitions.stderr,
        "Dagster's records": database.dump("dagster"),
        "MLflow's records": database.dump("mlflow"),
    }
    client = boto3.client(
        "s3", endpoint_url=storage, aws_access_key_id=ANY, aws_secret_access_key=ANY,
        region_name="us-east-1",
    )  # fmt: skip
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    for key in (item["Key"] for page in pages for item in page.get("Contents", [])):
        places[key] = client.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode("latin-1")
    for path in production.folder.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes().decode("latin-1")
    assert len(places) > 50
    secrets = CANARY, KEY.secret
    assert [place for place, text in places.items() if any(s in text for s in secrets)] == []
    (pointer,) = [
        text for place, text in places.items() if place.endswith("lake/bundles/up/champion.json")
    ]
    assert KEY.public.id in pointer


@pytest.mark.slow
def test_lake_mlflow_and_dagster_are_put_away_by_one_command_and_taken_out_elsewhere(
    said: str, production: Home, database: Postgres
) -> None:
    answer = production.call("backup", f"s3://{BUCKET}/backups", "--name", "monday").succeeded()
    assert "is not in it" not in answer.said
    assert CANARY not in answer.said
    for name in ("dagster", "mlflow"):
        database.create(f"{name}_again")
    again = Home(production.folder, production.day, dict(production.environment))
    again.environment |= {
        "DAGSTER_PG_URL": database.url("dagster_again"),
        "FX_ASSETS_MLFLOW": database.url("mlflow_again"),
        "FX_ASSETS_MLFLOW_ARTIFACTS": f"s3://{BUCKET}/artifacts_again",
        "FX_ASSETS_LAKE": f"s3://{BUCKET}/lake_again",
    }
    refused = production.call("restore", f"s3://{BUCKET}/backups").failed().said
    assert "is something already" in refused
    assert CANARY not in refused
    again.call("restore", f"s3://{BUCKET}/backups", "--at", "monday").succeeded()
    for name in ("dagster", "mlflow"):
        counted = {database.ask(n, "select count(*) from runs") for n in (name, f"{name}_again")}
        assert len(counted) == 1
    again.advance()
    told = again.call("run").succeeded().out
    assert "there is no champion yet" not in told
