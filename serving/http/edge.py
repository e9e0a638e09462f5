"""The server's outermost edge: how large a head may be, how slow a client, how many connections.

uvicorn reads a head of any size and waits for a client for ever. This protocol refuses what is too
large (431), ends what is too slow (408) and closes connections beyond the most that are served.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_log = logging.getLogger("serving")
SWEEP_SECONDS = 1.0
TOLD_SECONDS = 10.0
DESCRIPTORS_BESIDE = 100
"""Open files that the server needs besides its connections."""


@dataclass
class Limits:
    """What one client may take."""

    head_bytes: int = 32_768
    """Of request line and headers."""
    headers: int = 100
    head_seconds: float = 10.0
    """From the first byte, or the connection, to the end of the headers."""
    body_seconds: float = 60.0
    """From the headers to the end of the body."""
    write_seconds: float = 60.0
    """Longest that a client may leave an answer unread."""
    connections: int = 1000


LIMITS = Limits()


class Protocol(HttpToolsProtocol):
    """One connection."""

    _sweeping: ClassVar[asyncio.TimerHandle | None] = None
    _told: ClassVar[float] = -TOLD_SECONDS

    _refused = False
    _since: float | None = None
    """Since when the client owes something: the rest of a head or body, or the reading."""
    _owes = "head"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve the connection, unless there are too many."""
        super().connection_made(transport)
        self._owe("head")
        if len(self.connections) > LIMITS.connections:
            self._tell()
            transport.abort()
            return
        cls = type(self)
        if cls._sweeping is None:
            cls._sweeping = self.loop.call_later(SWEEP_SECONDS, cls._sweep, self.connections)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self._since is None:
            self._owe("head")

    def on_headers_complete(self) -> None:
        """Hand the request on, unless its head is too large."""
        many = len(self.headers)
        size = sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url)
        if size > LIMITS.head_bytes or many > LIMITS.headers:
            self._refuse(b"431 Request Header Fields Too Large", "head-too-large")
            return
        self._owe("body")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._refused:
            self._since = None
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._refused:
            return
        if self._since is None:
            self._owe("head")
        super().data_received(data)
        if self._owes == "head" and self._since is not None and not self._refused:
            # What has not ended yet is kept by the parser, which does not tell its size.
            self._pending += len(data)
            if self._pending > 2 * LIMITS.head_bytes:
                self._refuse(b"431 Request Header Fields Too Large", "head-too-large")

    def pause_writing(self) -> None:
        """The client does not read."""
        self._owe("reading")
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._owes == "reading":
            self._since = None
        super().resume_writing()

    _pending = 0

    def _owe(self, what: str) -> None:
        self._owes, self._since, self._pending = what, monotonic(), 0

    def _late(self, now: float) -> bool:
        most: dict[str, float] = {
            "head": LIMITS.head_seconds,
            "body": LIMITS.body_seconds,
            "reading": LIMITS.write_seconds,
        }
        return self._since is not None and now - self._since > most[self._owes]

    def _end(self) -> None:
        if self._owes == "reading":
            self.transport.abort()
        elif self._owes == "body" and self.cycle is not None and self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(b"408 Request Timeout", "too-slow")

    def _refuse(self, status: bytes, kind: str) -> None:
        """A problem document from below the application, and the end of the connection."""
        self._refused = True
        code, _, title = status.decode().partition(" ")
        body = (
            f'{{"type":"urn:fx-assets:problem:{kind}","title":"{title}","status":{code},'
            f'"detail":"{_DETAILS[kind]}","remedy":"{_REMEDIES[kind]}"}}'
        ).encode()
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/problem+json\r\n"
            b"cache-control: no-store\r\nconnection: close\r\ncontent-length: "
            + str(len(body)).encode() + b"\r\n\r\n" + body
        )  # fmt: skip
        self.transport.close()

    def _tell(self) -> None:
        cls = type(self)
        now = monotonic()
        if now - cls._told > TOLD_SECONDS:
            cls._told = now
            _log.warning(
                "More than %s connections; further ones are closed. FX_SERVING_MAX_CONNECTIONS",
                LIMITS.connections,
            )

    @classmethod
    def _sweep(cls, connections: set[Any]) -> None:
        now = monotonic()
        for one in list(connections):
            if isinstance(one, Protocol) and not one._refused and one._late(now):
                one._end()
        if connections:
            loop = asyncio.get_running_loop()
            cls._sweeping = loop.call_later(SWEEP_SECONDS, cls._sweep, connections)
        else:
            cls._sweeping = None


_DETAILS = {
    "head-too-large": "The request line and headers are larger, or more, than is read.",
    "too-slow": "The request did not arrive in time.",
}
_REMEDIES = {
    "head-too-large": "Send fewer and shorter headers.",
    "too-slow": "Send the whole request at once.",
}


def allow_descriptors(connections: int) -> None:
    """Raise the process's limit of open files so that all connections fit, as far as it may."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + DESCRIPTORS_BESIDE
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
