"""Hostile, slow, large and distant clients; proxies, browsers and probes."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from fx_assets.testing import hostile_clients as fuzz
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import Running, serving, until
from serving.__main__ import main
from serving.http.problems import Problem
from serving.http.security import Limiter, new_key

FORECAST = "/v1/forecasts/direction"
ORIGIN = "https://desk.example"


@pytest.mark.parametrize("make", [fuzz.well_formed, fuzz.malformed])
def test_whatever_is_sent_the_answer_is_below_500(server: Running, make: Any) -> None:
    found = fuzz.attack(server.port, make, 300, seed=11)
    assert not found.faults, found.faults[:3]
    assert len(found.statuses) >= 3


@pytest.mark.slow
def test_half_open_clients_are_told_and_closed_while_others_are_answered(
    lake_root: Path, tmp_path: Path
) -> None:
    with serving(lake_root, tmp_path, client_seconds="0.5") as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        clients = fuzz.hold_open(running.port, 60, fuzz.HALF)
        assert running.client.get("/health/live").status_code == 200
        for i, client in enumerate(clients):
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 408"), (fuzz.HALF[i % 3], answer)
            assert b"urn:fx-assets:problem:too-slow" in answer
            assert client.recv(1) == b""
            client.close()
        assert 'status="500"' not in running.client.get("/metrics").text


@pytest.mark.slow
def test_connections_beyond_the_most_are_closed_and_logged(lake_root: Path, tmp_path: Path) -> None:
    with serving(lake_root, tmp_path, max_connections="20") as running:
        clients = fuzz.hold_open(running.port, 19, [b"GET / HTTP/1.1\r\n"])
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as beyond:
            received = b""
            with suppress(ConnectionError):
                received = beyond.recv(1)
            assert not received
        for client in clients:
            client.close()
        until(lambda: running.client.get("/health/live").status_code == 200)
        assert "FX_SERVING_MAX_CONNECTIONS" in running.log.read_text()


@pytest.mark.parametrize(
    "head",
    [
        b"x: " + b"a" * 100_000,
        b"\r\n".join(b"x%d: a" % i for i in range(500)),
        b"x: " + b"a" * 5_000_000,
    ],
)
def test_a_head_that_is_too_large_is_refused_while_it_is_read(server: Running, head: bytes) -> None:
    sent = b"GET /health/live HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n\r\n"
    answer = fuzz.answer_of(server.port, sent)
    # A client that sends on after the answer may see its connection reset before it reads.
    assert answer.startswith(b"HTTP/1.1 431") or (not answer and len(head) > 1_000_000)
    assert server.client.get("/health/live").status_code == 200


def test_large_batches_do_not_keep_others_waiting(server: Running) -> None:
    bars = small_lake.supplied(small_lake.bars())["bars"]
    body = json.dumps({"series": [{"bars": bars}] * 80}).encode()
    sent = fuzz.request(
        "POST", f"{FORECAST}/predict/bars/batch", [("content-type", "application/json")], body
    )
    answers: list[bytes] = []
    others: list[int] = []

    def large() -> None:
        answers.append(fuzz.answer_of(server.port, sent))

    thread = threading.Thread(target=large)
    thread.start()
    while thread.is_alive():
        others.append(server.client.get("/health/live").status_code)
    thread.join()
    assert fuzz.status_of(answers[0]) == 200
    assert len(json.loads(answers[0].partition(b"\r\n\r\n")[2])["forecasts"]) == 80
    assert len(others) > 3
    assert set(others) == {200}


def test_browsers_of_an_allowed_origin_can_use_keys_and_read_refusals(
    lake_root: Path, tmp_path: Path
) -> None:
    key, entry = new_key("desk", "read,predict")
    settings = {"keys": entry, "cors_origins": json.dumps([ORIGIN])}
    asks = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key,content-type",
    }
    with serving(lake_root, tmp_path, **settings) as running:
        client = running.client
        until(lambda: client.get("/health/ready").status_code == 200)
        preflight = client.options(f"{FORECAST}/predict/features", headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        for path, given, status in [
            (f"{FORECAST}/latest", {"x-api-key": key}, 200),
            (f"{FORECAST}/latest", {}, 401),
            ("/v1/forecasts/nobody/latest", {"x-api-key": key}, 404),
            (f"{FORECAST}/history?limit=0", {"x-api-key": key}, 422),
        ]:
            answer = client.get(path, headers={"origin": ORIGIN} | given)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN
        stranger = client.get(f"{FORECAST}/latest", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.slow
def test_probes_are_never_limited_and_only_trusted_proxies_name_clients(
    lake_root: Path, tmp_path: Path
) -> None:
    def statuses(running: Running, header: str) -> set[int]:
        return {
            running.client.get("/v1/forecasts", headers={header: f"203.0.113.{i}"}).status_code
            for i in range(1, 16)
        }

    with serving(lake_root, tmp_path / "one", rate_limit="10/minute") as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        assert statuses(running, "x-forwarded-for") == {200, 429}
        for path in ("/health/live", "/health/ready", "/metrics", "/ping", "/v2/health/live"):
            assert {running.client.get(path).status_code for _ in range(15)} == {200}
    trusted = {"rate_limit": "10/minute", "trusted_proxies": '["127.0.0.0/8"]'}
    with serving(lake_root, tmp_path / "two", **trusted) as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        assert statuses(running, "x-forwarded-for") == {200}
        rotated = {
            running.client.get(
                "/v1/forecasts", headers={"x-forwarded-for": f"198.51.100.{i}, 203.0.113.77"}
            ).status_code
            for i in range(15)
        }
        assert rotated == {200, 429}
        until(lambda: '"client":"203.0.113.77"' in running.log.read_text())


@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/openapi.json", "/metrics", "/health/live", "/v1/forecasts",
     f"{FORECAST}/latest", f"{FORECAST}/history", f"{FORECAST}/prices?limit=3", "/v2"],
)  # fmt: skip
def test_head_is_get_without_the_body(api: httpx.Client, path: str) -> None:
    whole, head = api.get(path), api.head(path)
    assert head.status_code == whole.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert api.head(f"{FORECAST}/predict/bars").status_code == 405


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv"),
        ("text/csv;q=0", "application/json"),
        ("text/csv; q=0.0, */*", "application/json"),
        ("application/json, text/csv;q=0.5", "application/json"),
        ("text/csv, application/json;q=0.5", "text/csv"),
        ("application/vnd.apache.parquet;q=0, text/csv;q=x", "application/json"),
        ("TEXT/CSV", "text/csv"),
        ("*/*", "application/json"),
    ],
)
def test_the_form_is_what_accept_prefers(api: httpx.Client, accept: str, kind: str) -> None:
    answer = api.get(f"{FORECAST}/prices?limit=2", headers={"accept": accept})
    assert answer.headers["content-type"] == kind


@pytest.mark.slow
def test_a_wrong_clock_lets_nothing_be_kept_for_long(lake_root: Path, tmp_path: Path) -> None:
    with serving(lake_root, tmp_path, now="2020-01-01T00:00:00+00:00") as running:
        until(lambda: running.client.get(f"{FORECAST}/latest").status_code == 200)
        for path in ("/latest", "/prices", "/model"):
            control = running.client.get(f"{FORECAST}{path}").headers["cache-control"]
            assert int(control.rpartition("=")[2]) <= 5, control


class _Stripping(http.server.BaseHTTPRequestHandler):
    """Takes a prefix off, like nginx's ``location /fx/ { proxy_pass http://up/; }``."""

    protocol_version = "HTTP/1.1"
    upstream, prefix, told = 0, "/desk/fx", True

    def do_GET(self) -> None:
        if not self.path.startswith(f"{self.prefix}/"):
            self.send_error(404)
            return
        up = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        headers = dict(self.headers.items())
        if self.told:
            headers |= {"X-Forwarded-Prefix": self.prefix, "X-Forwarded-Proto": "https"}
        up.request("GET", self.path[len(self.prefix) :], headers=headers)
        answer = up.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def proxy(upstream: int, told: bool) -> Iterator[str]:
    handler = type("Handler", (_Stripping,), {"upstream": upstream, "told": told})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("told", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_behind_a_proxy_that_strips_a_prefix_every_link_works(
    lake_root: Path, tmp_path: Path, told: bool
) -> None:
    settings = {} if told else {"root_path": "/desk/fx/"}
    with serving(lake_root, tmp_path, **settings) as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        with proxy(running.port, told) as address, httpx.Client(base_url=address) as client:
            path: str | None = f"/desk/fx{FORECAST}/prices?limit=150&features=false"
            times: list[str] = []
            while path:
                answer = client.get(path)
                times += [row["event_time"] for row in answer.json()["rows"]]
                path = answer.json()["next"]
                assert path is None or f"<{path}>" in answer.headers["link"]
            assert len(set(times)) == len(times) == small_lake.BARS
            moved = client.get("/desk/fx/v1/forecasts/")
            assert moved.headers["location"] == "/desk/fx/v1/forecasts"
            assert client.get(moved.headers["location"]).status_code == 200
            document = client.get("/desk/fx/openapi.json").json()
            assert document["servers"] == [{"url": "/desk/fx"}]
            for page in ("/desk/fx/", "/desk/fx/docs"):
                text = client.get(page).text
                for link in re.findall(r'(?:href|src)="(?!http|#)([^"]+)"', text):
                    found = client.get(str(httpx.URL(address + page).join(link)))
                    assert found.status_code == 200, (page, link)


def test_a_prefix_that_is_no_path_changes_nothing(api: httpx.Client) -> None:
    for prefix in ("//evil.example", "/a b", "/../..", "evil", "/" + "a" * 300, '/"><script>'):
        answer = api.get(f"{FORECAST}/prices?limit=2", headers={"x-forwarded-prefix": prefix})
        assert answer.json()["next"].startswith("/v1/")


def test_the_description_needs_nothing_from_elsewhere(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert not re.findall(r'(?:href|src)="(?:https?:)?//', page.text)
    assert "servers" not in api.get("/openapi.json").json()


@pytest.mark.parametrize(
    ("variables", "arguments", "expected"),
    [
        ({}, ["--port", "99999"], "65535"),
        ({}, ["--port", "http"], "http is not a port"),
        ({"FX_ASSETS_NOW": "yesterday"}, [], "FX_ASSETS_NOW"),
        ({"FX_SERVING_PORT": "99999"}, [], "FX_SERVING_PORT"),
        ({"FX_SERVING_WORKERS": "0"}, [], "FX_SERVING_WORKERS"),
        ({"FX_SERVING_CORS_ORIGINS": "https://x"}, [], "FX_SERVING_CORS_ORIGINS"),
        ({"FX_SERVING_RATE_LIMIT": "many"}, [], "FX_SERVING_RATE_LIMIT"),
        ({"FX_SERVING_KEYS": "nonsense"}, [], "FX_SERVING_KEYS"),
        ({"FX_SERVING_KEYS_FILE": "/nowhere/keys"}, [], "FX_SERVING_KEYS_FILE"),
        ({"FX_SERVING_ROOT_PATH": "no path"}, [], "FX_SERVING_ROOT_PATH"),
        ({"FX_SERVING_TRUSTED_PROXIES": '["x"]'}, [], "FX_SERVING_TRUSTED_PROXIES"),
        ({"FX_ASSETS_LAKE": "gs://bucket"}, [], "FX_ASSETS_LAKE"),
        ({}, ["--host", "192.0.2.1"], "cannot be listened on"),
    ],
)
def test_a_bad_setting_is_told_in_one_sentence_before_any_worker_is_begun(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    arguments: list[str],
    expected: str,
) -> None:
    def begun(*_: object) -> None:
        raise AssertionError("workers were begun")

    monkeypatch.setattr("serving.__main__._run", begun)
    for name, value in {"FX_ASSETS_HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    workers = [] if "FX_SERVING_WORKERS" in variables else ["--workers", "2"]
    try:
        code = main([*workers, *arguments])
    except SystemExit as ended:  # argparse has told it
        code = int(str(ended.code))
    told = capsys.readouterr().err
    assert code in (1, 2)
    assert expected in told
    assert len(told.strip().splitlines()) <= 4


def test_a_bad_setting_ends_two_workers_with_one_sentence(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "serving", "--workers", "2"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "FX_ASSETS_HOME": str(tmp_path), "FX_SERVING_RATE_LIMIT": "many"},
    )
    assert found.returncode == 1
    assert "FX_SERVING_RATE_LIMIT" in found.stderr
    assert "Traceback" not in found.stderr
    assert len(found.stderr.strip().splitlines()) <= 4


@pytest.mark.parametrize("away", ["refuses", "hangs"])
def test_requests_are_counted_here_while_the_storage_of_limits_is_away(away: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if away == "hangs":
            listener.listen()
        limiter = Limiter("2/hour", f"redis://127.0.0.1:{listener.getsockname()[1]}")
        limiter.check("one")
        limiter.check("one")
        with pytest.raises(Problem, match="More than 2 per 1 hour"):
            limiter.check("one")
        limiter.check("another")
