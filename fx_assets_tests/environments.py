"""A new environment with the built wheel, beside no checkout, which sees our dependencies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from shutil import copytree, ignore_patterns

import httpx

CHECKOUT = Path(__file__).parents[1]
SITE = sysconfig.get_path("purelib")
BUILD = "import setuptools.build_meta as build, sys; build.build_wheel(sys.argv[1])"
OTHERS = ("dagster", "dagster-daemon", "dagster-webserver", "dg", "mlflow")
"""Commands of other packages that a project needs; an installation would bring them."""
OFFLINE = {
    "FX_ASSETS_ECB_HISTORY_URL": "http://127.0.0.1:9/hist.zip",
    "FX_ASSETS_ECB_DAILY_URL": "http://127.0.0.1:9/daily.xml",
    "FX_ASSETS_HTTP_ATTEMPTS": "1",
    "FX_ASSETS_NOW": "2024-01-02T18:00:00+00:00",
}


def new_environment(folder: Path) -> Path:
    """Make one in a folder; returns the folder of its commands."""
    source, environment = folder / "source", folder / "environment"
    for package in ("fx_assets", "serving"):
        copytree(CHECKOUT / package, source / package, ignore=ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        (source / file).write_bytes((CHECKOUT / file).read_bytes())
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    binaries = environment / "bin"
    install(source, binaries)
    (own,) = environment.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(f"{SITE}\n")
    for point in entry_points(group="console_scripts"):
        if point.name in OTHERS:
            module, _, function = point.value.partition(":")
            text = f"#!{binaries}/python\nimport sys\nfrom {module} import {function} as main\n"
            (binaries / point.name).write_text(f"{text}sys.exit(main())\n")
            (binaries / point.name).chmod(0o755)
    return binaries


def install(source: Path, binaries: Path) -> None:
    """Build the wheel of a source folder, and install it without what it depends on."""
    wheels = source / "wheels"
    wheels.mkdir()
    built = [sys.executable, "-c", BUILD, str(wheels)]
    subprocess.run(built, cwd=source, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--offline", "--no-deps"]
    target = ["--python", str(binaries / "python"), str(wheel)]
    subprocess.run([*command, *target], check=True, env=plain_environment())


def plain_environment(**more: str) -> dict[str, str]:
    """This process's, without what points to the checkout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FX_ASSETS_", "DAGSTER_", "PYTHONPATH", "VIRTUAL_ENV"))
    }
    return {**kept, "DAGSTER_DISABLE_TELEMETRY": "true", **more}


def said(command: list[str | Path], home: Path, code: int = 0, **settings: str) -> str:
    """What a command says in a folder, beside no checkout and without a network."""
    answer = subprocess.run(
        list(map(str, command)),
        cwd=home,
        env=plain_environment(**{**OFFLINE, **settings}),
        capture_output=True,
        text=True,
    )
    assert answer.returncode == code, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


def first_answer(
    server: subprocess.Popen[bytes], ask: Callable[[], httpx.Response]
) -> httpx.Response:
    """The first answer; servers need a while."""
    last = time.monotonic() + 180
    while server.poll() is None and time.monotonic() < last:
        with suppress(httpx.TransportError):
            answer = ask()
            if answer.status_code != 503:
                assert answer.status_code == 200, answer.text
                return answer
        time.sleep(0.5)
    raise AssertionError(f"no answer; exit code {server.poll()}")


def free_ports(number: int) -> Iterator[str]:
    """Ports on which nobody listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    for each in sockets:
        yield str(each.getsockname()[1])
        each.close()
