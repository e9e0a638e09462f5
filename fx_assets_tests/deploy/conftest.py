"""One server, one platform and one Prometheus for all tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from fx_assets.testing.processes import Running, free_port, running
from fx_assets_tests.deploy.monitored import Monitored, Prometheus, lived, monitored, prometheus


@pytest.fixture(scope="package")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    with monitored(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """``fx-assets metrics`` of a platform that has lived a little."""
    folder = tmp_path_factory.mktemp("platform")
    port = free_port()
    command = [sys.executable, "-m", "fx_assets.cli", "metrics", "--port", str(port)]
    with running(
        command,
        "/metrics",
        port=port,
        folder=folder,
        environment=lived(folder).variables,
        patience=240,
    ) as made:
        yield made


@pytest.fixture(scope="package")
def scraped(
    watched: Monitored, platform: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("watching") / "prometheus"
    targets = {"fx-serving": watched.server.port, "fx-platform": platform.port}
    with prometheus(folder, targets) as made:
        yield made
