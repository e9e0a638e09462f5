"""What a server of a vendor answers, as it should or not, and the server itself."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]
"""Answers one request."""
HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body/></html>"


@contextmanager
def listening(answer: Answer) -> Iterator[str]:
    """A server on a free local port that answers every GET so; yields its URL.

    Each request has a thread of its own; clients that hang up are no matter.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

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
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()


def raw(content: bytes, code: int = 200, *, declared: int | None = None, **headers: str) -> Answer:
    """This status and body; ``declared`` is the length that it claims to have."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.send_header("Content-Length", str(len(content) if declared is None else declared))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)
        request.close_connection = True

    return answer


def as_json(value: object, code: int = 200, **headers: str) -> Answer:
    """This status and this value as JSON."""
    content = json.dumps(value).encode()
    return raw(content, code, declared=None, Content_Type="application/json", **headers)


def drip(request: BaseHTTPRequestHandler) -> None:
    """One byte now and then, each well within a read timeout."""
    request.send_response(200)
    request.end_headers()
    try:
        for _ in range(500):
            request.wfile.write(b"[")
            request.wfile.flush()
            time.sleep(0.02)
    except OSError:
        return


def endless(request: BaseHTTPRequestHandler) -> None:
    """Sends without end, and never says how much."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"[" * 1_000_000)
    except OSError:
        return


def reset(request: BaseHTTPRequestHandler) -> None:
    """Drops the connection with a TCP reset."""
    linger = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.connection.close()
