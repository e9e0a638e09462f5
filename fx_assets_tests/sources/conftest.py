from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fx_assets.settings import Settings
from fx_assets.sources import ecb
from fx_assets.testing.vendors.ecb_server import EcbServer, running


@pytest.fixture(autouse=True)
def _fresh_process_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("FX_ASSETS_NOW", raising=False)
    ecb.forget()
    yield
    ecb.forget()


@pytest.fixture
def server() -> Iterator[EcbServer]:
    with running() as server:
        yield server


@pytest.fixture
def settings(server: EcbServer) -> Callable[..., Settings]:
    def build(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "ecb_history_url": f"{server.url}/hist.zip",
            "ecb_daily_url": f"{server.url}/daily.xml",
            "http_timeout_seconds": 5.0,
            "http_attempts": 3,
            "http_backoff_seconds": 0.005,
        }
        return Settings(**(values | changes))

    return build
