"""The compose file, what it hands to runs, and its example of settings agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from fx_assets.alerting.channels import AlertSettings
from fx_assets.assets.lineage import wanted
from fx_assets.settings import Settings
from serving.settings import Settings as ServerSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
ONLY_OF_THE_DAEMON = {
    *("DAGSTER_HOME", "FX_CODE_HOST", "FX_CODE_PORT", "FX_NETWORK", "FX_PLATFORM_IMAGE"),
}
OF_THE_MACHINE = {"DOCKER_GID", "DOCKER_SOCKET"}
SECRETS = re.compile(r"PASSWORD|KEY$|WEBHOOK_URL")


def test_a_run_is_handed_what_its_daemon_has() -> None:
    launcher = yaml.safe_load((DEPLOY / "docker.yaml").read_text())["run_launcher"]
    here = set(COMPOSE["x-environment"]) - ONLY_OF_THE_DAEMON
    assert set(launcher["config"]["env_vars"]) == here


def test_the_server_sees_the_declarations_of_the_platform_and_cannot_change_them() -> None:
    server, platform = COMPOSE["services"]["serving"], COMPOSE["x-environment"]
    assert server["environment"]["FX_ASSETS_DECLARED"] == platform["FX_ASSETS_DECLARED"]
    assert "home:/data:ro" in server["volumes"]
    assert COMPOSE["x-platform"]["volumes"] == ["home:/data"]
    cache = server["environment"]["FX_SERVING_CACHE"]
    assert f"served:{cache}" in server["volumes"]
    assert f"install -d -o fx -g fx /data {cache}\n" in (DEPLOY / "Dockerfile").read_text()


def test_requests_to_mlflow_are_repeated_a_bounded_number_of_times() -> None:
    assert 1 < int(COMPOSE["x-environment"]["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) < 10


@pytest.mark.parametrize("launcher", ["docker.yaml", "celery.yaml"])
def test_dagsters_file_and_the_launchers_are_one_file_in_the_image(launcher: str) -> None:
    joined = (DEPLOY / "dagster.yaml").read_text() + (DEPLOY / launcher).read_text()
    parts = [yaml.safe_load((DEPLOY / name).read_text()) for name in ("dagster.yaml", launcher)]
    assert not set(parts[0]) & set(parts[1])
    assert yaml.safe_load(joined) == parts[0] | parts[1]


def test_what_an_image_copies_is_let_through_to_its_build() -> None:
    let_through = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.M))
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)
    files = {file for line in copied for file in line.split()}
    assert "deploy/worker.sh" in files
    for file in files:
        assert (ROOT / file).exists()
        assert any(fnmatch(file, pattern) for pattern in let_through), file


def test_the_example_of_settings_has_every_setting_and_no_secret() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT)) - OF_THE_MACHINE
    example = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.M))
    assert used - set(example) == {"FX_ASSETS_NOW"}
    assert set(example) <= used
    assert {v for name, v in example.items() if SECRETS.search(name)} == {"", "change-me"}


def names(prefix: str, settings: type[BaseModel], *of_the_image: str) -> set[str]:
    return {f"{prefix}{name.upper()}" for name in set(settings.model_fields) - set(of_the_image)}


def test_every_setting_reaches_the_role_that_reads_it() -> None:
    platform = names("FX_ASSETS_", Settings, "home", "cache", "duckdb")
    platform |= names("FX_ASSETS_ALERTS_", AlertSettings)
    platform |= {"OPENLINEAGE_URL", "OPENLINEAGE_API_KEY", "OPENLINEAGE_CONFIG"}
    assert platform <= set(COMPOSE["x-environment"])
    server = names("FX_SERVING_", ServerSettings, "host", "port")
    assert server <= set(COMPOSE["services"]["serving"]["environment"])


def test_what_is_handed_on_empty_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ServerSettings(), AlertSettings(), Settings()
    for environment in (COMPOSE["x-environment"], COMPOSE["services"]["serving"]["environment"]):
        for name, value in environment.items():
            if value == f"${{{name}:-}}":
                monkeypatch.setenv(name, "")
    assert (ServerSettings(), AlertSettings(), Settings()) == before
    assert not wanted(), "nobody is told of runs"


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_is_pinned_starts_in_order_and_ours_has_no_rights(name: str) -> None:
    service = COMPOSE["services"][name]
    if service["image"].startswith("${FX_"):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    else:
        assert re.search(r":\D*\d", service["image"]), "an image of others has its version"
    for other, how in service.get("depends_on", {}).items():
        healthy = how["condition"] == "service_healthy"
        assert healthy == ("healthcheck" in COMPOSE["services"][other])
    for port in service.get("ports", []):
        assert port.startswith("${FX_ADDRESS:-127.0.0.1}:")
    sockets = [volume for volume in service.get("volumes", []) if "docker.sock" in volume]
    assert bool(sockets) == (name in ("daemon", "webserver"))


def test_prometheus_takes_its_file() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    file = DEPLOY / "monitoring" / "compose.yaml"
    said = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_grafana_is_given_the_dashboard_and_where_its_figures_are() -> None:
    mounted = COMPOSE["services"]["grafana"]["volumes"]
    for volume in mounted[:2]:
        assert (DEPLOY / volume.split(":")[0]).exists()
    folder = DEPLOY / "monitoring" / "grafana"
    sources = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    assert {source["url"] for source in sources} == {
        "http://prometheus:9090",
        "http://alertmanager:9093",
    }
    (provider,) = yaml.safe_load((folder / "dashboards/fx-assets.yaml").read_text())["providers"]
    assert mounted[1].split(":")[1].startswith(provider["options"]["path"])
