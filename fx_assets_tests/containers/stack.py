"""``deploy/compose.yaml`` where images of others cannot be pulled: packages have their services.

Commands, environment and order of our own services stay as they are written. What differs is where
PostgreSQL and the store are, and that everything is on the network of the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fx_assets.testing.processes import free_port
from fx_assets_tests.containers.engine import ROOT, Engine
from fx_assets_tests.production.servers import ANY, Postgres, object_store, postgres

COMPOSE = ROOT / "deploy" / "compose.yaml"
PORTS = {
    "5000": "mlflow", "4000": "code", "3000": "webserver", "8000": "serving", "8001": "sql",
    "9464": "watcher",
}  # fmt: skip
HOME_VOLUME = "fx-home"


@dataclass
class Stack:
    """A deployment that is up."""

    engine: Engine
    database: Postgres
    file: Path
    ports: dict[str, int]
    environment: dict[str, str]
    keys: dict[str, str]
    """By which others reach its store."""
    began: float = 0.0
    """When it was told to come up, by the monotonic clock."""

    def address(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*command(), "-p", "fxtest", "-f", str(self.file), *arguments],
            env={**self.engine.environment, **self.environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def container(self, service: str) -> dict[str, Any]:
        return self.engine.inspect(self.compose("ps", "-q", service).strip())


def command() -> list[str]:
    """Compose of either kind."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True)
    if plugin.returncode == 0 and b"ompose" in plugin.stdout:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("docker compose is not installed: apt-get install docker-compose")


def ours(text: str, places: dict[str, str], ports: dict[str, int]) -> dict[str, Any]:
    """Our services of the file, on the machine's network."""
    for written, place in places.items():
        text = text.replace(written, place)
    described: dict[str, Any] = yaml.safe_load(text)
    services = {
        name: service
        for name, service in described["services"].items()
        if service["image"].startswith("${FX_")
    }
    for name, service in services.items():
        for key in ("networks", "ports", "build"):
            service.pop(key, None)
        service["network_mode"] = "host"
        service["command"] = _moved(service.get("command", []), name, ports)
        if health := service.get("healthcheck"):
            health["test"] = [_with_ports(word, ports) for word in health["test"]]
        environment = service.setdefault("environment", {})
        environment |= {
            "FX_CODE_HOST": "127.0.0.1",
            "FX_CODE_PORT": str(ports["code"]),
            "FX_NETWORK": "host",
        }
        needs = service.get("depends_on", {})
        service["depends_on"] = {other: how for other, how in needs.items() if other in services}
    return {
        "version": described["version"],
        "services": services,
        "volumes": {name: described["volumes"][name] for name in ("home", "served", "receivers")},
    }


def _with_ports(word: str, ports: dict[str, int]) -> str:
    for port, service in PORTS.items():
        word = word.replace(f":{port}", f":{ports[service]}")
    return word


def _moved(words: list[str], name: str, ports: dict[str, int]) -> list[str]:
    moved = [str(ports[PORTS[word]]) if word in PORTS else word for word in words]
    return [*moved, "--port", str(ports[name])] if name in ("sql", "watcher") else moved


@contextmanager
def stack(
    engine: Engine, folder: Path, home: Path, password: str, **environment: str
) -> Iterator[Stack]:
    """PostgreSQL, an empty store and a home with declarations; what comes ``up`` is the test's."""
    ports = {service: free_port() for service in PORTS.values()}
    with postgres(password) as database, object_store() as store:
        places = {
            "@postgres:5432": f"@127.0.0.1:{database.port}",
            "http://s3:9000": f"http://127.0.0.1:{store}",
            "AWS_ACCESS_KEY_ID: fx": "AWS_ACCESS_KEY_ID: any",
        }
        described = ours(COMPOSE.read_text(), places, ports)
        described["services"]["serving"]["environment"]["FX_SERVING_PORT"] = str(ports["serving"])
        file = folder / "compose.json"
        file.write_text(json.dumps(described))
        variables = {
            "FX_PASSWORD": password,
            "DOCKER_SOCKET": engine.socket.removeprefix("unix://") or "/var/run/docker.sock",
            **environment,
        }
        variables["DOCKER_GID"] = str(os.stat(variables["DOCKER_SOCKET"]).st_gid)
        keys = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ANY,
            "AWS_SECRET_ACCESS_KEY": ANY,
            "AWS_ALLOW_HTTP": "true",
        }
        made = Stack(engine, database, file, ports, variables, keys)
        home.chmod(0o755)
        into = ["-v", f"{HOME_VOLUME}:/data", "-v", f"{home}:/from:ro"]
        try:
            engine.run(
                *("run", "--rm", "--network", "none", *into, engine.built["platform"]),
                *("cp", "-r", "/from/.", "/data"),
            )
            yield made
        finally:
            made.compose("down", "-v", "--timeout", "20", check=False)
            left = engine.run("ps", "-aq", "--filter", "label=dagster/run_id").split()
            if left:
                engine.run("rm", "-f", *left)
            engine.run("volume", "rm", "-f", HOME_VOLUME)
