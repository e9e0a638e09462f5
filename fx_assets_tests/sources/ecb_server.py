"""A real local HTTP server that speaks the ECB's formats, and every way in which it can fail."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]

LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in to WiFi</title></head><body/></html>"


def zipped(text: str | bytes, name: str = "eurofxref-hist.csv") -> bytes:
    """A history zip with this CSV."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def daily_xml(day: str, **rates: str) -> bytes:
    """The daily file with these rates."""
    cubes = "\n".join(f"<Cube currency='{code}' rate='{rate}'/>" for code, rate in rates.items())
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject>
<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
<Cube><Cube time='{day}'>{cubes}</Cube></Cube></gesmes:Envelope>""".encode()


def ok(content: bytes, etag: str = "") -> Answer:
    """200 with the content, or 304 to who already holds that ETag."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if etag and request.headers.get("If-None-Match") == etag:
            request.send_response(304)
            request.send_header("ETag", etag)
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        if etag:
            request.send_header("ETag", etag)
        request.end_headers()
        request.wfile.write(content)

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def endless(request: BaseHTTPRequestHandler) -> None:
    """Sends without end, and never says how much."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 65_536)
    except OSError:
        return


def drip(request: BaseHTTPRequestHandler) -> None:
    """One byte now and then, each well within a read timeout."""
    request.send_response(200)
    request.end_headers()
    try:
        for _ in range(500):
            request.wfile.write(b"P")
            request.wfile.flush()
            time.sleep(0.02)
    except OSError:
        return


def reset(request: BaseHTTPRequestHandler) -> None:
    """Drops the connection with a TCP reset."""
    linger = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.connection.close()


class EcbServer:
    """Answers each path with its script, the last answer for ever."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, float]] = []
        self.url = ""

    def script(self, path: str, *answers: Answer) -> None:
        self.scripts[path] = list(answers)

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.requests)


@contextmanager
def running() -> Iterator[EcbServer]:
    """A server on a free local port."""
    server = EcbServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?", 1)[0]
            server.requests.append((path, time.monotonic()))
            answers = server.scripts.get(path) or [status(404)]
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)

        def log_message(self, *args: object) -> None:
            return

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):
                return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
