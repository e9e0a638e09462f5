"""Where the steps of a retrain execute, as the settings say."""

from __future__ import annotations

import re
from importlib import import_module

import dagster as dg

from fx_assets.errors import SpecError
from fx_assets.settings import Settings

EXECUTORS = {
    "in_process": ("dagster", "in_process_executor"),
    "multiprocess": ("dagster", "multiprocess_executor"),
    "docker": ("dagster_docker", "docker_executor"),
    "k8s": ("dagster_k8s", "k8s_job_executor"),
    "celery": ("dagster_celery", "celery_executor"),
}
"""The package and the name of each."""
_VALUE = re.compile('Value ".*" of', re.DOTALL)
"""In Dagster's messages; it may be a broker's password."""


def retrain_executor() -> dg.ExecutorDefinition:
    """The executor of candidates, with the configuration that is set.

    Raises
    ------
    SpecError
        Its package is not installed, or it does not take the configuration.
    """
    settings = Settings()
    package, name = EXECUTORS[settings.executor]
    try:
        found: dg.ExecutorDefinition = getattr(import_module(package), name)
    except ImportError:
        raise SpecError(
            f"FX_ASSETS_EXECUTOR={settings.executor} needs the package "
            f"{package.replace('_', '-')}, which is not installed.",
            remedy=f"pip install {package.replace('_', '-')}, or unset it.",
        ) from None
    if not settings.executor_config:
        return found
    configured = found.configured(dict(settings.executor_config), name=found.name)

    @dg.job(executor_def=configured)
    def empty() -> None: ...

    try:
        dg.validate_run_config(empty, {})
    except dg.DagsterInvalidConfigError as error:
        said = "; ".join(_VALUE.sub("The value of", each.message) for each in error.errors)
        raise SpecError(
            f"FX_ASSETS_EXECUTOR_CONFIG is not a configuration of {name}: {said}",
            remedy="Set it to what Dagster's documentation names for this executor, or unset it.",
        ) from None
    return configured
