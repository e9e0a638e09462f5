"""MLflow elsewhere: a tracking server over HTTP that keeps the artifacts itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fx_assets.registry.runs import ModelRegistry
from fx_assets.settings import Settings
from fx_assets.testing.lakes.samples import candidate
from fx_assets.testing.processes import free_port, running

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--serve-artifacts"),
        *("--artifacts-destination", str(tmp_path / "kept")),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(command, "/health", port=port, folder=tmp_path, environment=quiet, patience=200):
        yield address


@pytest.mark.parametrize("named", ["", "mlflow-artifacts:/"])
def test_runs_models_and_artifacts_go_to_the_server(
    server: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FX_ASSETS_MLFLOW", server)
    monkeypatch.setenv("FX_ASSETS_MLFLOW_ARTIFACTS", named)
    settings = Settings()
    registry = ModelRegistry(settings.mlflow_uri, settings.mlflow_artifact_root)
    registry.prepare()
    logged = registry.log_candidate(candidate())
    run = mlflow.MlflowClient(server).get_run(logged.run_id)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    kept = {path.name for path in (tmp_path / "kept").rglob("*")}
    assert {"reliability.svg", "model.onnx"} <= kept
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", server)
    assert mlflow.pyfunc.load_model(logged.model_uri).metadata.signature is not None
    assert not (tmp_path / "home").exists()
