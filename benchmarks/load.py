"""Processes on a core of their own, and wrk to put load on them."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PERCENTILES = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %.0f %.0f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""
CLIENT_TIMEOUT = 10


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
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


@dataclass(frozen=True)
class Case:
    """A request, repeated."""

    name: str
    url: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def script(self, ending: str = PERCENTILES) -> str:
        """The request as wrk reads it."""
        lines = []
        if self.body:
            lines += ['wrk.method = "POST"', f"wrk.body = {_lua(self.body)}"]
            lines += ['wrk.headers["Content-Type"] = "application/json"']
        lines += [f"wrk.headers[{_lua(k)}] = {_lua(v)}" for k, v in self.headers.items()]
        return "\n".join([*lines, ending])


@dataclass(frozen=True)
class Load:
    """What wrk saw; latencies in milliseconds."""

    p50: float
    p99: float
    per_second: float
    requests: int
    errors: int
    output: str


def wrk(
    case: Case,
    *,
    connections: int,
    seconds: float,
    folder: Path,
    core: int | None,
    ending: str = PERCENTILES,
) -> Load:
    """Put one thread of load on a server."""
    with wrk_started(
        case, connections=connections, seconds=seconds, folder=folder, core=core, ending=ending
    ) as process:
        output, _ = process.communicate()
    return read_load(output, case)


@contextlib.contextmanager
def wrk_started(
    case: Case,
    *,
    connections: int,
    seconds: float,
    folder: Path,
    core: int | None,
    ending: str = PERCENTILES,
) -> Iterator[subprocess.Popen[str]]:
    """wrk in the background; stopped at the end if it still runs."""
    script = folder / f"{case.name.replace(' ', '_').replace('/', '_')}.lua"
    script.write_text(case.script(ending))
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
        "--timeout", f"{CLIENT_TIMEOUT}s", "-s", str(script), case.url,
    ]  # fmt: skip
    process = subprocess.Popen(
        on_core(core, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def read_load(output: str, case: Case) -> Load:
    """The figures in wrk's output.

    Raises
    ------
    SystemExit
        wrk has failed.
    """
    for line in output.splitlines():
        if line.startswith("RESULT "):
            requests, micros, p50, p99, errors = (int(part) for part in line.split()[1:])
            per_second = requests / (micros / 1e6)
            return Load(p50 / 1e3, p99 / 1e3, per_second, requests, errors, output)
    raise SystemExit(f"wrk failed on {case.url}:\n{output}")


def _lua(text: str) -> str:
    return "[==[" + text + "]==]"
