"""What goes out: JSON by msgspec in a response that costs no more than its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.schemas import Forecast

JSON = b"application/json"
_encoder = msgspec.json.Encoder()


class Raw(Response):
    """A finished body with its headers; does none of the work of Starlette's constructor."""

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: bytes = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
        ]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        await self.send(send)

    async def send(self, send: Send, *more: tuple[bytes, bytes]) -> None:
        """Send it with more headers; its own list of them stays as it is."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": [*self.raw_headers, *more],
            }
        )
        await send({"type": "http.response.body", "body": self.body})


class Prepared(Raw):
    """A response that is made once and sent many times."""

    def __init__(
        self, body: bytes, raw_headers: list[tuple[bytes, bytes]], status: int = 200
    ) -> None:
        self.body, self.raw_headers, self.status_code = body, raw_headers, status
        self.background = None


def json_bytes(value: Any) -> bytes:
    """JSON; NaN and infinities become null."""
    return _encoder.encode(value)


def ledger_head(forecast: Forecast) -> dict[str, str]:
    """The header with the hash that covers an issued forecast and all before it."""
    head = forecast.ledger_head
    return {} if head is None else {"x-ledger-head": head}


def spliced(content: bytes) -> Any:
    """JSON that was encoded elsewhere, as a part of what is to be encoded."""
    return msgspec.Raw(content)


def json_answer(value: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> Raw:
    """A value as a JSON response."""
    return Raw(json_bytes(value), status=status, headers=headers)
