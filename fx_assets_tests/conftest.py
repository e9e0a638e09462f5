"""Shared by all tests: simulated rates, and folders for platforms of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from fx_assets.registry.runs import ModelRegistry
from fx_assets_tests import worlds
from fx_assets_tests.platform import rates_of

settings.register_profile("suite", max_examples=40, deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def rates() -> pd.DataFrame:
    """A random walk from 2014 to September 2018."""
    return rates_of(worlds.random_walk(1200, 1, start="2014-01-02"))


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated MLflow database; migrating takes seconds, copying does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    ModelRegistry(f"sqlite:///{path}", path.with_name("artifacts").as_uri()).prepare()
    return path


@pytest.fixture(scope="session")
def new_folder(
    tmp_path_factory: pytest.TempPathFactory, empty_registry: Path
) -> Callable[[], Path]:
    """Makes folders for platforms of their own."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("platform")
        (folder / "data").mkdir()
        shutil.copy(empty_registry, folder / "data" / "mlflow.db")
        return folder

    return make
