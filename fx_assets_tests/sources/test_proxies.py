"""Proxies that cannot be used are said, not thrown."""

from __future__ import annotations

import pytest

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources.http import download


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://127.0.0.1:9", "pip install socksio"),
        ("carrier-pigeon://127.0.0.1:9", "Correct HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, proxy: str, said: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(SourceError, match=said):
        download("http://example.invalid/x", Settings(), expected="a file", max_bytes=10)
