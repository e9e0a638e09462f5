"""The one middleware: request id, keys, limits, security headers, metrics and the access log."""

from __future__ import annotations

import logging
import re
from itertools import count
from secrets import token_hex
from time import perf_counter, time
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fx_assets.errors import FxAssetsError
from serving.http import metrics
from serving.http.access_log import AccessLog, Entry
from serving.http.problems import Problem, crashed, shortened, unavailable
from serving.http.proxies import Proxies
from serving.http.security import Key, Keys, Limiter, authorise, is_probe
from serving.http.shortcuts import Shortcuts, read_body
from serving.http.threads import Aside

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
API_HEADERS = [*SECURITY_HEADERS, API_POLICY]
NOTHING_SENT = 0
GONE = 499
"""What is counted where the client left before its answer (as nginx does); never sent."""
REDIRECTS = (301, 302, 303, 307, 308)
LARGE = 50_000
"""Bodies above this are read and answered in a thread, so that others need not wait."""
DRAINED = 4
"""Bodies up to so many times the limit are read to their end before they are refused."""
_log = logging.getLogger("serving")
_ID = re.compile(rb"[A-Za-z0-9_.\-]{1,64}")
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})


class Gate:
    """Pure ASGI: what every request passes on its way in and out."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        limiter: Limiter | None,
        max_body: int,
        log: AccessLog,
        shortcuts: Shortcuts,
        proxies: Proxies,
        aside: Aside,
    ) -> None:
        self._app, self._keys, self._limiter = app, keys, limiter
        self._max_body, self._log, self._shortcuts = max_body, log, shortcuts
        self._proxies, self._aside = proxies, aside
        self._start, self._count = token_hex(6), count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        if given is not None and _ID.fullmatch(given):
            request_id = given.decode()
        else:
            request_id = f"{self._start}-{next(self._count):x}"
        client = self._proxies.address(scope, headers)
        method = scope["method"]
        scope, path = _routed(scope, self._proxies.prefix(scope, headers))
        scope["request_id"] = request_id
        status = NOTHING_SENT

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = message["headers"]
                out.append((b"x-request-id", request_id.encode()))
                out.extend(SECURITY_HEADERS)
                if not any(name == b"content-security-policy" for name, _ in out):
                    out.append(API_POLICY)
                if status in REDIRECTS:
                    _stay_here(out)
            await send(message)

        key: Key | None = None
        try:
            key = self._admit(scope["method"], path, headers, client)
            if not scope["query_string"].isascii():
                raise not_ascii(scope["query_string"])
            checked = receive
            if b"content-length" not in headers and scope["method"] != "GET":
                checked = _bounded(receive, self._max_body)
            found = self._shortcuts.find(scope["method"], path, scope["query_string"])
            if found is None:
                await self._app(scope, checked, answer)
            else:
                shortcut, name = found
                scope["route"] = shortcut
                content = await read_body(checked) if shortcut.has_body else b""
                if len(content) > LARGE:
                    made = await self._aside(shortcut.handler, name, headers, content)
                else:
                    made = shortcut.handler(name, headers, content)
                status = made.status_code
                await made.send(send, (b"x-request-id", request_id.encode()), *API_HEADERS)
        except ClientDisconnect:
            status = GONE
        except Exception as error:
            refusal = _refusal(error, request_id)
            if refusal.document.status == 413:
                await _drain(receive, DRAINED * self._max_body)
            if status != NOTHING_SENT:
                raise
            await refusal.response(request_id, path)(scope, receive, answer)
        finally:
            seconds = perf_counter() - began
            name = key.name if key else ""
            self._record(scope, method, path, status, seconds, request_id, client, name)

    def _admit(
        self, method: str, path: str, headers: dict[bytes, bytes], client: str
    ) -> Key | None:
        key = None
        if self._keys:
            key = authorise(self._keys, method, path, headers)
        if self._limiter is not None and not is_probe(path):
            self._limiter.check(f"key {key.name}" if key else client)
        coding = headers.get(b"content-encoding", b"identity")
        if method != "GET" and coding.strip().lower() not in (b"identity", b""):
            raise packed(coding)
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._max_body:
            raise too_large(int(length), self._max_body)
        return key

    def _record(
        self,
        scope: Scope,
        method: str,
        path: str,
        status: int,
        seconds: float,
        request_id: str,
        client: str,
        key: str,
    ) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        counted = method if method in _METHODS else "other"
        metrics.request_counter(route, counted, status).inc()
        metrics.latency(route).observe(seconds)
        if self._log.enabled:
            self._log.add(
                Entry(
                    time=time(),
                    request_id=request_id,
                    client=client,
                    key=key,
                    method=method,
                    path=path,
                    status=status,
                    ms=round(seconds * 1e3, 3),
                )
            )


def _refusal(error: Exception, request_id: str) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, FxAssetsError):
        return unavailable(error)
    _log.error("Request %s crashed", request_id, exc_info=error)
    return crashed()


async def _drain(receive: Receive, limit: int) -> None:
    """Read on for a while: a client that is still sending would not see the answer."""
    seen = 0
    while seen <= limit:
        message = await receive()
        seen += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def too_large(size: int, limit: int) -> Problem:
    """A body beyond the limit."""
    return Problem(
        413,
        "body-too-large",
        f"The body has {'more than ' if size < 0 else ''}{abs(size)} bytes; {limit} are accepted.",
        field="content-length",
        value=size if size >= 0 else None,
        remedy="Split the request, or raise FX_SERVING_MAX_BODY_BYTES.",
    )


def _bounded(receive: Receive, limit: int) -> Receive:
    """Ends a body that does not say its length where it passes the limit."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise too_large(-limit, limit)
        return message

    return bounded


def _routed(scope: Scope, prefix: str) -> tuple[Scope, str]:
    """The request as the routes see it, and its path: HEAD is a GET whose body is not sent.

    A prefix that the proxy took off stands before the path again, so that links keep it.
    """
    head = scope["method"] == "HEAD"
    if not head and not prefix:
        return scope, scope["path"]
    inner = dict(scope)
    if head:
        inner["method"] = "GET"
    if prefix:
        path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
        if not f"{path}/".startswith(f"{prefix}/"):
            path, raw = prefix + path, prefix.encode() + raw
        inner["root_path"], inner["path"], inner["raw_path"] = prefix, path, raw
    return inner, inner["path"][len(prefix) :] or "/"


def _stay_here(headers: list[tuple[bytes, bytes]]) -> None:
    """Redirect by path alone: the server does not know by which name it is reached."""
    for place, (name, value) in enumerate(headers):
        if name == b"location":
            address = urlsplit(value.decode("latin-1"))
            path = f"{address.path}?{address.query}" if address.query else address.path
            headers[place] = (name, path.encode("latin-1"))


def not_ascii(query: bytes) -> Problem:
    """A query that no URL can have."""
    return Problem(
        400,
        "malformed-query",
        "The query holds bytes beyond ASCII.",
        field="query",
        value=query[:80].decode("latin-1"),
        remedy="Percent-encode it.",
    )


def packed(coding: bytes) -> Problem:
    """A body in a coding that is not read."""
    return Problem(
        415,
        "wrong-content-encoding",
        f"The body is packed as {shortened(coding.decode('latin-1'))}; only plain bodies are read.",
        field="content-encoding",
        value=coding.decode("latin-1"),
        remedy="Send it without Content-Encoding.",
    )
