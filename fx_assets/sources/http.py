"""One bounded, patient and honest download."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx
import tenacity

from fx_assets.errors import SourceError
from fx_assets.faults import fault_of
from fx_assets.settings import Settings

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.5
MAX_REDIRECTS = 5
PATIENCE = 3.0
"""A download, with all its attempts, may take this many times the timeout."""


class _WithoutHeaders(logging.Filter):
    """Leaves out the headers of answers, in which a server may echo a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "response_headers" not in record.getMessage()


for _protocol in ("http11", "http2"):
    logging.getLogger(f"httpcore.{_protocol}").addFilter(_WithoutHeaders())


@dataclass(frozen=True)
class Download:
    """An answer: the bytes, and what to send next time to be told that nothing changed."""

    url: str
    content: bytes
    etag: str | None
    last_modified: str | None
    not_modified: bool = False
    status: int = 200
    retry_after: float | None = None
    """Seconds that the answer asks to wait for."""


class TransientError(SourceError):
    """Worth another attempt; ``wait`` is how many seconds the other side asks for."""

    def __init__(
        self, message: str, *, remedy: str, attempts: int = 1_000, wait: float | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.attempts = attempts
        self.wait = wait


@dataclass
class Patience:
    """How many seconds may still be waited because the other side limits requests."""

    left: float


@dataclass(frozen=True)
class ApiCall:
    """What asking an API has beyond downloading a file.

    Parameters
    ----------
    judge
        Sees every answer below status 500, and raises what it stands for: a
        :class:`TransientError` to be asked again, any other :class:`SourceError` to give up.
    patience
        Bounds what is waited for on request of the other side, all attempts and calls together.
    query
        Parameters of the address; never secrets, which are headers.
    headers
        Redirects are not followed, so that a key reaches no other host.
    before
        Called before each attempt; returns the seconds that it waited, which do not count.
    """

    judge: Callable[[Download], None]
    patience: Patience
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    before: Callable[[], float] = lambda: 0.0


def shown(url: str) -> str:
    """The address as it may be shown: without user, password, query and fragment."""
    try:
        parsed = httpx.URL(url)
        return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))
    except (httpx.InvalidURL, TypeError):
        return "(unreadable address)"


def download(
    url: str,
    settings: Settings,
    *,
    expected: str,
    max_bytes: int,
    etag: str | None = None,
    last_modified: str | None = None,
    api: ApiCall | None = None,
) -> Download:
    """Get ``url``, with timeouts, bounded size, bounded redirects and bounded retries.

    Connection errors, 429 and 5xx are tried again up to ``settings.http_attempts`` times with
    exponential backoff and jitter; ``Retry-After`` is honoured. A host that refuses or cannot be
    reached is tried at most twice, an unknown host name or a connection that times out once, so
    that a machine without a network falls back within seconds. Everything together ends after
    three times ``settings.http_timeout_seconds``, also when bytes only drip in.

    Parameters
    ----------
    expected
        What the answer should be, for messages, such as "the ECB's history zip".
    max_bytes
        Largest body; a larger one is an error before it is in memory.
    etag, last_modified
        Of the copy that the caller holds; a 304 then gives ``not_modified`` and no content.
    api
        Query, keys and manners of an API; unset for a plain file.

    Raises
    ------
    SourceError
        With the address, the status, what was expected and what to do.
    """
    seconds = PATIENCE * settings.http_timeout_seconds
    target = _Target(url, expected, max_bytes, settings, api, time.monotonic() + seconds)
    headers = {"Accept-Encoding": "identity", "User-Agent": "fx-assets"}
    if etag:
        headers["If-None-Match"] = etag
    if last_modified:
        headers["If-Modified-Since"] = last_modified
    backoff = tenacity.wait_exponential_jitter(
        multiplier=settings.http_backoff_seconds,
        jitter=settings.http_backoff_seconds,
        max=settings.http_timeout_seconds,
    )

    def pause(state: tenacity.RetryCallState) -> float:
        asked = getattr(state.outcome and state.outcome.exception(), "wait", None)
        return float(asked) if asked is not None else backoff(state)

    def enough(state: tenacity.RetryCallState) -> bool:
        error = state.outcome and state.outcome.exception()
        allowed = min(settings.http_attempts, getattr(error, "attempts", 1))
        if state.attempt_number >= allowed:
            return True
        if api and getattr(error, "wait", None) is not None:
            return pause(state) > api.patience.left
        return pause(state) > target.remaining()

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        log.warning("%s Trying again.", getattr(error, "message", ""))
        if api and getattr(error, "wait", None) is not None:
            api.patience.left -= pause(state)
            target.deadline += pause(state)

    attempt = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        wait=pause,
        stop=enough,
        before_sleep=before_sleep,
        reraise=True,
    )
    return attempt(target.get, headers)


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes longer than a local request.
    return httpx.create_ssl_context()


@dataclass
class _Target:
    url: str
    expected: str
    max_bytes: int
    settings: Settings
    api: ApiCall | None
    deadline: float

    def remaining(self) -> float:
        return self.deadline - time.monotonic()

    def get(self, headers: dict[str, str]) -> Download:
        api = self.api
        if api:
            self.deadline += api.before()
        seconds = self.settings.http_timeout_seconds
        connect = min(CONNECT_SECONDS, seconds)
        self._resolve(connect)
        timeout = httpx.Timeout(max(0.01, min(seconds, self.remaining())), connect=connect)
        try:
            with (
                httpx.Client(
                    verify=_tls(),
                    timeout=timeout,
                    follow_redirects=not (api and api.headers),
                    max_redirects=MAX_REDIRECTS,
                ) as client,
                client.stream(
                    "GET",
                    self.url,
                    params=dict(api.query) if api and api.query else None,
                    headers=headers | dict(api.headers if api else {}),
                ) as response,
            ):
                return self._read(
                    response,
                    conditional="If-None-Match" in headers or "If-Modified-Since" in headers,
                )
        except (ImportError, ValueError) as error:
            if "proxy" not in str(error).lower():
                raise
            fault = fault_of(error)
            if fault is not None:
                raise self._error(fault.sentence.rstrip("."), fault.remedy) from error
            remedy = "Correct HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, or unset them."
            raise self._error(str(error), remedy) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise self._error(
                str(error) or type(error).__name__, "Correct the address in the settings."
            ) from error
        except httpx.ConnectTimeout as error:
            raise self._transient(f"no connection within {connect:g} s", attempts=1) from error
        except httpx.ConnectError as error:
            raise self._transient(f"no connection: {error}", attempts=2) from error
        except (httpx.TimeoutException, httpx.TransportError) as error:
            raise self._transient(f"{type(error).__name__}: {error}") from error
        except httpx.HTTPError as error:
            raise self._error(f"{type(error).__name__}: {error}") from error

    def _resolve(self, seconds: float) -> None:
        # The resolver has no timeout of its own, so it gets one here. A proxy resolves for us.
        try:
            parsed = httpx.URL(self.url)
        except (httpx.InvalidURL, TypeError):
            return
        proxies = urllib.request.getproxies()
        proxied = parsed.scheme in proxies or "all" in proxies
        if not parsed.host or (proxied and not urllib.request.proxy_bypass(parsed.host)):
            return
        answer: list[str | None] = []

        def ask() -> None:
            try:
                socket.getaddrinfo(parsed.host, parsed.port)
                answer.append(None)
            except (OSError, UnicodeError) as error:
                answer.append(str(error))

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(seconds)
        problem = answer[0] if answer else f"no answer within {seconds:g} s"
        if problem:
            raise self._transient(
                f"the name {parsed.host!r} could not be resolved: {problem}", attempts=1
            )

    def _read(self, response: httpx.Response, *, conditional: bool) -> Download:
        status = response.status_code
        if self.url.startswith("https:") and response.url.scheme != "https":
            raise self._error("it redirects to an address without encryption")
        if status == 304 and conditional:
            return self._answer(response, b"", not_modified=True)
        wait = _retry_after(response.headers.get("Retry-After"))
        if status >= 500 or (status == 429 and not self.api):
            if wait is not None and wait > self._longest_wait():
                raise self._error(
                    f"HTTP {status}, and it asks to wait for {wait:g} s", "Try again later."
                )
            raise self._transient(f"HTTP {status}", wait=wait)
        if 300 <= status < 400:
            to = shown(str(response.headers.get("Location", "")))
            raise self._error(
                f"HTTP {status}, it redirects to {to}", "Correct the address in the settings."
            )
        if status != 200 and not self.api:
            raise self._error(f"HTTP {status}", "Check the address in the settings.")
        declared = response.headers.get("Content-Length", "")
        if declared.isdigit() and int(declared) > self.max_bytes:
            raise self._too_large(f"declares {int(declared):,} bytes")
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self.max_bytes:
                raise self._too_large("keeps sending")
            if self.remaining() <= 0:
                raise self._error(
                    f"only {len(body):,} bytes arrived within "
                    f"{PATIENCE * self.settings.http_timeout_seconds:g} s",
                    "Try again later, or raise FX_ASSETS_HTTP_TIMEOUT_SECONDS.",
                )
        answer = self._answer(response, bytes(body), not_modified=False)
        if self.api:
            self.api.judge(answer)
        return answer

    def _longest_wait(self) -> float:
        if self.api:
            return self.api.patience.left
        return min(self.settings.http_timeout_seconds, self.remaining())

    def _answer(self, response: httpx.Response, content: bytes, *, not_modified: bool) -> Download:
        return Download(
            url=shown(self.url),
            content=content,
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
            not_modified=not_modified,
            status=response.status_code,
            retry_after=_retry_after(response.headers.get("Retry-After")),
        )

    def _message(self, found: str) -> str:
        return f"Expected {self.expected} from {shown(self.url)}: {found}."

    def _error(self, found: str, remedy: str = "Check the address and the network.") -> SourceError:
        return SourceError(self._message(found), remedy=remedy)

    def _too_large(self, found: str) -> SourceError:
        return self._error(
            f"the answer {found}, more than the {self.max_bytes:,} that are plausible",
            "Check that the address is the right one.",
        )

    def _transient(
        self, found: str, *, attempts: int = 1_000, wait: float | None = None
    ) -> TransientError:
        return TransientError(
            self._message(found),
            remedy="Check the network, a proxy (HTTPS_PROXY), or try again later.",
            attempts=attempts,
            wait=wait,
        )


def _retry_after(value: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, be it a number or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(time.time(), UTC)).total_seconds())
