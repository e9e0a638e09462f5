"""Hostile clients of a server: bodies, headers, queries, wires, slow and half-open ones.

Every well-formed request, whatever it says, has to be answered below 500; after anything at all the
server has to be alive, quick and no larger.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

FORECAST = "direction"
BASE = f"/v1/forecasts/{FORECAST}"
FEATURES = {"return_1": 0.0, "rsi_14": 50.0, "volatility_21": 0.005}
TENSOR = {"name": "inputs", "shape": [1, 3], "datatype": "FP64", "data": [0.0, 50.0, 0.005]}
BODIES: dict[str, Any] = {
    f"{BASE}/predict/features": {"features": FEATURES},
    f"{BASE}/predict/features/batch": {"rows": [FEATURES, FEATURES]},
    f"{BASE}/predict/bars": {"bars": [{"day": "2026-10-30", "close": 1.1}] * 3},
    f"{BASE}/predict/bars/batch": {"series": [{"bars": [{"day": "2026-10-30", "close": 1.1}] * 3}]},
    f"{BASE}/invocations": {"dataframe_records": [FEATURES]},
    "/invocations": {"inputs": [[0.0, 50.0, 0.005]]},
    f"/v2/models/{FORECAST}/infer": {"inputs": [TENSOR], "id": "1"},
    f"/v2/models/{FORECAST}/versions/1/infer": {"inputs": [TENSOR]},
}
PATHS = (
    "/", "/docs", "/openapi.json", "/metrics", "/ping", "/health/live", "/health/ready", "/v2",
    "/v2/health/live", "/v2/health/ready", f"/v2/models/{FORECAST}", f"/v2/models/{FORECAST}/ready",
    "/v1/forecasts", f"{BASE}/latest", f"{BASE}/history", f"{BASE}/prices", f"{BASE}/performance",
    f"{BASE}/model", f"{BASE}/status", f"{BASE}/champions", f"{BASE}/issued?date=2026-10-30",
    f"{BASE}/latest/explanation", "/static/x/app.js", "/nowhere", f"{BASE}/latest/",
)  # fmt: skip
PARAMETERS = (
    "mode", "from", "to", "before", "limit", "format", "features", "date", "hour", "window", "x",
)  # fmt: skip
NASTY = (
    b"", b"\x00", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"NaN", b"1e999", b"-0", b"9" * 400,
    b"[" * 9000, b'{"a":' * 9000, b'"\\ud800"', b"null", b"true", b"[]", b"{}", b'""', b"1.7e308",
    b"-1", b"\xef\xbb\xbf", "é".encode("utf-16"), b"2026-13-45", b"'; drop table--", b"<script>",
)  # fmt: skip
VALUES = (
    "", "0", "-1", "1e9", "99999999999999999999", "nan", "null", "2026-10-30", "2026-02-30",
    "9999-12-31", "0001-01-01", "2026-10-30T15:00:00Z", "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00", "csv", "parquet", "true", "\x00", "é", "%", "../..", "a" * 300,
)  # fmt: skip


@dataclass
class Found:
    """What came of requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def mutated(body: bytes, rng: random.Random) -> bytes:
    """A body that is wrong in one to three ways."""
    out = bytearray(body)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(out) + 1)
        way = rng.randrange(6)
        if way == 0 and out:
            out[place % len(out)] = rng.randrange(256)
        elif way == 1:
            out[place:place] = rng.choice(NASTY)
        elif way == 2:
            del out[place : place + rng.randint(1, 20)]
        elif way == 3:
            out = bytearray(rng.choice(NASTY))
        elif way == 4:
            out += out[: rng.randint(0, 200)]
        else:
            out[place : place + 5] = rng.choice(NASTY)
    return bytes(out)


def changed(value: Any, rng: random.Random) -> Any:
    """JSON of another shape: a member is left out, doubled, renamed, or of another type."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(list(value))
        rest = {k: v for k, v in value.items() if k != name}
        way = rng.randrange(4)
        if way == 0:
            return rest
        if way == 1:
            return rest | {name + rng.choice(["", "x", "\u0000", "é"]): value[name]}
        return value | {name: changed(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        return [*value[:-1], changed(value[-1], rng)] * rng.choice([1, 1, 1, 2, 50])
    return rng.choice(
        [None, True, -1, 0, 1e308, -1e308, 1e-320, 2**70, "", "x", [], {}, [[]], [None], "9" * 99]
    )


def well_formed(rng: random.Random) -> bytes:
    """A request that HTTP allows, with content that the API may not."""
    if rng.random() < 0.6:
        path, body = rng.choice(list(BODIES.items()))
        plain = json.dumps(changed(body, rng) if rng.random() < 0.5 else body).encode()
        content = mutated(plain, rng) if rng.random() < 0.6 else plain
        kind = rng.choice(["application/json"] * 4 + ["text/csv", "", "application/octet-stream"])
        return request("POST", path, _headers(rng, kind), content)
    path = rng.choice(PATHS)
    if rng.random() < 0.6:
        pairs = [
            f"{rng.choice(PARAMETERS)}={quote(rng.choice(VALUES), safe=rng.choice(['', ':+']))}"
            for _ in range(rng.randint(1, 3))
        ]
        path += ("&" if "?" in path else "?") + "&".join(pairs)
    method = rng.choice(["GET"] * 6 + ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
    return request(method, path, _headers(rng, ""), b"")


def _headers(rng: random.Random, kind: str) -> list[tuple[str, str]]:
    found = [("content-type", kind)] if kind else []
    choices = [
        ("accept", rng.choice(["*/*", "text/csv;q=0", "text/csv", ";;;", "a" * 500, "*;q=nan"])),
        ("if-none-match", rng.choice(["*", '"x"', 'W/"x", "y', ",,,"])),
        ("x-request-id", rng.choice(["ok", "a b", "é" * 5, "x" * 100])),
        ("authorization", rng.choice(["Bearer", "Bearer x", "Basic eA=="])),
        ("x-forwarded-for", rng.choice(["1.2.3.4", "::1", "x, y", "," * 50])),
        ("x-forwarded-prefix", rng.choice(["/fx", "//evil", "/../..", "/a b", "/" * 300])),
        ("inference-header-content-length", rng.choice(["0", "10", "-1", "x", "99999999999999"])),
        ("content-encoding", rng.choice(["gzip", "identity", "x"])),
        ("origin", "https://elsewhere.example"),
        ("cookie", "a=b; " * rng.randint(1, 100)),
    ]
    return found + rng.sample(choices, rng.randrange(4))


def request(
    method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    """A request as bytes, which asks for the connection to be closed."""
    lines = [f"{method} {path} HTTP/1.1", "host: fuzz", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def malformed(rng: random.Random) -> bytes:
    """Bytes that HTTP does not allow, or that end too early."""
    good = bytearray(well_formed(rng))
    way = rng.randrange(8)
    if way == 0:
        return bytes(good[: rng.randrange(len(good))])
    if way == 1:
        return bytes(rng.randrange(256) for _ in range(rng.randint(1, 400)))
    if way == 2:
        for _ in range(5):
            good[rng.randrange(min(len(good), 80))] = rng.randrange(256)
        return bytes(good)
    start = f"POST {rng.choice(list(BODIES))} HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\n"
    head = start.encode()
    return (
        head
        + [
            b"content-length: -5\r\n\r\n",
            b"content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
            b"transfer-encoding: chunked\r\n\r\nZZ\r\nx\r\n0\r\n\r\n",
            b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"x: " + b"a" * 60_000 + b"\r\n\r\n",
        ][rng.randrange(5)]
    )


def answer_of(port: int, sent: bytes, *, ends: bool = False, seconds: float = 60) -> bytes:
    """What comes back until the server closes; ``ends`` says that nothing more will be sent."""
    parts = []
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        with suppress(OSError):
            client.sendall(sent)
            if ends:
                client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while part := client.recv(65_536):
                parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    """The status of an answer; 0 without one."""
    head = answer[:12].split()
    return int(head[1]) if len(head) == 2 and head[1].isdigit() else 0


def attack(port: int, make: Callable[[random.Random], bytes], count: int, seed: int) -> Found:
    """Send so many requests, each on a connection of its own."""
    rng, found = random.Random(seed), Found()
    answered = make is well_formed
    for _ in range(count):
        sent = make(rng)
        status = status_of(answer_of(port, sent, ends=not answered))
        found.statuses[status] += 1
        if status >= 500 or (answered and status == 0):
            found.faults.append(f"{status}: {sent[:300]!r}")
    return found


def hold_open(port: int, count: int, starts: Sequence[bytes]) -> list[socket.socket]:
    """Connections of clients that begin a request and then say nothing."""
    clients = []
    for i in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        client.sendall(starts[i % len(starts)])
        clients.append(client)
    return clients


HALF = (
    b"",
    b"GET /v1/forecasts HTTP/1.1\r\nhost: x\r\n",
    b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: 100\r\n\r\n{",
)


def quickest(port: int, tries: int = 5) -> float:
    """Seconds of the quickest answer of some."""
    times = []
    for _ in range(tries):
        began = time.perf_counter()
        assert status_of(answer_of(port, request("GET", "/health/live"))) == 200
        times.append(time.perf_counter() - began)
    return min(times)


def watched(port: int, act: Callable[[], object]) -> float:
    """The longest that another client waits while something is done, in seconds."""
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            waits.append(quickest(port, 1))
            time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        act()
    finally:
        done.set()
        thread.join()
    return max(waits)
