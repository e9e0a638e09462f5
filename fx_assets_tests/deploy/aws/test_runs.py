"""A run is a task of the size that its job asks for; a clock outside asks for bars that are due."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._scheduler.scheduler import _get_existing_run_for_request
from dagster_aws.ecs import EcsRunLauncher

from fx_assets.assets.automation import range_tags
from fx_assets_tests.deploy.aws.cloud import CLUSTER, FAMILY, Cloud, cloud
from fx_assets_tests.deploy.aws.templates import STACKS
from fx_assets_tests.homes import FEED, Home

COIN = """\
type: fx_assets.components.PriceFeed
attributes:
  name: coin
  source: {kind: simulated, seed: 5}
  calendar: 24x7
  frequency: 1h
  ingest_cron: "0 * * * *"
  start: 2022-03-01
"""
LARGEST_OVERRIDES = 8192
"""Characters that ECS takes of what is to differ from a task's definition."""
SIX_PM = datetime(2026, 11, 28, 18, tzinfo=UTC).timestamp()
"""A time of the schedule, on a Saturday."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Iterator[Cloud]:
    home = Home.new(tmp_path_factory.mktemp("cloud"), empty_registry)
    (home.folder / "defs/feeds/eur/defs.yaml").write_text(FEED + "  automatic: false\n")
    (home.folder / "defs/feeds/coin").mkdir()
    (home.folder / "defs/feeds/coin/defs.yaml").write_text(COIN)
    home.environment["FX_ASSETS_AUTOMATION"] = "true"
    with cloud(home) as made:
        yield made


@pytest.fixture
def handler(deployed: Cloud, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The function that EventBridge calls, ten minutes after six in the evening."""
    spec = importlib.util.spec_from_file_location("ingest", STACKS / "ingest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("DAGSTER_URL", deployed.url)
    at(module, SIX_PM + 600, monkeypatch)
    return module


def at(handler: ModuleType, moment: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "time", SimpleNamespace(time=lambda: moment))


def said(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_a_run_is_a_task_of_the_size_that_its_job_asks_for(deployed: Cloud) -> None:
    run_id = deployed.launch("coin_ingest", **range_tags("2022-03", "2022-03"))
    run = deployed.instance.get_run_by_id(run_id)
    task = deployed.until(lambda: deployed.task_of(run), "a task")
    run = deployed.instance.get_run_by_id(run_id)
    launcher = deployed.instance.run_launcher
    assert isinstance(launcher, EcsRunLauncher)
    assert task.overrides["cpu"] == "512"
    assert task.overrides["memory"] == "2048"
    (container,) = task.overrides["containerOverrides"]
    assert (container["name"], container["cpu"], container["memory"]) == ("run", 512, 2048)
    assert len(json.dumps(task.overrides)) < LARGEST_OVERRIDES
    assert {"key": "dagster/run_id", "value": run_id} in task.tags
    assert task.launch_type == "FARGATE"
    assert task.task_definition_arn.endswith(f"{FAMILY}:1")
    assert task.cluster_name == CLUSTER
    place = task.network_configuration["awsvpcConfiguration"]
    assert place["assignPublicIp"] == "DISABLED"
    assert len(place["securityGroups"]) == 1
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    deployed.until(lambda: deployed.succeeds(run_id), "the end of the run")
    deployed.until(lambda: task.last_status == "STOPPED", "the end of the task")
    assert launcher.check_run_worker_health(run).status is WorkerStatus.SUCCESS
    assert [len(deployed.attempts(run_id)), task.containers[0].exitCode] == [1, 0]


def test_a_retrain_is_a_large_task_which_ends_when_somebody_ends_the_run(deployed: Cloud) -> None:
    run_id = deployed.launch("up_retrain")
    run = deployed.instance.get_run_by_id(run_id)
    task = deployed.until(lambda: deployed.task_of(run), "a task")
    deployed.until(lambda: deployed.status(run_id) is dg.DagsterRunStatus.STARTED, "its beginning")
    assert (task.overrides["cpu"], task.overrides["memory"]) == ("2048", "8192")
    assert deployed.instance.run_launcher.terminate(run_id)
    assert task.last_status == "STOPPED"
    deployed.until(
        lambda: deployed.status(run_id) is dg.DagsterRunStatus.CANCELED, "the end of the run"
    )
    assert len(deployed.attempts(run_id)) == 1, "what a person has ended is not begun again"


def test_what_a_run_prints_when_it_fails_is_what_the_alarm_counts(deployed: Cloud) -> None:
    moved = deployed.home.folder / "in" / "eur.csv"
    moved.rename(moved.with_suffix(".away"))
    try:
        run_id = deployed.launch("eur_ingest", **range_tags("2019", "2022"))
        deployed.until(
            lambda: deployed.status(run_id) is dg.DagsterRunStatus.FAILURE, "the failure"
        )
    finally:
        moved.with_suffix(".away").rename(moved)
    log = deployed.home.folder / "runs.log"
    deployed.until(
        lambda: [
            line
            for line in log.read_text().splitlines()
            if "RUN_FAILURE" in line and run_id in line
        ],
        "a line about it",
    )
    counted = (STACKS / "stacks" / "alarms.py").read_text()
    assert 'FAILED_RUN = "RUN_FAILURE"' in counted


def test_bars_that_are_due_are_asked_for_once_and_by_nobody_else(
    deployed: Cloud, handler: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handler.handler({}, None) == {"late": 0}
    assert handler.handler({}, None) == {"late": 0}
    first, count, second, _ = said(capsys.readouterr().out)
    due = "2026-11-28T18:00:00+00:00"
    assert first == {"schedule": "coin_ingest", "due": due, "state": "LaunchRunSuccess"}
    assert count == {"late": 0}
    assert second["state"] in {"QUEUED", "NOT_STARTED"}
    (run,) = deployed.instance.get_runs(
        dg.RunsFilter(tags={"dagster/schedule_name": "coin_ingest"})
    )
    assert run.job_name == "coin_ingest"
    assert run.tags["ecs/cpu"] == "512"

    with deployed.context.create_request_context() as request:
        (location,) = request.code_locations
        schedule = next(iter(location.get_repositories().values())).get_schedule("coin_ingest")
        at_six = datetime.fromtimestamp(SIX_PM, UTC)
        asked = dg.RunRequest(run_key=run.tags["dagster/run_key"])
        known = _get_existing_run_for_request(deployed.instance, schedule, at_six, asked)
    assert known is not None, "the daemon would launch it again"
    assert known.run_id == run.run_id

    deployed.until(lambda: deployed.succeeds(run.run_id), "the end of the run")
    assert handler.handler({}, None) == {"late": 0}
    assert said(capsys.readouterr().out)[0]["state"] == "SUCCESS"


def test_bars_that_no_run_has_brought_for_an_hour_are_late(
    deployed: Cloud, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(handler, SIX_PM - 24 * 3600 - 1, monkeypatch)
    monkeypatch.setattr(handler, "LATE", 600)
    monkeypatch.setattr(handler, "LAUNCH", "{ __typename }")
    monkeypatch.setattr(handler, "ask", _that_launches_nothing(handler.ask))
    assert handler.handler({}, None) == {"late": 1}


def _that_launches_nothing(ask: Any) -> Any:
    def asked(query: str, **variables: Any) -> Any:
        if "run" in variables:
            return {"launchRun": {"__typename": "UnauthorizedError"}}
        return ask(query, **variables)

    return asked
