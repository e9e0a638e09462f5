"""wrk, which puts load on a server."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fx_assets.testing.processes import CLIENT_TIMEOUT, on_core

PERCENTILES = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %.0f %.0f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


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
