"""One server and one Prometheus for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fx_assets_tests.deploy.monitored import Monitored, Prometheus, monitored, prometheus


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    with monitored(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture(scope="session")
def scraped(watched: Monitored, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("watching") / "prometheus"
    with prometheus(folder, watched.server.port) as made:
        yield made
