"""What goes into the registry and what comes back, as typed records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fx_assets.registry import links


@dataclass(frozen=True)
class DatasetInfo:
    """The rows that a candidate was judged and fitted on, without the rows.

    Parameters
    ----------
    name : str
        Such as ``eurusd_direction/features``.
    uri : str
        Address of the Delta table that holds the rows.
    version : int
        That table's version.
    versions : Mapping[str, int]
        Every Delta table that went into the rows, and its version.
    rows : int
        Number of rows.
    row_hash : str
        Identifies the rows' content.
    first_event, last_event : datetime
        Event times of the first and last row (UTC).
    """

    name: str
    uri: str
    version: int
    versions: Mapping[str, int]
    rows: int
    row_hash: str
    first_event: datetime
    last_event: datetime


@dataclass(frozen=True)
class LoggedModel:
    """A candidate as MLflow keeps it: one run with one model."""

    forecast: str
    run_id: str
    experiment_id: str
    model_id: str

    @property
    def model_uri(self) -> str:
        """The model for ``mlflow.pyfunc.load_model`` and ``mlflow models serve``."""
        return f"models:/{self.model_id}"

    @property
    def run_path(self) -> str:
        """Path of the run's page below MLflow's UI."""
        return links.run_path(self.experiment_id, self.run_id)


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a forecast's registered model."""

    forecast: str
    version: int
    run_id: str
    model_uri: str
    created_at: datetime
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def archived(self) -> bool:
        """Whether it was champion once and is no longer."""
        return self.tags.get("archived") == "true"

    @property
    def model_path(self) -> str:
        """Path of the version's page below MLflow's UI."""
        return links.model_path(self.forecast, self.version)
