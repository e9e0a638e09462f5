"""Dagster's UI and daemon, MLflow's UI and the forecast server, started and stopped together."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import yaml

from fx_assets.components.declared import declared
from fx_assets.instance import close_records, open_instance
from fx_assets.registry.relocation import relocate
from fx_assets.resources import unopened_registry
from fx_assets.settings import Settings

DAGSTER_PORT = int(os.environ.get("FX_ASSETS_DAGSTER_PORT", "3000"))
MLFLOW_PORT = int(os.environ.get("FX_ASSETS_MLFLOW_PORT", "5000"))


def serve() -> NoReturn:
    """Run until interrupted, or until one of them ends; then stop the others (:mod:`.supervisor`).

    Raises
    ------
    SpecError
        Something is declared wrongly; nothing has been started.
    """
    declared()
    settings = Settings()
    _prepare(settings)
    code, location, socket = _location()
    servers = {
        **code,
        "the forecast server": [sys.executable, "-m", "serving"],
        "MLflow's UI": [
            *(sys.executable, "-m", "fx_assets.registry.ui", "--host", "127.0.0.1"),
            *("--port", str(MLFLOW_PORT), "--workers", "1"),
        ],
    }
    dagster = {
        "Dagster's UI": [
            *(_binary("dagster-webserver"), *location),
            *("--host", "127.0.0.1", "--port", str(DAGSTER_PORT)),
        ],
        "Dagster's daemon": [_binary("dagster-daemon"), "run", *location],
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
    sys.stdout.flush()
    # In this process's place, which holds all of the platform in memory.
    supervisor = (sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py")))
    plan = [servers, socket, dagster] if code else [servers | dagster]
    command = (*supervisor, json.dumps(plan))
    os.execve(sys.executable, command, environment)  # noqa: S606


def _location() -> tuple[dict[str, list[str]], list[str], str]:
    """The code server that UI and daemon share, arguments by which they find it, and its socket.

    By themselves they would start one each, the daemon a new one every minute. A workspace file
    that names more than one module is left to them.
    """
    file = Path("workspace.yaml")
    module = name = "fx_assets.definitions"
    if file.is_file():
        try:
            (location,) = yaml.safe_load(file.read_text())["load_from"]
            given = dict(location["python_module"])
            module = given.pop("module_name")
            name = given.pop("location_name", module)
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            given = {"": "something else"}
        if given:
            return {}, ["--workspace", "workspace.yaml"], ""
    place = Path(tempfile.mkdtemp(prefix="fx-dev-"))
    socket = str(place / "code")
    shared = {"load_from": [{"grpc_server": {"socket": socket, "location_name": name}}]}
    (place / "workspace.yaml").write_text(yaml.safe_dump(shared))
    server = [_binary("dagster"), "code-server", "start", "-s", socket, "-m", module]
    code = {"the declared graph": [*server, "--location-name", name]}
    return code, ["--workspace", str(place / "workspace.yaml")], socket


def _binary(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _prepare(settings: Settings) -> None:
    """Make what the servers would all make at once: the records of Dagster, MLflow's database."""
    open_instance(settings.home.resolve()).dispose()
    close_records()
    file = Path(settings.mlflow_uri.removeprefix("sqlite:///"))
    if settings.mlflow_uri.startswith("sqlite:") and not file.exists():
        unopened_registry().prepare()
    relocate(settings.mlflow_uri, settings.mlflow_artifact_root)
