"""Deletion of MLflow's runs that are old and that nothing names, with models and artifacts.

Only what this platform has logged is looked at: candidates, and the runs that hold them together.
A run or version with the tag ``keep`` stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fx_assets.registry.runs import CHAMPION_SINCE, PARENT_OF, ModelRegistry
from fx_assets.registry.session import pages

if TYPE_CHECKING:
    from mlflow.entities import Run

    from fx_assets.registry.records import RegisteredVersion

KEEP = "keep"
"""A person's tag of a run or version that is to stay."""
_CANDIDATE = ("forecast", "candidate", "recipe_hash")
_VERSION = ("candidate", "recipe")
_CHILD_OF = "mlflow.parentRunId"


@dataclass(frozen=True)
class Forgotten:
    """What was deleted."""

    runs: int = 0
    versions: int = 0
    """Of registered models: challengers of before."""
    bytes: int = 0
    """Of artifacts."""
    for_good: bool = True
    """Whether rows and artifacts are gone; a server of MLflow only marks them as deleted."""

    @property
    def sentence(self) -> str:
        if not self.runs:
            return "no run of MLflow is old and named by nothing"
        said = f"{self.runs} runs of MLflow and {self.versions} registered versions"
        if self.for_good:
            return f"{said} are deleted, with {self.bytes / 1e6:.1f} MB of artifacts"
        return f"{said} are marked as deleted; `mlflow gc` where MLflow runs takes their artifacts"


def forget_runs(registry: ModelRegistry, named: Collection[str], before: datetime) -> Forgotten:
    """Delete what began before and is named by no bundle, draft, alias or former champion.

    Parameters
    ----------
    named
        Ids of runs that the lake names.
    before
        By the machine's clock, as MLflow's times are.

    Raises
    ------
    RegistryError
        MLflow cannot be reached or does not delete. What was begun is completed by the next call.
    """
    client = registry.client()
    with registry.errors("deleting old runs"):
        old = {run.info.run_id: run for run in _old_runs(client, before)}
        spare, kept = [], set(named)
        for model in pages(client.search_registered_models):
            for version in registry.versions(model.name):
                if _is_spare(version, before, named):
                    spare.append(version)
                else:
                    kept.add(version.run_id)
        gone = [run for run in old.values() if _is_candidate(run) and run.info.run_id not in kept]
        ids = {run.info.run_id for run in gone}
        versions = [version for version in spare if version.run_id in ids]
        for version in versions:
            client.delete_model_version(version.forecast, str(version.version))
        deleter = _Deleter(client)
        for run in gone:
            deleter.delete(run)
        parents = [run for run in old.values() if PARENT_OF in run.data.tags]
        childless = [run for run in parents if not _has_children(client, run)]
        for run in childless:
            deleter.delete(run)
    return Forgotten(len(gone) + len(childless), len(versions), deleter.bytes, deleter.for_good)


class _Deleter:
    """Deletes runs as ``mlflow gc`` does, which itself would take all that people have marked."""

    def __init__(self, client: Any) -> None:
        self._client, self._store = client, client._tracking_client.store
        self.for_good = hasattr(self._store, "_hard_delete_run")
        self.bytes = 0

    def delete(self, run: Run) -> None:
        from mlflow.exceptions import MlflowException

        # The run last: one that is still there is found again.
        for model in self._client.get_run(run.info.run_id).outputs.model_outputs:
            with suppress(MlflowException):
                if self.for_good:
                    logged = self._store.get_logged_model(model.model_id, allow_deleted=True)
                    self._take(logged.artifact_location)
                    self._store._hard_delete_logged_model(model.model_id)
                else:
                    self._client.delete_logged_model(model.model_id)
        if run.info.lifecycle_stage == "active":
            self._client.delete_run(run.info.run_id)
        if self.for_good:
            self._take(run.info.artifact_uri)
            self._store._hard_delete_run(run.info.run_id)

    def _take(self, address: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        artifacts = get_artifact_repository(address)
        self.bytes += _weight(artifacts)
        artifacts.delete_artifacts()  # type: ignore[no-untyped-call]


def _weight(artifacts: Any, path: str | None = None) -> int:
    found = artifacts.list_artifacts(path)
    return sum(_weight(artifacts, f.path) if f.is_dir else f.file_size or 0 for f in found)


def _old_runs(client: Any, before: datetime) -> Iterator[Run]:
    from mlflow.entities import ViewType

    experiments = [entry.experiment_id for entry in pages(client.search_experiments)]
    asked = {
        "filter_string": f"attributes.start_time < {int(before.timestamp() * 1000)}",
        "run_view_type": ViewType.ALL,
    }
    for run in pages(client.search_runs, experiment_ids=experiments, **asked):
        if KEEP not in run.data.tags:
            yield run


def _is_candidate(run: Run) -> bool:
    return all(tag in run.data.tags for tag in _CANDIDATE)


def _is_spare(version: RegisteredVersion, before: datetime, named: Collection[str]) -> bool:
    """Whether it is a challenger of before: never champion, and without an alias."""
    champion = version.aliases or CHAMPION_SINCE in version.tags or KEEP in version.tags
    ours = all(tag in version.tags for tag in _VERSION)
    return ours and not champion and version.run_id not in named and version.created_at < before


def _has_children(client: Any, run: Run) -> bool:
    where = f"tags.`{_CHILD_OF}` = '{run.info.run_id}'"
    return bool(client.search_runs([run.info.experiment_id], where, max_results=1))
