"""One home after its first run, and copies of it to damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets_tests.homes import Answer, Home


@pytest.fixture(scope="session")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Answer]:
    """A home and what its first run said; tests leave it as it is."""
    home = Home.new(tmp_path_factory.mktemp("home"))
    return home, home.run("run")


@pytest.fixture
def home(first_home: tuple[Home, Answer], tmp_path: Path) -> Home:
    """A copy of the home, to change."""
    first_home[1].succeeded()
    return first_home[0].copy_to(tmp_path / "home")
