"""What goes into the registry and what comes back, as typed records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fx_assets.registry import links
from fx_assets.specs.base import Record

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from fx_assets.bundles.records import FittedFacts


@dataclass(frozen=True)
class CandidateRun:
    """A candidate that is to be logged as one run.

    Parameters
    ----------
    facts : FittedFacts
        What it is and what it was fitted on.
    params : Mapping
        Hyper-parameters and settings; the recipe hash is added.
    metrics : DataFrame
        Columns ``metric, value, lower, upper, n, baseline_value``. They are logged as
        ``brier``, ``brier.lower``, ``brier.upper``, ``brier.n`` and ``brier.baseline``; what
        is not finite is left out.
    onnx : bytes
        The model: one input ``(n, p)``, one output.
    example : ndarray of shape (rows, p)
        Kept as the model's input example.
    root : str
        Address of the lake that has the features.
    first_event : datetime
        Event time of the first of them (UTC).
    figures : Mapping
        File name without suffix to SVG.
    tags : Mapping
        Further tags of run and model, such as ``dagster_run_id``.
    parent_run_id : str, optional
        The run below which this one is nested.
    about : str
        What the forecast's experiment is described as.
    trials : DataFrame, optional
        The trials of a tuning, one a row; logged as the table ``trials.json``.
    """

    facts: FittedFacts
    params: Mapping[str, Any]
    metrics: pd.DataFrame
    onnx: bytes
    example: np.ndarray[Any, Any]
    root: str
    first_event: datetime
    figures: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parent_run_id: str | None = None
    about: str = ""
    trials: pd.DataFrame | None = None


class LoggedModel(Record):
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
