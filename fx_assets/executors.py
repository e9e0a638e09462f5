"""Where the steps of a retrain execute, as the settings say."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any, cast

import dagster as dg

from fx_assets.errors import SpecError
from fx_assets.evaluation.processes import may_have_children
from fx_assets.heartbeats import heartbeat
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
STEPS_QUEUE = "dagster-steps"
"""Of Celery, beside that of runs: a run that waits for its steps must not take their workers."""
CELERY = {"broker": "CELERY_BROKER_URL", "backend": "CELERY_RESULT_BACKEND"}
"""Settings of the executor, and the variables of Celery that have them."""
PATIENCE_SECONDS = 60.0
"""How long a run waits for a worker that takes its steps, which may be starting again."""


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
    config = dict(settings.executor_config)
    if settings.executor == "celery":
        config = _celery() | config
        own = config["config_source"] or {}
        if isinstance(own, dict):
            config["config_source"] = {"task_default_queue": STEPS_QUEUE} | own
    if settings.executor != "in_process":
        found = _giving_signs_of_life(found)
    if not config:
        return found
    configured = found.configured(config, name=found.name)

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


def _celery() -> dict[str, Any]:
    """Where the workers of runs are, too."""
    told = {name: {"env": variable} for name, variable in CELERY.items() if variable in os.environ}
    return {**told, "config_source": {}}


def _wait_for_workers(app_args: dict[str, Any]) -> None:
    """Steps that nobody takes would be waited for without an end."""
    make_app: Any = import_module("dagster_celery.make_app").make_app
    app = make_app(app_args)
    queue, end = app.conf.task_default_queue, time.monotonic() + PATIENCE_SECONDS
    while True:
        told = app.control.inspect().active_queues() or {}
        if any(each["name"] == queue for taken in told.values() for each in taken):
            return
        if time.monotonic() > end:
            raise SpecError(
                f"FX_ASSETS_EXECUTOR=celery, but no worker takes steps from the queue {queue}.",
                remedy=f"Start deploy/worker.sh --queues {queue} on a machine, and retrain again.",
            )


def _giving_signs_of_life(found: dg.ExecutorDefinition) -> dg.ExecutorDefinition:
    """The same executor, whose runs are known to live between their steps as well."""

    known: Any = found

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        executor: Any = known.executor_creation_fn(context)
        execute = executor.execute

        def beating(plan_context: Any, plan: Any) -> Iterator[dg.DagsterEvent]:
            with ExitStack() as stack:
                if found.name == "celery":
                    _wait_for_workers(executor.app_args())
                    # The run is a task itself, and may wait for others: they have their own queue.
                    stack.enter_context(import_module("celery.result").allow_join_result())
                stack.enter_context(may_have_children())
                run = plan_context.run_id
                stack.enter_context(heartbeat(plan_context.instance, run, steps=True))
                yield from execute(plan_context, plan)

        executor.execute = beating
        return cast("dg.Executor", executor)

    return dg.ExecutorDefinition(
        found.name, known.config_schema, found.get_requirements, create, found.description
    )
