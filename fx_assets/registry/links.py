"""Where MLflow's pages are: relative paths that need no MLflow and no network."""

from __future__ import annotations

from urllib.parse import quote


def run_path(experiment_id: str, run_id: str) -> str:
    """Path of a run's page, below the address of MLflow's UI."""
    return f"#/experiments/{experiment_id}/runs/{run_id}"


def model_path(forecast: str, version: int | None = None) -> str:
    """Path of a registered model's page, or of one version's."""
    page = f"#/models/{quote(forecast, safe='')}"
    return page if version is None else f"{page}/versions/{version}"


def ui_link(ui_url: str, path: str) -> str:
    """The full address of a page, such as ``http://127.0.0.1:5000/#/models/eurusd_direction``."""
    return f"{ui_url.rstrip('/')}/{path}"
