"""A real server in a process of its own, on a free port of loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from fx_assets.testing.processes import free_port

PATIENCE = 120
"""Seconds that a busy machine may take for what takes one."""
NOW = "2026-10-30T18:00:00+00:00"


@dataclass
class Running:
    """A running server."""

    client: httpx.Client
    process: subprocess.Popen[bytes]
    log: Path
    port: int


@contextmanager
def serving(
    lake: Path | str, folder: Path, workers: int = 1, now: str = "", **settings: str
) -> Iterator[Running]:
    """Start a server on a lake and end it with the block."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{port}.log"
    environment = {
        **os.environ,
        "FX_ASSETS_LAKE": str(lake),
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_NOW": NOW,
        "FX_SERVING_POLL_SECONDS": "0.1",
        "FX_SERVING_PATIENCE_SECONDS": "5",
        **{f"FX_SERVING_{name.upper()}": value for name, value in settings.items()},
        **({"FX_ASSETS_NOW": now} if now else {}),
    }
    command = [sys.executable, "-m", "serving", "--port", str(port), "--workers", str(workers)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            _wait(client, process, log)
            yield Running(client, process, log, port)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for what comes about soon, on a machine that may be busy."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            client.get("/health/live")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
