"""One home after its first run, and copies of it to damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fx_assets_tests.homes import Home


@pytest.fixture(scope="session")
def first_home(once: Callable[[str, Callable[[Path], None]], Path], empty_registry: Path) -> Home:
    """A home after its first run; tests leave it as it is."""

    def run_first(folder: Path) -> None:
        Home.new(folder, empty_registry).run("run").succeeded()

    return Home(once("first_home", run_first))


@pytest.fixture
def home(first_home: Home, tmp_path: Path) -> Home:
    """A copy of the home, to change."""
    return first_home.copy_to(tmp_path / "home")


@pytest.fixture
def new_home(tmp_path: Path, empty_registry: Path) -> Home:
    """A home in which nothing has been run."""
    return Home.new(tmp_path / "home", empty_registry)
