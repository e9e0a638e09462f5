"""Dagster's local storages with paths below ``DAGSTER_HOME``, whatever the working directory.

``dagster.yaml`` names them. Dagster's own take ``base_dir: data/dagster`` from the folder in which
a daemon or a web server happens to be started, and each would keep records of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

Given = ConfigurableClassData | None


class Records(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Any:
        """The storage of a ``dagster.yaml``."""
        return super().from_config_value(inst_data, at_home(config_value))


class Artifacts(LocalArtifactStorage):
    """Files of runs."""

    @classmethod
    def from_config_value(cls, inst_data: Given, config_value: Any) -> Any:
        """The storage of a ``dagster.yaml``."""
        return super().from_config_value(inst_data, at_home(config_value))


class Logs(LocalComputeLogManager):
    """What runs print."""

    @classmethod
    def from_config_value(cls, inst_data: Given, config_value: Any) -> Any:
        """The log manager of a ``dagster.yaml``."""
        return super().from_config_value(inst_data, at_home(config_value))


def at_home(config: dict[str, Any]) -> Any:
    """The setting with ``base_dir`` below ``DAGSTER_HOME``; an absolute one stays."""
    home = Path(os.environ.get("DAGSTER_HOME", "."))
    return {**config, "base_dir": str(home.resolve() / config["base_dir"])}
