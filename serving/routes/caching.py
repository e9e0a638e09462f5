"""ETag, If-None-Match and Cache-Control of answers that change with the next bar."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from starlette.requests import Request

from serving.http.responses import JSON, Raw, json_bytes
from serving.state.server import Server, keep_seconds
from serving.state.service import Service


def matches(given: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the ETag, by weak comparison (RFC 9110)."""
    if given is None:
        return False
    plain = etag.removeprefix("W/")
    found = (part.strip().removeprefix("W/") for part in given.split(","))
    return any(part in ("*", plain) for part in found)


def cache_control(server: Server, service: Service) -> str:
    """How long an answer about a forecast may be kept: until the next bar is expected."""
    now = server.now()
    seconds = keep_seconds(service.data(now), service.stale, now)
    return f"{server.visibility}, max-age={seconds}"


def conditional(
    request: Request,
    server: Server,
    service: Service,
    value: object,
    *,
    content_type: bytes = JSON,
    identity: object = None,
    more: Mapping[str, str] | None = None,
) -> Raw:
    """An answer, or 304 if the client has it.

    Parameters
    ----------
    value
        A finished body, or what becomes JSON.
    identity
        What the ETag is made of, where the body changes with the clock; makes the ETag weak.
    more
        Further headers.
    """
    body = value if isinstance(value, bytes) else json_bytes(value)
    basis = body if identity is None else json_bytes(identity)
    digest = hashlib.sha256(basis).hexdigest()[:20]
    etag = f'"{digest}"' if identity is None else f'W/"{digest}"'
    headers = {"etag": etag, "cache-control": cache_control(server, service), **(more or {})}
    if matches(request.headers.get("if-none-match"), etag):
        return Raw(b"", status=304, headers=headers)
    return Raw(body, content_type=content_type, headers=headers)
