"""The images: small, for one user without rights, with a file system that nothing writes to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import NOW, serving, until
from fx_assets.testing.processes import free_port
from fx_assets_tests.containers.engine import HARDENED, ROOT, Engine
from fx_assets_tests.families import cpu_seconds, family

pytestmark = [pytest.mark.slow, pytest.mark.containers, pytest.mark.timeout(1800)]
MEGABYTE = 1_000_000
LIMITS = {"serving": 400, "platform": 1500}
NOT_SERVED = {"dagster", "mlflow", "pandas", "scipy", "scikit-learn", "xgboost", "deltalake"}
LISTED = (
    "from importlib.metadata import distributions; "
    "print(*sorted(f\"{d.metadata['Name']}=={d.version}\" for d in distributions()))"
)


@pytest.fixture(params=sorted(LIMITS))
def image(request: pytest.FixtureRequest) -> str:
    name: str = request.getfixturevalue(f"{request.param}_image")
    return name


def installed(docker: Engine, image: str) -> set[str]:
    said = docker.run("run", "--rm", *HARDENED, image, "python", "-c", LISTED)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in said.split()}


def locked(role: str) -> set[str]:
    lines = (ROOT / "deploy" / f"requirements-{role}.txt").read_text().splitlines()
    return {re.sub(r"[-_.]+", "-", line.split(" ")[0]).lower() for line in lines if "==" in line}


def test_an_image_is_small_labelled_and_for_a_user_without_rights(
    docker: Engine, image: str
) -> None:
    found = docker.inspect(image)
    assert found["Size"] <= LIMITS[image.removeprefix("fx-assets-")] * MEGABYTE
    assert found["Config"]["User"] == "10001:10001"
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.revision"] == "abcdef"


def test_the_platform_can_launch_runs_wherever_it_is_set_up_to(
    docker: Engine, platform_image: str
) -> None:
    program = (
        "import boto3, celery, dagster_celery, dagster_docker, evidently.metrics, faker\n"
        "from dagster_aws.ecs import EcsRunLauncher\n"
        "from dagster_k8s import K8sRunLauncher, k8s_job_executor\n"
        "for name in ('ecs', 'ec2', 'secretsmanager', 'logs', 's3', 'sts'):\n"
        "    boto3.client(name, region_name='eu-west-1')\n"
        "boto3.resource('ec2', region_name='eu-west-1')\n"
        "print(bool(faker.Faker().name()))\n"
    )
    assert docker.run("run", "--rm", *HARDENED, platform_image, "python", "-c", program) == "True\n"


def test_an_image_has_what_is_locked_for_its_role_and_says_so(docker: Engine, image: str) -> None:
    role = image.removeprefix("fx-assets-")
    here = {name for name in installed(docker, image) if not name.startswith("fx-assets==")}
    assert here <= locked(role)
    if role == "serving":
        assert not NOT_SERVED & {name.partition("==")[0] for name in here}
    said = json.loads(docker.run("run", "--rm", *HARDENED, image, "cat", "/venv/sbom.json"))
    parts = {f"{part['name']}=={part['version']}".lower() for part in said["components"]}
    assert {re.sub(r"[-_.]+", "-", part) for part in parts} >= here


def test_a_container_cannot_write_but_to_its_volume(docker: Engine, image: str) -> None:
    program = "import os; open('/data/it', 'w'); os.umask(0); open('/etc/it', 'w')"
    done = subprocess.run(
        ["docker", "run", "--rm", *HARDENED, image, "python", "-c", program],
        env=docker.environment,
        capture_output=True,
        text=True,
    )
    assert "Read-only file system: '/etc/it'" in done.stderr, done.stderr


def test_the_server_answers_read_only_without_rights_in_200_megabytes(
    docker: Engine, serving_image: str, tmp_path: Path
) -> None:
    small_lake.make(tmp_path / "lake")
    port = free_port()
    options = ["--memory", "200m", "--memory-swap", "200m", "-v", f"{tmp_path}/lake:/lake:ro"]
    variables = {"FX_SERVING_PORT": str(port), "FX_ASSETS_LAKE": "/lake", "FX_ASSETS_NOW": NOW}
    with (
        docker.container(serving_image, options=options, environment=variables) as name,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as api,
    ):
        until(lambda: answers(api, "/health/ready"), 120)
        for path in (
            *("", "/latest", "/history", "/performance", "/prices", "/model", "/status"),
            *("/champions", "/series"),
        ):
            answer = api.get(f"/v1/forecasts{'/direction' if path else ''}{path}")
            assert answer.status_code == 200, (path, answer.text)
        body = small_lake.supplied(small_lake.bars())
        answer = api.post("/v1/forecasts/direction/predict/bars", json=body)
        assert answer.status_code == 200, answer.text
        assert docker.memory(name) < 200
        until(lambda: healthy(docker.inspect(name)["State"]), 180)
        assert not docker.inspect(name)["State"]["OOMKilled"]
        assert api.get("/v1/forecasts/direction/latest").status_code == 200


def test_a_cold_start_takes_hardly_more_in_a_container_than_outside(
    docker: Engine, serving_image: str, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """Processor time until champions and tables answer, the least of three starts of each."""
    small_lake.make(tmp_path / "lake")
    outside, inside = [], []
    for number in range(3):
        with serving(tmp_path / "lake", tmp_path / f"home-{number}") as running:
            outside.append(seconds_to_answer(running.client, running.process.pid))
        port = free_port()
        options = ["-v", f"{tmp_path}/lake:/lake:ro"]
        variables = {
            "FX_SERVING_PORT": str(port), "FX_ASSETS_LAKE": "/lake", "FX_ASSETS_NOW": NOW,
            "FX_SERVING_POLL_SECONDS": "0.1",
        }  # fmt: skip
        with (
            docker.container(serving_image, options=options, environment=variables) as name,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as api,
        ):
            inside.append(seconds_to_answer(api, docker.inspect(name)["State"]["Pid"]))
    say(f"cold start: {min(outside):.2f} s of CPU outside, {min(inside):.2f} s in a container")
    assert min(inside) <= 1.5 * min(outside), (inside, outside)


def seconds_to_answer(api: httpx.Client, pid: int) -> float:
    for path in (
        "/health/ready",
        "/v1/forecasts/direction/latest",
        "/v1/forecasts/direction/history",
    ):
        until(lambda path=path: answers(api, path), 120)
    return cpu_seconds(family(pid))


def healthy(state: dict[str, Any]) -> bool:
    """Whether a container's own check has passed; it must not have been ended meanwhile."""
    assert state["Running"], state
    return bool(state["Health"]["Status"] == "healthy")


def answers(api: httpx.Client, path: str) -> bool:
    try:
        return api.get(path).status_code == 200
    except httpx.TransportError:
        return False


def test_the_dockerfile_has_nothing_that_hadolint_objects_to() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    said = subprocess.run([hadolint, "deploy/Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout
