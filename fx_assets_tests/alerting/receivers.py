"""Who is told: a web server and a mail server on loopback that keep what they are sent."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "T000-B000-verysecret"  # noqa: S105
"""Part of the receiver's address, as in those of Slack."""


class Receiver:
    """A web server that keeps what it is sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.bodies.append(json.loads(body))
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP (RFC 5321) as one mail needs."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        super().__init__(("127.0.0.1", 0), _Mail)


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            word = line.decode().split()[0].upper()
            if word == "DATA":
                self._say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.server.mails.append("".join(lines))  # type: ignore[attr-defined]
            if word == "QUIT":
                return self._say("221 bye")
            self._say("250 ok")
        return None

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A web server that is running."""
    made = Receiver()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
