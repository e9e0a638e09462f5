from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources.http import Download, download
from fx_assets.testing.vendors.answers import drip, endless, reset
from fx_assets.testing.vendors.ecb_server import EcbServer, ok, status

Build = Callable[..., Settings]


def get(url: str, settings: Settings, **more: object) -> Download:
    return download(url, settings, expected="a test file", max_bytes=100_000, **more)  # type: ignore[arg-type]


def failure(url: str, settings: Settings) -> SourceError:
    with pytest.raises(SourceError) as caught:
        get(url, settings)
    return caught.value


@pytest.mark.parametrize("fault", [status(500), status(503), status(429), reset])
def test_a_passing_fault_is_survived(server: EcbServer, settings: Build, fault: object) -> None:
    server.script("/f", fault, fault, ok(b"data", '"1"'))  # type: ignore[arg-type]
    answer = get(f"{server.url}/f", settings())
    assert (answer.content, answer.etag) == (b"data", '"1"')
    assert server.count("/f") == 3


def test_a_lasting_fault_ends_after_the_attempts_with_address_status_and_remedy(
    server: EcbServer, settings: Build
) -> None:
    server.script("/f", status(502))
    error = failure(f"{server.url}/f?api_key=secret", settings())
    assert server.count("/f") == 3
    assert "HTTP 502" in error.message
    assert f"{server.url}/f" in error.message
    assert "a test file" in error.message
    assert error.remedy
    assert "secret" not in str(error)


def test_the_password_in_an_address_is_not_shown(server: EcbServer, settings: Build) -> None:
    error = failure(server.url.replace("//", "//me:hunter2@") + "/f", settings())
    assert "HTTP 404" in error.message
    assert "hunter2" not in str(error)
    assert server.count("/f") == 1


def test_retry_after_is_waited_for(server: EcbServer, settings: Build) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    server.script("/f", status(429, Retry_After=moment), ok(b"data"))
    server.script("/g", status(429, Retry_After="1"), ok(b"data"))
    get(f"{server.url}/f", settings(http_timeout_seconds=2))
    get(f"{server.url}/g", settings(http_timeout_seconds=2))
    times = [at for path, at in server.requests if path == "/g"]
    assert times[1] - times[0] >= 1


def test_a_retry_after_of_an_hour_is_not_waited_for(server: EcbServer, settings: Build) -> None:
    server.script("/f", status(429, Retry_After="3600"))
    started = time.monotonic()
    assert "3600 s" in failure(f"{server.url}/f", settings()).message
    assert time.monotonic() - started < 0.4
    assert server.count("/f") == 1


def test_a_slow_drip_ends_at_the_total_deadline(server: EcbServer, settings: Build) -> None:
    server.script("/f", drip)
    started = time.monotonic()
    error = failure(f"{server.url}/f", settings(http_timeout_seconds=0.2))
    assert 0.5 < time.monotonic() - started < 1.5
    assert "bytes arrived within" in error.message


def test_an_endless_body_is_cut_off(server: EcbServer, settings: Build) -> None:
    server.script("/f", endless)
    assert "more than the 100,000" in failure(f"{server.url}/f", settings()).message


def test_a_body_declared_too_large_is_not_read(server: EcbServer, settings: Build) -> None:
    server.script("/f", status(200))

    def huge(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "9000000000")
        request.end_headers()

    server.script("/f", huge)
    assert "declares 9,000,000,000 bytes" in failure(f"{server.url}/f", settings()).message


def test_a_gzip_bomb_is_cut_off(server: EcbServer, settings: Build) -> None:
    bomb = gzip.compress(b"0" * 30_000_000)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(bomb)))
        request.end_headers()
        request.wfile.write(bomb)

    server.script("/f", answer)
    assert len(bomb) < 100_000
    assert "more than the 100,000" in failure(f"{server.url}/f", settings()).message


def test_a_body_shorter_than_declared_is_a_fault(server: EcbServer, settings: Build) -> None:
    def short(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")

    server.script("/f", short, ok(b"whole"))
    assert get(f"{server.url}/f", settings()).content == b"whole"


def test_redirects_are_followed_but_not_for_ever(server: EcbServer, settings: Build) -> None:
    server.script("/moved", status(302, Location="/f"))
    server.script("/loop", status(302, Location="/loop"))
    server.script("/f", ok(b"data"))
    assert get(f"{server.url}/moved", settings()).content == b"data"
    assert "redirect" in failure(f"{server.url}/loop", settings()).message
    assert server.count("/loop") <= 7


def test_an_unchanged_file_is_not_sent_again(server: EcbServer, settings: Build) -> None:
    server.script("/f", ok(b"data", '"1"'))
    assert get(f"{server.url}/f", settings(), etag='"1"').not_modified
    assert not get(f"{server.url}/f", settings(), etag='"0"').not_modified


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:1/f", "no connection"),
        ("http://no-such-host.invalid/f", "could not be resolved"),
        ("ftp://127.0.0.1/f", "protocol"),
        ("http://127.0.0.1:port/f", "Invalid port"),
    ],
)
def test_no_network_is_noticed_at_once(settings: Build, url: str, found: str) -> None:
    started = time.monotonic()
    error = failure(url, settings(http_backoff_seconds=0.5, http_attempts=4))
    assert found.lower() in error.message.lower()
    assert time.monotonic() - started < 2.8
