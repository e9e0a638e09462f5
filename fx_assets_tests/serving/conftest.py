"""One server on one small lake, shared by the tests that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import Running, serving, until


@pytest.fixture(scope="session")
def lake_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("serving") / "lake"
    small_lake.make(root)
    return root


@pytest.fixture(scope="session")
def server(lake_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(lake_root, tmp_path_factory.mktemp("server")) as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        yield running


@pytest.fixture
def api(server: Running) -> httpx.Client:
    return server.client
