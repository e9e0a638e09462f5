"""Who asks, and below which path, where a proxy stands before the server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from fx_assets.errors import SpecError

ANYBODY = "*"
_PREFIX = re.compile(r"(/[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*){1,16}")
_LONGEST = 200
Headers = Mapping[bytes, bytes]


class Proxies:
    """Which peers are believed about the addresses of those behind them.

    Raises
    ------
    SpecError
        An entry is neither an address nor a network, or the root path is not a path.
    """

    def __init__(self, trusted: Sequence[str], root_path: str) -> None:
        self._anybody = ANYBODY in trusted
        self._networks = [_network(entry) for entry in trusted if entry != ANYBODY]
        self._root_path = root_path.rstrip("/")
        if self._root_path and not _usable(self._root_path):
            raise SpecError(
                f"FX_SERVING_ROOT_PATH={root_path!r} is not a path.",
                remedy="Write the prefix that the proxy strips, such as /fx.",
            )
        self._trusts = lru_cache(maxsize=1024)(self._look_up)

    def address(self, scope: Scope, headers: Headers) -> str:
        """The client's address: the peer's, or the last that a trusted proxy vouches for."""
        client = scope.get("client")
        peer: str = client[0] if client else ""
        given = headers.get(b"x-forwarded-for")
        if given is None or not self._trusts(peer):
            return peer
        for entry in reversed(given.decode("latin-1").split(",")[-16:]):
            text = entry.strip()[:64]
            if not _is_address(text):
                return peer
            peer = text
            if not self._trusts(peer):
                break
        return peer

    def prefix(self, scope: Scope, headers: Headers) -> str:
        """What the proxy took off the path; '' where there is none.

        ``X-Forwarded-Prefix`` counts from trusted proxies and from this machine: nothing but links
        depends on it.
        """
        given = headers.get(b"x-forwarded-prefix")
        if given is None:
            return self._root_path
        client = scope.get("client")
        peer = client[0] if client else ""
        if not (_is_loopback(peer) or self._trusts(peer)):
            return self._root_path
        text = given.decode("latin-1").partition(",")[0].strip().rstrip("/")
        return text if _usable(text) else self._root_path

    def _look_up(self, peer: str) -> bool:
        if self._anybody:
            return True
        if not self._networks or not _is_address(peer):
            return False
        address = ip_address(peer)
        return any(address in network for network in self._networks)


def _usable(path: str) -> bool:
    return len(path) <= _LONGEST and _PREFIX.fullmatch(path) is not None


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _is_loopback(text: str) -> bool:
    return _is_address(text) and ip_address(text).is_loopback


def _network(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry, strict=False)
    except ValueError as error:
        raise SpecError(
            f"FX_SERVING_TRUSTED_PROXIES: {entry!r} is neither an address nor a network: {error}",
            remedy='Write a JSON list such as ["10.0.0.5", "172.16.0.0/12"], or ["*"].',
        ) from None
