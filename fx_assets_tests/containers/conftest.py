"""One engine for all tests of this folder, each of which takes minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Writes a figure where people read it, also of tests that pass."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")

    def write(text: str) -> None:
        if reporter is not None:
            reporter.write_line(f"\n{text}")

    return write
