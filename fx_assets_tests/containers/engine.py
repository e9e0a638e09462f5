"""A Docker engine of the tests' own, and a base image where no registry can be reached.

An engine that ``DOCKER_HOST`` names is used instead, and left as it was found but for images.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OFFICIAL = "python:3.11-slim-bookworm"
MADE = "fx-test-base"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
ALONE = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver", "overlay2"]
"""Options of an engine that changes nothing about the network of the machine."""
HARDENED = [
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"),
    *("--tmpfs", "/tmp", "--network", "host"),  # noqa: S108
]


@dataclass
class Engine:
    """A running engine; commands are those that people type."""

    socket: str
    base: str = OFFICIAL
    built: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "0"}

    def run(self, *arguments: str, **options: Any) -> str:
        """What ``docker`` says."""
        done = subprocess.run(
            ["docker", *arguments],
            env=self.environment, capture_output=True, text=True, **options,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def build(self, target: str) -> str:
        """The name of one of our images, built once; FX_TEST_IMAGES=present takes what is there."""
        name = f"fx-assets-{target}"
        if os.environ.get("FX_TEST_IMAGES") == "present":
            self.built[target] = name
        if target not in self.built:
            self.run(
                *("build", "--network", "host", "-f", "deploy/Dockerfile", "--target", target),
                *("--build-arg", f"BASE={self.base}", "--build-arg", "VERSION=1.2.3"),
                *("--build-arg", "COMMIT=abcdef", "-t", name, "."),
                cwd=ROOT,
            )
            self.built[target] = name
        return self.built[target]

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("inspect", name))[0]
        return found

    @contextmanager
    def container(
        self, image: str, *command: str, options: list[str], environment: Mapping[str, str]
    ) -> Iterator[str]:
        """A running container, gone with the block."""
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        name = self.run("run", "-d", *HARDENED, *options, *variables, image, *command).strip()
        try:
            yield name
        finally:
            self.run("rm", "-f", name)

    def memory(self, container: str) -> float:
        """Megabytes that a container's processes take, files in the cache left out."""
        said = self.run("stats", "--no-stream", "--format", "{{json .}}", container)
        used: str = json.loads(said)["MemUsage"].split(" / ")[0]
        unit = next(u for u in ("GiB", "MiB", "KiB") if used.endswith(u))
        return float(used.removesuffix(unit)) * {"GiB": 1024, "MiB": 1, "KiB": 1 / 1024}[unit]


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine with a base image; skips the test where none can be had."""
    if not shutil.which("docker"):
        pytest.skip("docker is not installed: apt-get install docker.io debootstrap docker-compose")
    given = os.environ.get("DOCKER_HOST", "")
    if _answers(given):
        found = Engine(given)
        found.base = _base(found)
        yield found
        return
    if os.getuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("no Docker engine answers, and only root can start one")
    folder = Path(tempfile.mkdtemp(prefix="fx-engine-"))
    socket, pid = f"unix://{folder}/socket", folder / "pid"
    places = ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", pid]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["dockerd", *ALONE, *places, "-H", socket], stdout=log, stderr=log
        )
    try:
        for _ in range(300):
            if _answers(socket) or process.poll() is not None:
                break
            time.sleep(0.2)
        if not _answers(socket):
            pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text()[-500:]}")
        found = Engine(socket)
        found.base = _base(found)
        yield found
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(socket: str) -> bool:
    environment = {**os.environ, "DOCKER_HOST": socket} if socket else dict(os.environ)
    asked = subprocess.run(["docker", "info"], env=environment, capture_output=True)
    return asked.returncode == 0 and b"Server Version" in asked.stdout


def _base(found: Engine) -> str:
    """The official image, or what it is made from: Debian with Python."""
    for name in (MADE, OFFICIAL):
        if (
            name
            in found.run("images", "--format", "{{.Repository}}:{{.Tag}}\n{{.Repository}}").split()
        ):
            return name
    pull = subprocess.run(
        ["timeout", "60", "docker", "pull", "-q", OFFICIAL],
        env=found.environment,
        capture_output=True,
    )
    if pull.returncode == 0:
        return OFFICIAL
    if os.getuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("no registry can be reached, and debootstrap is not installed")
    with tempfile.TemporaryDirectory(prefix="fx-debian-") as folder:
        root = Path(folder)
        packages = "--include=python3,python3-venv,libgomp1,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", folder],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for name in ("cache/apt", "lib/apt/lists"):
            shutil.rmtree(root / "var" / name)
        for name in ("doc", "info", "locale", "man"):
            shutil.rmtree(root / "usr/share" / name)
        _hand_over_package_settings(root)
        packed = subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE)
        found.run("import", "-", MADE, stdin=packed.stdout)
        packed.wait()
    return MADE


def _hand_over_package_settings(root: Path) -> None:
    """How this machine reaches package indexes, which no committed file says."""
    shutil.copy(CERTIFICATES, root / CERTIFICATES.removeprefix("/"))
    lines = ["[global]", f"cert = {CERTIFICATES}"]
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
    )
    if asked.returncode == 0:
        lines.append(f"index-url = {asked.stdout.strip()}")
    (root / "etc/pip.conf").write_text("\n".join(lines) + "\n")
