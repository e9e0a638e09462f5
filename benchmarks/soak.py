"""Champions that change under load: does any request fail, or mix two champions?"""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import Case, read_load, wrk_started
from fx_assets.testing.lakes.served_lake import ServedLake
from fx_assets.testing.processes import Running

SLACK = 1.5
"""Seconds within which a moved pointer is in force, beyond the pause between two looks."""
PROBE_PAUSE = 0.01
CHECKED = """
local expected = { %s }
wrong = 0
response = function(status, headers, body)
  local version = tonumber(body:match('"version":(%%d+)') or 0)
  local value = tonumber(body:match('"value":([%%d.e-]+)') or -1)
  local right = expected[version]
  if status ~= 200 or right == nil or math.abs(value - right) > 1e-12 then wrong = wrong + 1 end
end
local threads = {}
setup = function(thread) table.insert(threads, thread) end
done = function(summary, latency, requests)
  local e, mixed = summary.errors, 0
  for _, thread in ipairs(threads) do mixed = mixed + thread:get("wrong") end
  io.write(string.format("WRONG %%d\\n", mixed))
  io.write(string.format("RESULT %%d %%d %%.0f %%.0f %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass
class Soaked:
    """What happened while champions changed."""

    requests: int
    errors: int
    """Requests without an answer of status 200."""
    wrong: int
    """Answers whose value is not that of the version they name, or that name one out of force."""
    swaps: int
    seen: int
    """Changes of version that the probe saw."""
    worst_ms: float
    """p99 under full load."""


@dataclass
class _Probe:
    """Asks again and again on one connection, and compares with what was in force."""

    server: Running
    case: Case
    values: dict[int, float]
    lag: float
    in_force: list[tuple[float, int]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    requests: int = 0
    errors: int = 0
    wrong: int = 0
    seen: int = 0

    def run(self) -> None:
        path = self.case.url.split(str(self.server.port), 1)[1]
        headers = {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        before = None
        while not self.done.wait(PROBE_PAUSE):
            sent = time.monotonic()
            self.requests += 1
            try:
                connection.request("POST", path, self.case.body, headers)
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException):
                self.errors += 1
                connection.close()
                continue
            if response.status != 200:
                self.errors += 1
                continue
            answer = json.loads(content)
            version = answer["champion"]["version"]
            self.wrong += version not in self._allowed(sent, time.monotonic())
            self.wrong += abs(answer["value"] - self.values.get(version, -1.0)) > 1e-12
            self.seen += before is not None and version != before
            before = version
        connection.close()

    def _allowed(self, sent: float, received: float) -> set[int]:
        """Versions in force at any time from ``lag`` before sending to the receipt."""
        timeline = list(self.in_force)
        ends = [since for since, _ in timeline[1:]] + [received + 1]
        return {
            version
            for (since, version), end in zip(timeline, ends, strict=True)
            if since <= received and end >= sent - self.lag
        }


def soak(
    server: Running,
    case: Case,
    lake: ServedLake,
    *,
    seconds: float,
    swaps: int,
    poll_seconds: float,
    folder: Path,
    core: int | None,
) -> Soaked:
    """Load for ``seconds`` while the pointer moves ``swaps`` times; every answer is checked."""
    values = expected_values(lake)
    listed = ", ".join(f"[{version}] = {value!r}" for version, value in values.items())
    probe = _Probe(server, case, values, poll_seconds + SLACK)
    probe.in_force.append((time.monotonic() - 60, 1))
    asking = threading.Thread(target=probe.run)
    with wrk_started(
        case, connections=16, seconds=seconds, folder=folder, core=core, ending=CHECKED % listed
    ) as process:
        asking.start()
        began, pause = time.monotonic(), seconds / (swaps + 1)
        for swap in range(1, swaps + 1):
            time.sleep(max(0.0, began + swap * pause - time.monotonic()))
            version = 1 + swap % lake.versions
            # In force from when the pointer may have moved; noted first, since a look can be quick.
            probe.in_force.append((time.monotonic(), version))
            lake.promote(version)
        output, _ = process.communicate()
        time.sleep(probe.lag)
        probe.done.set()
        asking.join()
    load = read_load(output, case)
    mixed = int(output.split("WRONG ", 1)[1].split()[0])
    return Soaked(
        requests=load.requests + probe.requests,
        errors=load.errors + probe.errors,
        wrong=mixed + probe.wrong,
        swaps=swaps,
        seen=probe.seen,
        worst_ms=load.p99,
    )


def expected_values(lake: ServedLake) -> dict[int, float]:
    """What each stored version predicts for the newest bar."""
    from fx_assets.bundles.bundle import load
    from fx_assets.testing.lakes.served_lake import FORECAST

    return {
        version: float(load(lake.lake, FORECAST, version).predict(lake.newest[None])[0])
        for version in range(1, lake.versions + 1)
    }
