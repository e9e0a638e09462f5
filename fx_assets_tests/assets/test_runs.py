"""Why runs failed, as Dagster's records say it: by a step, around the steps, or found dead."""

from __future__ import annotations

import uuid

import dagster as dg
import pytest

from fx_assets.assets.runs import failures_of, newest_failure
from fx_assets.errors import RegistryError


@dg.resource
def broken(_: dg.InitResourceContext) -> None:
    raise RegistryError("MLflow is away.", remedy="Start it.")


@dg.op(required_resource_keys={"registry"})
def asks() -> None:
    """Is never reached."""


@dg.job(resource_defs={"registry": broken})
def needs_it() -> None:
    asks()


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def test_a_resource_that_cannot_be_made_is_the_reason_of_its_run(
    instance: dg.DagsterInstance,
) -> None:
    result = needs_it.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = failures_of(instance, result.run_id)
    assert failure.sentence == "MLflow is away.\n  What to do: Start it."
    assert not failure.by_check
    found = newest_failure(instance, "needs_it")
    assert found is not None
    assert found.error == failure.sentence


def test_a_run_that_was_found_dead_says_what_its_finder_said(instance: dg.DagsterInstance) -> None:
    run = dg.DagsterRun(
        job_name="needs_it", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED
    )
    instance.add_run(run)
    instance.report_run_failed(run, message="The process of the run was killed.")
    (failure,) = failures_of(instance, run.run_id)
    assert "The process of the run was killed." in failure.sentence
