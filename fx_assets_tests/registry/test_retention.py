"""What is deleted of MLflow's runs, and what every champion, bundle, draft and alias keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import mlflow
import pytest

from fx_assets.registry.records import LoggedModel
from fx_assets.registry.retention import forget_runs
from fx_assets.registry.runs import ModelRegistry
from fx_assets.testing.lakes.samples import candidate
from fx_assets_tests.production.servers import ANY, postgres, s3

FORECAST = "eurusd_direction"
LATER = timedelta(seconds=5)


class Kept:
    """A registry of one retrain's candidates, and where its artifacts are."""

    def __init__(self, registry: ModelRegistry) -> None:
        self.registry = registry
        self.client = mlflow.MlflowClient(registry.tracking_uri, registry.tracking_uri)

    def candidate(self, parent: str | None = None) -> LoggedModel:
        return self.registry.log_candidate(candidate(parent_run_id=parent))

    def runs(self) -> set[str]:
        every = mlflow.entities.ViewType.ALL
        found = self.client.search_experiments()
        ids = [experiment.experiment_id for experiment in found]
        return {run.info.run_id for run in self.client.search_runs(ids, "", every)}

    def versions(self) -> list[int]:
        return [version.version for version in self.registry.versions(FORECAST)]

    def artifacts(self) -> int:
        """Files below the artifact root."""
        root = urlsplit(self.registry.artifact_root)
        if root.scheme == "file":
            return sum(path.is_file() for path in Path(root.path).rglob("*"))
        listed = boto3.client("s3").list_objects_v2(Bucket=root.netloc)
        return len(listed.get("Contents", []))


@pytest.fixture(params=["sqlite", pytest.param("production", marks=pytest.mark.slow)])
def kept(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kept]:
    with ExitStack() as stack:
        uri, root = f"sqlite:///{tmp_path}/mlflow.db", (tmp_path / "artifacts").as_uri()
        if request.param == "production":
            database = stack.enter_context(postgres("password"))
            database.create("mlflow")
            uri, root = database.url("mlflow"), "s3://artifacts/of-mlflow"
            address = stack.enter_context(s3("artifacts"))
            for name in ("AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL"):
                monkeypatch.setenv(name, address)
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(name, ANY)
            monkeypatch.setenv("AWS_REGION", "us-east-1")
        registry = ModelRegistry(uri, root)
        registry.prepare()
        yield Kept(registry)


@pytest.mark.slow
def test_only_what_is_old_and_named_by_nothing_goes_with_models_artifacts_and_parents(
    kept: Kept,
) -> None:
    registry = kept.registry
    mine = kept.client.create_experiment("a person's own")
    of_a_person = str(kept.client.create_run(mine).info.run_id)
    parents = [registry.parent(FORECAST, f"d-{n}", "retrain", "") for n in range(3)]
    champion, past, challenger, spare = (kept.candidate(parents[0]) for _ in range(4))
    drafted, pinned = kept.candidate(parents[1]), kept.candidate()
    kept.client.set_tag(pinned.run_id, "keep", "for the paper")
    tags = {"candidate": "logistic_regression", "recipe": "r"}
    versions = [
        registry.register(FORECAST, made, tags) for made in (past, champion, challenger, spare)
    ]
    for version in versions[:2]:
        registry.set_champion(FORECAST, version)
    for version in reversed(versions[2:]):
        registry.set_challenger(FORECAST, version)
    before = kept.artifacts()
    stay = {m.run_id for m in (champion, past, challenger, drafted, pinned)}
    stay |= {of_a_person, *parents[:2]}
    assert kept.runs() == stay | {spare.run_id, parents[2]}

    named = {drafted.run_id}
    assert forget_runs(registry, named, datetime.now(UTC) - timedelta(days=1)).runs == 0
    done = forget_runs(registry, named, datetime.now(UTC) + LATER)
    assert (done.runs, done.versions, done.for_good) == (2, 1, True)
    assert done.bytes > 1000
    assert "2 runs of MLflow and 1 registered versions are deleted, with 0.0 MB" in done.sentence
    assert kept.runs() == stay
    assert kept.versions() == versions[:3]
    assert kept.artifacts() == before * 5 // 6
    for made in (champion, past, challenger, drafted, pinned):
        mlflow.set_tracking_uri(registry.tracking_uri)
        assert mlflow.pyfunc.load_model(made.model_uri).metadata.signature is not None
    (present,) = (v for v in registry.versions(FORECAST) if "champion" in v.aliases)
    assert present.run_id == champion.run_id
    assert forget_runs(registry, named, datetime.now(UTC) + LATER).runs == 0

    # With its last child a parent goes as well.
    assert forget_runs(registry, set(), datetime.now(UTC) + LATER).runs == 2
    assert kept.runs() == stay - {drafted.run_id, parents[1]}


@pytest.mark.slow
def test_what_was_interrupted_is_completed_by_the_next_call(kept: Kept) -> None:
    made = kept.candidate()
    kept.client.delete_logged_model(made.model_id)
    kept.client.delete_run(made.run_id)
    assert forget_runs(kept.registry, set(), datetime.now(UTC) + LATER).runs == 1
    assert kept.runs() == set()
    assert kept.artifacts() == 0
