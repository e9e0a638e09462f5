"""The busiest paths, answered before the framework looks at the request.

FastAPI's way from a request to its handler takes longer than a prediction. The same handler stands
behind FastAPI's own route, which documents it and takes what has no shortcut.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from serving.http.responses import Raw

PREFIX = "/v1/forecasts/"
Headers = Mapping[bytes, bytes]
Handler = Callable[[str, Headers, bytes], Raw]
"""From the forecast's name, the headers by lower-case name, and the body, to the answer."""


@dataclass(frozen=True)
class Shortcut:
    """A handler with its path, whose only parameter is ``forecast``."""

    path: str
    handler: Handler
    has_body: bool


class Shortcuts:
    """Handlers by method and by what follows the forecast's name in the path."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Shortcut] = {}
        self._others: Callable[[str], bool] = lambda _name: False

    def unless(self, others: Callable[[str], bool]) -> None:
        """Leave the forecasts of these names to the framework's routes."""
        self._others = others

    def add(self, method: str, rest: str, handler: Handler) -> Callable[..., Awaitable[Raw]]:
        """Answer ``{PREFIX}{forecast}/{rest}``; returns the endpoint for FastAPI's route."""
        path = f"{PREFIX}{{forecast}}/{rest}"
        self._known[method, rest] = Shortcut(path, handler, method == "POST")

        async def endpoint(request: Request) -> Raw:
            name = request.path_params["forecast"]
            return handler(name, dict(request.scope["headers"]), await request.body())

        endpoint.__name__ = handler.__name__
        return endpoint

    def find(self, method: str, path: str, query: bytes = b"") -> tuple[Shortcut, str] | None:
        """The shortcut of a request and the forecast that it names.

        A query is for the framework's route, which knows what may be asked.
        """
        if query or not path.startswith(PREFIX):
            return None
        name, _, rest = path[len(PREFIX) :].partition("/")
        shortcut = self._known.get((method, rest))
        if shortcut is None or not name or self._others(name):
            return None
        return shortcut, name


def content_type(headers: Headers) -> str:
    """The content type that the client says it sends."""
    return headers.get(b"content-type", b"").decode("latin-1")


async def read_body(receive: Receive) -> bytes:
    """The whole body.

    Raises
    ------
    ClientDisconnect
        The client has gone.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        if not message.get("more_body"):
            break
        parts.append(message.get("body", b""))
    last: bytes = message.get("body", b"")
    return b"".join([*parts, last]) if parts else last
