"""A relay before a server that lets everything pass, hangs, refuses, or asks to slow down."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, get_args

Fault = Literal["refuses", "hangs", "slows down"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code>"
    b"<Message>Please reduce your request rate.</Message></Error>"
)
ANSWER = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(SLOW_DOWN), SLOW_DOWN)
)


class Relay:
    """A TCP relay to a local port; ``fault`` is what is wrong with it, None while nothing is."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.fault: Fault | None = None
        self._open: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def breaks(self, fault: Fault) -> None:
        """Begin to fail; connections that are open fail, too."""
        self.fault = fault
        if fault == "refuses":
            self._shut(self._listener)
        if fault != "hangs":
            for connection in list(self._open):
                self._shut(connection)

    def mends(self) -> None:
        """Let everything pass again; what hung goes on."""
        refused, self.fault = self.fault == "refuses", None
        if refused:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        self._closed = True
        for each in (self._listener, *list(self._open)):
            self._shut(each)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        self._wait()
        if self.fault == "slows down":
            with suppress(OSError):
                client.recv(65_536)
                client.sendall(ANSWER)
            self._shut(client)
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._upstream))
        except OSError:
            self._shut(client)
            return
        self._open.add(server)
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                self._wait()
                other.sendall(data)
        self._shut(one)
        self._shut(other)

    def _wait(self) -> None:
        while self.fault == "hangs" and not self._closed:
            time.sleep(0.02)

    def _shut(self, each: socket.socket) -> None:
        self._open.discard(each)
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def relayed(upstream: int) -> Iterator[Relay]:
    """A relay to a server's port, closed with the block."""
    relay = Relay(upstream)
    try:
        yield relay
    finally:
        relay.close()
