"""Where candidates are tried is one setting, and what it cannot be is said at once."""

from __future__ import annotations

import dagster as dg
import pytest

from fx_assets import executors
from fx_assets.assets.automation import retrain_job
from fx_assets.errors import SpecError
from fx_assets.executors import retrain_executor
from fx_assets_tests.platform import forecast_spec


def test_a_laptop_retrains_in_one_process() -> None:
    assert retrain_executor().name == "in_process"
    assert retrain_job(forecast_spec()).executor_def.name == "in_process"


@pytest.mark.parametrize("name", ["multiprocess", "celery", "k8s", "docker"])
def test_the_setting_chooses_the_executor_of_a_retrain_and_of_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, _ = executors.EXECUTORS[name]
    pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.setenv("FX_ASSETS_EXECUTOR", name)
    assert retrain_job(forecast_spec()).executor_def.name == name


def test_steps_at_once_are_limited_by_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FX_ASSETS_EXECUTOR", "multiprocess")
    monkeypatch.setenv("FX_ASSETS_EXECUTOR_CONFIG", '{"max_concurrent": 2}')
    assert retrain_executor().name == "multiprocess"
    monkeypatch.setenv("FX_ASSETS_EXECUTOR_CONFIG", '{"most": 2}')
    with pytest.raises(SpecError, match=r'not a configuration of multiprocess_executor.*"most"'):
        retrain_executor()
    monkeypatch.setenv("FX_ASSETS_EXECUTOR_CONFIG", "two")
    with pytest.raises(SpecError, match="FX_ASSETS_EXECUTOR_CONFIG"):
        retrain_executor()


def test_an_executor_that_is_unknown_or_not_installed_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(executors.EXECUTORS, "celery", ("dagster_nowhere", "celery_executor"))
    monkeypatch.setenv("FX_ASSETS_EXECUTOR", "celery")
    with pytest.raises(SpecError, match="needs the package dagster-nowhere") as refused:
        retrain_executor()
    assert "pip install dagster-nowhere" in str(refused.value)
    monkeypatch.setenv("FX_ASSETS_EXECUTOR", "slurm")
    with pytest.raises(SpecError, match="FX_ASSETS_EXECUTOR='slurm'"):
        retrain_executor()


def test_steps_that_no_worker_of_celery_takes_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("dagster_celery", reason="dagster_celery is not installed")
    monkeypatch.setattr(executors, "PATIENCE_SECONDS", 0)
    monkeypatch.setenv("FX_ASSETS_EXECUTOR", "celery")
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "cache+memory://")
    with dg.instance_for_test() as instance:
        job = dg.reconstructable(retrained)
        with pytest.raises(SpecError, match="no worker takes steps from the queue dagster-steps"):
            dg.execute_job(job, instance, raise_on_error=True)


def retrained() -> dg.JobDefinition:
    """A job of one step with the executor that is set."""

    @dg.op
    def nothing() -> None: ...

    @dg.job(executor_def=retrain_executor())
    def steps() -> None:
        nothing()

    return steps
