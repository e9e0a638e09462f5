"""From nothing to a served forecast, with the commands and the environment of the compose file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fx_assets_tests.containers.engine import Engine
from fx_assets_tests.containers.stack import Stack, stack
from fx_assets_tests.homes import Home

pytestmark = [pytest.mark.slow, pytest.mark.containers, pytest.mark.timeout(2400)]
PASSWORD = "canary0f5ecrets"  # noqa: S105
PATIENCE_SECONDS = 1200
RUNS = """{ runsOrError(limit: 100) { ... on Runs { results {
    jobName status tags { key value } } } } }"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.new(tmp_path_factory.mktemp("declared"))


@pytest.fixture(scope="module")
def deployed(
    docker: Engine, platform_image: str, home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The stack, up."""
    folder = tmp_path_factory.mktemp("stack")
    variables = {
        "FX_ASSETS_DECLARED": "defs",
        "FX_ASSETS_NOW": home.variables["FX_ASSETS_NOW"],
        "FX_ASSETS_ALERTS_WEBHOOK_URL": "http://127.0.0.1:9/nobody",
    }
    with stack(docker, folder, home.folder, PASSWORD, **variables) as made:
        began = time.monotonic()
        try:
            made.compose("up", "-d")
        except AssertionError as error:
            error.add_note(made.compose("logs", "--tail", "30", check=False))
            raise
        made.began = began
        yield made


def eventually(found: Callable[[], Any], stack: Stack) -> Any:
    """What is found at last; with the daemon's last words if it is not."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            value = found()
        except httpx.HTTPError:
            value = None
        if value:
            return value
        assert time.monotonic() < end, stack.compose("logs", "--tail", "40", check=False)
        time.sleep(2)


def runs(deployed: Stack) -> list[dict[str, Any]]:
    answer = httpx.post(
        f"{deployed.address('webserver')}/graphql", json={"query": RUNS}, timeout=60
    )
    found: list[dict[str, Any]] = answer.json()["data"]["runsOrError"]["results"]
    return found


@pytest.fixture(scope="module")
def served(deployed: Stack, say: Callable[[str], None]) -> dict[str, Any]:
    """The forecast that nobody has asked for but sensors."""

    def latest() -> dict[str, Any] | None:
        url = f"{deployed.address('serving')}/v1/forecasts/up/latest"
        answer = httpx.get(url, timeout=30)
        return answer.json() if answer.status_code == 200 else None

    found: dict[str, Any] = eventually(latest, deployed)
    say(f"from `up` to a served forecast: {time.monotonic() - deployed.began:.0f} s")
    return found


def test_a_forecast_is_served_that_equals_a_laptops(
    served: dict[str, Any], tmp_path: Path, empty_registry: Path
) -> None:
    said = Home.new(tmp_path / "laptop", empty_registry).run("run").succeeded().said
    assert f"P(up) {100 * served['value']:.1f} %" in said, (served, said)


def test_runs_have_containers_of_their_own_which_are_gone_when_they_are_done(
    served: dict[str, Any], deployed: Stack
) -> None:
    def ended() -> list[dict[str, Any]]:
        found = runs(deployed)
        going = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
        return [] if any(run["status"] in going for run in found) else found

    for run in eventually(ended, deployed):
        assert run["status"] == "SUCCESS", run
        assert "docker/container_id" in {tag["key"] for tag in run["tags"]}
    label = ["--filter", "label=dagster/run_id"]
    eventually(lambda: not deployed.engine.run("ps", "-aq", *label).strip(), deployed)


def test_every_service_is_healthy_without_rights_and_cannot_write(
    served: dict[str, Any], deployed: Stack
) -> None:
    for service in ("mlflow", "code", "webserver", "daemon", "serving", "sql", "watcher"):
        eventually(
            lambda s=service: deployed.container(s)["State"]["Health"]["Status"] == "healthy",
            deployed,
        )
        found = deployed.container(service)
        assert found["HostConfig"]["ReadonlyRootfs"]
        assert found["HostConfig"]["CapDrop"] == ["ALL"]
        assert found["Config"]["User"] == "10001:10001"


def test_experiments_are_in_mlflow_and_rows_in_the_sql_window(
    served: dict[str, Any], deployed: Stack
) -> None:
    asked = httpx.post(
        f"{deployed.address('mlflow')}/api/2.0/mlflow/experiments/search",
        json={"max_results": 10},
        timeout=60,
    )
    assert "up" in {found["name"] for found in asked.json()["experiments"]}
    question = {
        "sql": "select forecast, prediction from predictions order by event_time desc limit 1"
    }
    answer = httpx.post(f"{deployed.address('sql')}/query", json=question, timeout=60)
    assert answer.json()["rows"][0][0] == "up", answer.text


def test_prometheus_is_told_of_the_platform(served: dict[str, Any], deployed: Stack) -> None:
    def told() -> dict[str, float]:
        lines = httpx.get(f"{deployed.address('watcher')}/metrics", timeout=30).text.splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    eventually(lambda: told().get("fx_platform_records_bytes", 0) > 0, deployed)
    found = told()
    assert all(value == 0 for name, value in found.items() if "part_failed" in name), found
    # The lake is weighed every ten minutes; who asks once weighs it now.
    once = deployed.compose("exec", "-T", "watcher", "fx-assets", "metrics", "--once")
    assert 'fx_platform_lake_bytes{folder="prices"}' in once
    assert "fx_platform_daemon_heartbeat_timestamp_seconds" in str(found)


def test_no_log_says_the_password(served: dict[str, Any], deployed: Stack) -> None:
    assert PASSWORD not in deployed.compose("logs")
