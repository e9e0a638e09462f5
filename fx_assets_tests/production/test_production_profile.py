"""Production as ``deploy/dagster.yaml`` sets it up: PostgreSQL, S3, and secrets kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest

from fx_assets.bundles.signing import SigningKey
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets.testing.processes import free_port, running
from fx_assets_tests.homes import Home
from fx_assets_tests.production.home import BUCKET, in_production
from fx_assets_tests.production.servers import ANY, Postgres, postgres, s3

CANARY = "canary0f5ecrets"
KEY = SigningKey.new()
REDIS = f"redis://:{CANARY}@127.0.0.1:9/0"
NOWHERE = f"http://desk:{CANARY}@127.0.0.1:9/{CANARY}"
OTHERS = {
    "FX_ASSETS_TWELVE_DATA_KEY": CANARY,
    "FX_ASSETS_COINGECKO_KEY": CANARY,
    "FX_ASSETS_CRYPTOCOMPARE_KEY": CANARY,
    "FX_ASSETS_ALERTS_WEBHOOK_URL": NOWHERE,
    "FX_ASSETS_ALERTS_SLACK_WEBHOOK_URL": NOWHERE,
    "FX_ASSETS_ALERTS_SMTP_HOST": "127.0.0.1",
    "FX_ASSETS_ALERTS_SMTP_PORT": "9",
    "FX_ASSETS_ALERTS_SMTP_USER": "desk",
    "FX_ASSETS_ALERTS_SMTP_PASSWORD": CANARY,
    "FX_ASSETS_ALERTS_EMAIL_TO": "desk@example.org",
    "FX_ASSETS_EXECUTOR": "celery",
    "FX_ASSETS_EXECUTOR_CONFIG": f'{{"broker": "{REDIS}", "backend": "{REDIS}"}}',
    "OPENLINEAGE_URL": NOWHERE,
    "OPENLINEAGE_API_KEY": CANARY,
}
"""What else a deployment may be given, at addresses where nobody answers."""
ASKED = (
    "{ instance { info runLauncher { name } } }",
    """{ repositoriesOrError { ... on RepositoryConnection { nodes {
        allTopLevelResourceDetails { name configFields { name defaultValueAsJson }
          configuredValues { key value } }
        sensors { name description } jobs { name description } } } } }""",
    """{ workspaceOrError { ... on Workspace { locationEntries { name
        locationOrLoadError { ... on PythonError { message stack } } } } } }""",
    "{ runsOrError { ... on Runs { results { runConfigYaml tags { key value } } } } }",
    """{ assetNodes { description metadataEntries { label description
        ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString } } } }""",
)
"""Of Dagster's pages, what may show how it is set up."""
ROUTES = (
    *("/", "/docs", "/metrics", "/health/ready", "/v1/forecasts", "/v1/models/x"),
    *(f"/v1/forecasts/up{path}" for path in ("/latest", "/model", "/status", "/history")),
)
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


def told_by_dagster(home: Home, folder: Path) -> Iterator[tuple[str, str]]:
    """What its pages are made of, and its log."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("dagster-webserver")),
        *("-m", "fx_assets.definitions", "-p", str(port)),
    ]
    with running(
        command, "/server_info", port=port, folder=folder, environment=home.variables, patience=300
    ) as server:
        for query in ASKED:
            answer = httpx.post(
                f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=300
            )
            assert "errors" not in answer.json(), answer.text
            yield query, answer.text
    yield "Dagster's log", server.log.read_text()


def told_by_the_server(home: Home, folder: Path) -> Iterator[tuple[str, str]]:
    """What it answers, and its log; what counts requests does not answer."""
    limited = {"rate_limit": "9000/second", "rate_limit_storage": REDIS}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.variables.items():
            patch.setenv(name, value)
        patch.setenv("FX_SERVING_PUBLIC_KEYS", KEY.public.text)
        lake, now = home.environment["FX_ASSETS_LAKE"], home.variables["FX_ASSETS_NOW"]
        with serving(lake, folder, now=now, **limited) as server:
            until(lambda: server.client.get("/v1/forecasts/up/latest").status_code == 200)
            for path in ROUTES:
                yield f"GET {path}", server.client.get(path).text
    yield "the server's log", server.log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_password_is_nowhere_but_in_the_environment(
    said: str, production: Home, database: Postgres, storage: str, tmp_path: Path
) -> None:
    given = Home(production.folder, production.day, {**production.environment, **OTHERS})
    definitions = subprocess.run(
        [sys.executable, "-c", SNAPSHOT],
        env={**os.environ, **given.variables},
        check=True,
        capture_output=True,
        text=True,
    )
    page = tmp_path / "up.html"
    commands = (
        *(("run",), ("report", "up", "--to", str(page)), ("metrics", "--once")),
        *(("keys", "show"), ("check",)),
    )
    places = {
        "terminal": said,
        **{" ".join(words): given.call(*words).succeeded().said for words in commands},
        "report": page.read_text(),
        **dict(told_by_dagster(given, tmp_path)),
        **dict(told_by_the_server(given, tmp_path / "server")),
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
