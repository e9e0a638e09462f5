"""Who may ask what, and how often."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from fx_assets.errors import SpecError
from serving.http.problems import Problem

_log = logging.getLogger("serving")
STORAGE_SECONDS = 0.2
"""How long a shared storage of rate limits may take to answer."""
AWAY_SECONDS = 5.0
"""How long it is left alone after it did not."""
SCOPES = ("read", "predict")
OPEN = ("/health/", "/v2/health/", "/static/")
OPEN_PATHS = frozenset({"/", "/docs", "/ping", "/favicon.ico"})
"""What needs no key: whether the server lives, and the page itself, which holds no data."""
PREDICTS = re.compile(
    r"^/(invocations|v1/forecasts/[^/]+/(invocations|predict/.*)|v2/models/.*/infer)$"
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """A key that is known by its hash only."""

    name: str
    scopes: frozenset[str]
    digest: bytes


class Keys:
    """The keys of a deployment; none at all means that everybody may ask everything.

    A key is 256 random bits, so that one SHA-256 is as safe as a slow hash: there is nothing to
    guess. Every stored digest is compared, each in constant time.
    """

    def __init__(self, entries: list[str], where: str) -> None:
        self._keys = [_parse(entry, where) for entry in entries]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, presented: bytes) -> Key | None:
        """The key that was presented, if it is one."""
        digest = hashlib.sha256(presented).hexdigest().encode()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def load_keys(text: str, file: Path | None) -> Keys:
    """The keys of the environment and of the file.

    Raises
    ------
    SpecError
        An entry is not 'name:scopes:sha256', or the file cannot be read.
    """
    entries = text.split()
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(
                f"FX_SERVING_KEYS_FILE={file} cannot be read: {error}",
                remedy="Create it with lines from `python -m serving new-key`.",
            ) from error
        entries += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return Keys(entries, str(file or "FX_SERVING_KEYS"))


def new_key(name: str, scopes: str) -> tuple[str, str]:
    """A fresh key, and the entry to store, from which it cannot be found."""
    key = f"fx_{secrets.token_urlsafe(32)}"
    entry = f"{name}:{scopes}:{hashlib.sha256(key.encode()).hexdigest()}"
    _parse(entry, "new key")
    return key, entry


def needed_scope(method: str, path: str) -> str | None:
    """The scope that a request needs; None if it needs no key."""
    if path in OPEN_PATHS or path.startswith(OPEN):
        return None
    return "predict" if method == "POST" and PREDICTS.fullmatch(path) else "read"


def is_probe(path: str) -> bool:
    """Whether the path is asked by what watches the server, which no limit may blind."""
    return path in ("/metrics", "/ping") or path.startswith(("/health/", "/v2/health/"))


def presented_key(headers: dict[bytes, bytes]) -> bytes | None:
    """The key of a request, from ``Authorization: Bearer`` or ``X-API-Key``."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        return token.strip()
    return headers.get(b"x-api-key")


def authorise(keys: Keys, method: str, path: str, headers: dict[bytes, bytes]) -> Key | None:
    """The key that allows the request.

    Raises
    ------
    Problem
        401: there is no valid key; 403: it lacks the scope.
    """
    scope = needed_scope(method, path)
    presented = presented_key(headers)
    key = None if presented is None else keys.find(presented)
    if scope is None:
        return key
    if key is None:
        raise Problem(
            401,
            "no-valid-key",
            "The request has no valid API key." if presented else "The request has no API key.",
            field="authorization",
            remedy="Send 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
            headers={"www-authenticate": 'Bearer realm="fx-assets"'},
        )
    if scope not in key.scopes:
        raise Problem(
            403,
            "scope-missing",
            f"The key {key.name!r} has the scopes {', '.join(sorted(key.scopes))}; this needs "
            f"{scope}.",
            field="authorization",
            remedy=f"Use a key with the scope {scope}.",
        )
    return key


class Limiter:
    """At most so many requests a time by one key or address.

    Where a shared storage does not answer at once, this process counts for itself for a while.
    """

    def __init__(self, rate: str, storage: str) -> None:
        try:
            self._item: RateLimitItem = parse(rate)
            options = _prompt() if storage.startswith("redis") else {}
            self._shared = FixedWindowRateLimiter(storage_from_string(storage, **options))
        except Exception as error:
            raise SpecError(
                f"FX_SERVING_RATE_LIMIT={rate!r} with FX_SERVING_RATE_LIMIT_STORAGE={storage!r}: "
                f"{error}",
                remedy="Write a rate such as 100/second or 6000/minute; for redis:// install "
                "fx-assets[redis].",
            ) from None
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._away_until = float("-inf")
        self._period = str(self._item.get_expiry())

    def check(self, who: str) -> None:
        """Count a request.

        Raises
        ------
        Problem
            429: there were too many.
        """
        if self._counted(who):
            return
        raise Problem(
            429,
            "too-many-requests",
            f"More than {self._item} requests by one key or address.",
            field="rate",
            value=str(self._item),
            remedy="Wait as long as Retry-After says, or ask for a higher limit.",
            headers={"retry-after": self._period},
        )

    def _counted(self, who: str) -> bool:
        now = monotonic()
        if now >= self._away_until:
            try:
                return self._shared.hit(self._item, who)
            except Exception as error:
                self._away_until = now + AWAY_SECONDS
                _log.warning(
                    "The storage of rate limits does not answer (%s); this process counts for "
                    "itself for %g s.", type(error).__name__, AWAY_SECONDS,
                )  # fmt: skip
        return self._own.hit(self._item, who)


def _prompt() -> dict[str, Any]:
    """Options of Redis: one attempt, for which all other requests of the process wait."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    within = {"socket_timeout": STORAGE_SECONDS, "socket_connect_timeout": STORAGE_SECONDS}
    return {**within, "retry": Retry(NoBackoff(), 0)}


def _parse(entry: str, where: str) -> Key:
    name, _, rest = entry.partition(":")
    scopes, _, digest = rest.partition(":")
    granted = frozenset(scopes.split(","))
    if not name or not granted <= set(SCOPES) or not _DIGEST.fullmatch(digest):
        raise SpecError(
            f"{where}: the entry of {name if name and digest else 'an unnamed key'} is not "
            "'name:scopes:sha256'.",
            remedy=f"Scopes are {' or '.join(SCOPES)}, with a comma between two; make an entry with"
            " `python -m serving new-key`.",
        )
    return Key(name, granted, digest.encode())
