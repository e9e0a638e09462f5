"""One engine for all tests of this folder, each of which takes minutes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fx_assets_tests.containers.engine import Engine, engine


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    with engine() as found:
        yield found


@pytest.fixture(scope="session")
def serving_image(docker: Engine) -> str:
    return docker.build("serving")


@pytest.fixture(scope="session")
def platform_image(docker: Engine, serving_image: str) -> str:
    return docker.build("platform")
