"""Dagster's UI and daemon, MLflow's UI and the forecast server, started and stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from fx_assets.components.declared import declared
from fx_assets.instance import close_records, open_instance
from fx_assets.registry.relocation import relocate
from fx_assets.resources import unopened_registry
from fx_assets.settings import Settings

DAGSTER_PORT = int(os.environ.get("FX_ASSETS_DAGSTER_PORT", "3000"))
MLFLOW_PORT = int(os.environ.get("FX_ASSETS_MLFLOW_PORT", "5000"))
PATIENCE_SECONDS = 20


def serve() -> int:
    """Run until interrupted, or until one of them ends; then stop the others.

    Raises
    ------
    SpecError
        Something is declared wrongly; nothing has been started.
    """
    declared()
    settings = Settings()
    _prepare(settings)
    binaries = Path(sys.executable).parent
    servers = {
        "Dagster's UI": [
            *(str(binaries / "dagster-webserver"), *_location()),
            *("--host", "127.0.0.1", "--port", str(DAGSTER_PORT)),
        ],
        "Dagster's daemon": [
            *(str(binaries / "dagster-daemon"), "run", *_location()),
        ],
        "the forecast server": [sys.executable, "-m", "serving"],
        "MLflow's UI": [
            *(str(binaries / "mlflow"), "server", "--host", "127.0.0.1"),
            *("--port", str(MLFLOW_PORT), "--workers", "1"),
        ],
    }
    environment = {
        "FX_ASSETS_DAGSTER_UI": f"http://127.0.0.1:{DAGSTER_PORT}",
        "FX_ASSETS_MLFLOW_UI": f"http://127.0.0.1:{MLFLOW_PORT}",
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Not as arguments, which everybody on the machine can read: the URI may hold a password.
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.mlflow_artifact_root,
    }
    print(
        f"Dagster: http://127.0.0.1:{DAGSTER_PORT}   MLflow: http://127.0.0.1:{MLFLOW_PORT}   "
        f"forecasts: http://127.0.0.1:{os.environ.get('FX_SERVING_PORT', '8000')}"
    )
    print("Stop with Ctrl-C.")
    running = {
        name: subprocess.Popen(command, env=environment) for name, command in servers.items()
    }
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            for name, process in running.items():
                if process.poll() is not None:
                    print(f"{name} ended with exit code {process.returncode}.", file=sys.stderr)
                    return 1
            time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(list(running.values()))


def _location() -> list[str]:
    """The home's workspace file, or the platform's definitions where it has none."""
    if Path("workspace.yaml").is_file():
        return ["--workspace", "workspace.yaml"]
    return ["--module-name", "fx_assets.definitions"]


def _prepare(settings: Settings) -> None:
    """Make what the servers would all make at once: the records of Dagster, MLflow's database."""
    open_instance(settings.home.resolve()).dispose()
    close_records()
    file = Path(settings.mlflow_uri.removeprefix("sqlite:///"))
    if settings.mlflow_uri.startswith("sqlite:") and not file.exists():
        unopened_registry().prepare()
    relocate(settings.mlflow_uri, settings.mlflow_artifact_root)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for process in processes:
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
