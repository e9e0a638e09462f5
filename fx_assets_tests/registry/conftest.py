"""A real SQLite registry shared by the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets.registry.runs import ModelRegistry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    """A prepared registry in a folder that did not exist."""
    root = tmp_path_factory.mktemp("registry")
    made = ModelRegistry(
        f"sqlite:///{root}/data/mlflow.db", Path(root, "data", "artifacts").as_uri()
    )
    made.prepare()
    return made
