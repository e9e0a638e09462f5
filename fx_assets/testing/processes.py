"""Servers in processes of their own, on a core of their own where one is asked for."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CLIENT_TIMEOUT = 10
CLIENTS_FROM, FREE_PORTS = 32_768, 12_000
"""Where Linux begins with the ports that it gives to clients, and how many below are ours."""


def free_port() -> int:
    """A port of the loopback interface on which nobody listens.

    It is below those that systems give to clients: none takes it before a server has begun.
    """
    while True:
        port = CLIENTS_FROM - 1 - secrets.randbelow(FREE_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def on_core(core: int | None, command: Sequence[str]) -> list[str]:
    """The command, bound to a core where that can be done."""
    if core is None or shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", str(core), *command]


@dataclass
class Running:
    """A server process and what it has started; ``ready`` is how long it took to answer."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    ready: float = float("nan")

    def get(self, path: str) -> int:
        """The status of a GET request; 0 if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CLIENT_TIMEOUT)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def resident_mb(self) -> float:
        """Resident memory of the process and all that it has started."""
        lines = [line for status in self._read("status") for line in status.splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def cpu_seconds(self) -> float:
        """Processor time of the process and all that it has started."""
        ticks = 0
        for stat in self._read("stat"):
            user, system = stat.rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
        return ticks / os.sysconf("SC_CLK_TCK")

    def _read(self, name: str) -> Iterator[str]:
        """A file in ``/proc`` of each process of the group."""
        for file in Path("/proc").glob(f"[0-9]*/{name}"):
            with contextlib.suppress(OSError):
                if os.getpgid(int(file.parent.name)) == self.process.pid:
                    yield file.read_text()


@contextlib.contextmanager
def running(
    command: Sequence[str],
    ready_path: str,
    *,
    port: int,
    folder: Path,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    patience: float = 60,
) -> Iterator[Running]:
    """Start a server, wait until ``ready_path`` answers 200, and stop it at the end.

    Raises
    ------
    SystemExit
        It ended, or was not ready in time; with the end of its log.
    """
    log = folder / f"{port}.log"
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            on_core(core, command),
            env={**inherited, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Running(process, port, log)
    try:
        while server.get(ready_path) != 200:
            if process.poll() is not None or time.perf_counter() - began > patience:
                end = log.read_text(errors="replace")[-2000:]
                raise SystemExit(f"{' '.join(command)} did not become ready:\n{end}")
            time.sleep(0.01)
        server.ready = time.perf_counter() - began
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own group, and the group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
