"""Candidates as MLflow runs, champions as aliases of registered models."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from fx_assets import clock
from fx_assets.registry import candidate_run
from fx_assets.registry.records import CandidateRun, LoggedModel, RegisteredVersion
from fx_assets.registry.session import MlflowSession, pages

CHAMPION = "champion"
CHALLENGER = "challenger"
CHAMPION_SINCE = "champion_since"
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description of an experiment or run."""
OPENS_ON_RUNS = {"mlflow.experimentKind": "custom_model_development"}
"""Tag by which MLflow's page of an experiment begins with its runs."""
PARENT_OF = "retrain_of_dagster_run"


class ModelRegistry:
    """MLflow's experiments and model registry; one experiment and one model per forecast.

    Threads may share an instance. MLflow is imported on first use.

    Parameters
    ----------
    tracking_uri : str
        ``sqlite:///<absolute path>``, ``http(s)://...`` or another database URI.
    artifact_root : str
        URI below which new experiments keep their artifacts. A server with its own artifact
        store is left to decide: pass an empty string.

    Raises
    ------
    RegistryError
        From any method, within seconds: what failed, where, and what to do. Credentials are left
        out of messages.
    """

    def __init__(self, tracking_uri: str, artifact_root: str = "") -> None:
        self.artifact_root = artifact_root.rstrip("/")
        self._session = MlflowSession(tracking_uri, self.artifact_root)
        self.tracking_uri = self._session.tracking_uri
        self._lock = threading.Lock()
        self._experiments: dict[str, str] = {}
        self._told: dict[str, str] = {}

    @property
    def shown_uri(self) -> str:
        """The tracking URI without user and password."""
        return self._session.shown_uri

    def prepare(self) -> None:
        """Create or upgrade a SQLite database, or see that a server or database answers.

        Safe when several processes do it at once; every other method does it first.
        """
        self._session.client()

    def client(self) -> Any:
        """MLflow's own client, connected."""
        return self._session.client()

    def errors(self, action: str) -> AbstractContextManager[None]:
        """Turn what goes wrong in the block into a RegistryError."""
        return self._session.errors(action)

    def experiment(self, forecast: str, about: str = "") -> str:
        """The id of the forecast's experiment, which is created where it is missing.

        ``about`` becomes its description where it has another one.
        """
        from mlflow.exceptions import MlflowException

        client = self._session.client()
        with self._lock, self._session.errors(f"experiment {forecast}"):
            if forecast not in self._experiments:
                known = client.get_experiment_by_name(forecast)
                root = f"{self.artifact_root}/{forecast}" if self.artifact_root else None
                try:
                    known = known or client.get_experiment(
                        client.create_experiment(forecast, root, dict(OPENS_ON_RUNS))
                    )
                except MlflowException as error:
                    # Another process was faster.
                    known = client.get_experiment_by_name(forecast)
                    if error.error_code != "RESOURCE_ALREADY_EXISTS" or known is None:
                        raise
                self._experiments[forecast] = str(known.experiment_id)
                self._describe(known, OPENS_ON_RUNS)
            if about and self._told.get(forecast) != about:
                self._describe(client.get_experiment(self._experiments[forecast]), {NOTE: about})
                self._told[forecast] = about
            return self._experiments[forecast]

    def _describe(self, experiment: Any, tags: Mapping[str, str]) -> None:
        from mlflow.exceptions import MlflowException

        for key, value in tags.items():
            if experiment.tags.get(key) != value:
                # Another process may set the same at the same moment.
                with suppress(MlflowException):
                    self._session.client().set_experiment_tag(experiment.experiment_id, key, value)

    def parent(self, forecast: str, dagster_run_id: str, name: str, note: str) -> str:
        """The id of the run that stands for a Dagster run, which is created where it is missing.

        Callers of several processes take turns, so that each finds what the first has made.
        """
        experiment_id, client = self.experiment(forecast), self._session.client()
        with self._session.errors(f"the run of {dagster_run_id} in experiment {forecast}"):
            found = client.search_runs(
                [experiment_id], f"tags.{PARENT_OF} = '{dagster_run_id}'", max_results=1
            )
            if found:
                return str(found[0].info.run_id)
            tags = {PARENT_OF: dagster_run_id, NOTE: note}
            return str(client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)

    def log_candidate(self, candidate: CandidateRun) -> LoggedModel:
        """Log one candidate as one finished MLflow run.

        Raises
        ------
        RegistryError
            The run could not be completed; MLflow shows it as failed.
        """
        facts = candidate.facts
        experiment_id = self.experiment(facts.forecast, candidate.about)
        with self._session.errors(f"logging candidate {facts.candidate} of {facts.forecast}"):
            return candidate_run.log(self._session.client(), experiment_id, candidate)

    def log_figures(self, run_id: str, figures: Mapping[str, float]) -> None:
        """Add metrics to a run that was logged.

        Raises
        ------
        RegistryError
            There is no such run, or MLflow is away.
        """
        from mlflow.entities import Metric

        moment = int(clock.now().timestamp() * 1000)
        metrics = [Metric(name, value, moment, 0) for name, value in figures.items()]
        with self._session.errors(f"adding figures to run {run_id}"):
            self._session.client().log_batch(run_id, metrics=metrics)

    def register(
        self, forecast: str, logged: LoggedModel, tags: Mapping[str, str] | None = None
    ) -> int:
        """The version number of a logged model; registering it again changes its tags only."""
        from mlflow.exceptions import MlflowException

        client = self._session.client()
        with self._session.errors(f"registering a version of {forecast}"):
            for known in client.search_model_versions(f"run_id='{logged.run_id}'"):
                if known.name == forecast:
                    for key, value in (tags or {}).items():
                        client.set_model_version_tag(forecast, known.version, key, value)
                    return int(known.version)
            try:
                client.create_registered_model(forecast)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            created = client.create_model_version(
                forecast,
                self._source(logged),
                run_id=logged.run_id,
                tags=dict(tags or {}),
                model_id=logged.model_id,
                await_creation_for=0,
            )
            return int(created.version)

    def set_champion(self, forecast: str, version: int, reason: str = "") -> None:
        """Point the alias ``champion`` at a version; the former champion is tagged as archived.

        Setting the present champion again completes what an interrupted call left undone.

        Parameters
        ----------
        reason : str
            Why the former champion was replaced: the decision's sentence.
        """
        client = self._session.client()
        now = clock.now().isoformat(timespec="seconds")
        with self._session.errors(f"making version {version} the champion of {forecast}"):
            tags = client.get_model_version(forecast, str(version)).tags
            if CHAMPION_SINCE not in tags or "archived" in tags:
                client.set_model_version_tag(forecast, str(version), CHAMPION_SINCE, now)
            for key in ("archived", "archived_at", "archived_reason"):
                if key in tags:
                    client.delete_model_version_tag(forecast, str(version), key)
            client.set_registered_model_alias(forecast, CHAMPION, str(version))
            for other in self.versions(forecast):
                if other.version == version:
                    if CHALLENGER in other.aliases:
                        client.delete_registered_model_alias(forecast, CHALLENGER)
                elif CHAMPION_SINCE in other.tags and not other.archived:
                    gone = {"archived_at": now, "archived_reason": reason, "archived": "true"}
                    for key, value in gone.items():
                        client.set_model_version_tag(forecast, str(other.version), key, value)

    def set_challenger(self, forecast: str, version: int | None) -> None:
        """Point the alias ``challenger`` at a version, or remove it with ``None``."""
        client = self._session.client()
        with self._session.errors(f"making version {version} the challenger of {forecast}"):
            if version is not None:
                client.set_registered_model_alias(forecast, CHALLENGER, str(version))
            elif any(CHALLENGER in known.aliases for known in self.versions(forecast)):
                client.delete_registered_model_alias(forecast, CHALLENGER)

    def versions(self, forecast: str) -> list[RegisteredVersion]:
        """Every registered version, oldest first; empty for an unknown forecast."""
        client = self._session.client()
        found: list[RegisteredVersion] = []
        with self._session.errors(f"listing the versions of {forecast}"):
            aliases = self._aliases(forecast)
            if aliases is not None:
                ours = pages(client.search_model_versions, filter_string=f"name='{forecast}'")
                found = [_record(entry, aliases) for entry in ours]
        return sorted(found, key=lambda entry: entry.version)

    def _source(self, logged: LoggedModel) -> str:
        # A database store resolves models:/ through the process-wide tracking URI, which is not
        # ours; a server accepts nothing else.
        if self.tracking_uri.startswith("http"):
            return logged.model_uri
        model = self._session.client().get_logged_model(logged.model_id)
        return str(model.artifact_location)

    def _aliases(self, forecast: str) -> dict[str, str] | None:
        # A search leaves the aliases out; the registered model has them.
        from mlflow.exceptions import MlflowException

        try:
            return dict(self._session.client().get_registered_model(forecast).aliases)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def _record(entry: Any, aliases: Mapping[str, str]) -> RegisteredVersion:
    return RegisteredVersion(
        forecast=entry.name,
        version=int(entry.version),
        run_id=entry.run_id,
        model_uri=f"models:/{entry.name}/{entry.version}",
        created_at=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC),
        aliases=tuple(sorted(a for a, v in aliases.items() if str(v) == str(entry.version))),
        tags=dict(entry.tags),
    )
