"""A deployment whose cloud is moto: its API takes calls, and tasks of runs are processes here.

The daemons, the code server, the webserver and the launcher are Dagster's, set up by the files of
``deploy/``. What Fargate does, the code below does: it starts what a task's container is told to
run, and says in the task how that ended.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import httpx
import pytest
import uvicorn
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ecs.models import ecs_backends
from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer

from fx_assets.testing.processes import free_port
from fx_assets_tests.deploy.aws.templates import ROOT, STACKS
from fx_assets_tests.homes import Home

REGION = "us-east-1"
BUCKET = "fx-cloud"
CLUSTER = "fx-assets"
FAMILY = "fx-assets-run"
PATIENCE_SECONDS = 900
KEYS = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ALLOW_HTTP": "true",
}


@dataclass
class Worker:
    """The process of a task."""

    process: int | None = None
    code: int | None = None


@dataclass
class Workers:
    """The processes of all tasks, forks of one that has imported everything."""

    server: subprocess.Popen[str]
    of: dict[str, Worker] = field(default_factory=dict)

    def start(self, task: str, command: list[str], environment: Mapping[str, str]) -> None:
        self.of[task] = Worker()
        asked = {"task": task, "command": command, "environment": dict(environment)}
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()

    def listen(self) -> None:
        """Take in what is said of processes, until the server has gone."""
        for line in self.server.stdout:
            if not line.startswith('{"task": '):
                continue
            told = json.loads(line)
            worker = self.of.setdefault(told["task"], Worker())
            if "process" in told:
                worker.process = told["process"]
            else:
                worker.code = told["code"]


@dataclass
class Cloud:
    """A deployment at work; its daemons do what is due when they are asked to."""

    home: Home
    context: WorkspaceProcessContext
    workers: Workers
    url: str
    queue: QueuedRunCoordinatorDaemon = field(
        default_factory=lambda: QueuedRunCoordinatorDaemon(interval_seconds=0)
    )
    retries: EventLogConsumerDaemon = field(default_factory=EventLogConsumerDaemon)

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.context.instance

    @property
    def tasks(self) -> list[Any]:
        """The tasks of runs that the API knows, as moto has them."""
        backend = ecs_backends[DEFAULT_ACCOUNT_ID][REGION]
        known = backend.tasks.get(CLUSTER, {}).values()
        return [task for task in known if task.group == f"family:{FAMILY}" and task.tags]

    def fargate(self) -> None:
        """Start what tasks are told to run, and say in the others how it ended."""
        for task in self.tasks:
            worker = self.workers.of.get(task.id)
            if worker is None and task.last_status == "RUNNING":
                (container,) = task.overrides["containerOverrides"]
                self.workers.start(task.id, container["command"], self.home.variables)
            elif worker is not None and task.last_status == "STOPPED" and worker.code is None:
                self.kill(task.id, signal.SIGTERM)
            elif worker is not None and worker.code is not None:
                task.last_status = task.desired_status = "STOPPED"
                task.containers[0].exitCode = worker.code if worker.code >= 0 else 128 - worker.code
                task.stopped_reason = "Essential container in task exited"

    def kill(self, task: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process of a task."""
        process = self.workers.of[task].process
        if process:
            with suppress(ProcessLookupError):
                os.kill(process, how)

    def daemons(self) -> None:
        """One iteration of what takes runs from the queue, watches them and asks for them again."""
        with self.context.create_request_context():
            list(self.retries.run_iteration(self.context))
            list(self.queue.run_iteration(self.context))
            watched = execute_run_monitoring_iteration(self.context, logging.getLogger(__name__))
            assert [error for error in watched if error] == []

    def until(self, found: Any, what: str) -> Any:
        """Let the deployment work until something is the case; returns it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (value := found()):
            assert time.monotonic() < end, f"{what} did not come about"
            self.daemons()
            self.fargate()
            time.sleep(0.05)
        return value

    def launch(self, job: str, **tags: str) -> str:
        """Ask the webserver for a run; returns its id."""
        (repository,) = ask(self.url, REPOSITORIES)["repositoriesOrError"]["nodes"]
        selector = {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
            "pipelineName": job,
        }
        run = {
            "selector": selector,
            "runConfigData": "{}",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        answer = ask(self.url, LAUNCH, run=run)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def attempts(self, run_id: str) -> list[dg.DagsterRun]:
        """A run and those that repeat it, oldest first."""
        again = self.instance.get_runs(dg.RunsFilter(tags={"dagster/root_run_id": run_id}))
        return [self.instance.get_run_by_id(run_id), *reversed(again)]

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        return self.instance.get_run_by_id(run_id).status

    def succeeds(self, run_id: str) -> bool:
        """Whether the newest attempt at a run has."""
        return self.attempts(run_id)[-1].status is dg.DagsterRunStatus.SUCCESS

    def task_of(self, run: dg.DagsterRun) -> Any:
        """The task of a run, or None while it has none."""
        arn = self.instance.get_run_by_id(run.run_id).tags.get("ecs/task_arn")
        return next((task for task in self.tasks if task.task_arn == arn), None)


REPOSITORIES = """{ repositoriesOrError { ... on RepositoryConnection {
  nodes { name location { name } } } } }"""
LAUNCH = """mutation($run: ExecutionParams!) { launchRun(executionParams: $run) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message stack } } }"""


def ask(url: str, query: str, **variables: Any) -> dict[str, Any]:
    """What the webserver says."""
    answer = httpx.post(
        f"{url}/graphql", json={"query": query, "variables": variables}, timeout=120
    )
    told = answer.json()
    assert "errors" not in told, told["errors"]
    return told["data"]


@contextmanager
def api() -> Iterator[str]:
    """Address of moto, in which a task goes on until somebody says that it has ended."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        httpx.post(f"{address}/moto-api/reset")  # tasks of an earlier deployment are none of ours
        state_manager.set_transition("ecs::task", {"progression": "time", "seconds": 10**9})
        yield address
    finally:
        server.stop()
        state_manager.unset_transition("ecs::task")


def new_cluster() -> tuple[str, str]:
    """A cluster in a network; the ARNs of the daemon's task and of the definition of a run."""
    ec2, ecs = boto3.client("ec2"), boto3.client("ecs")
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    network = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.20.0.0/20")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=network, GroupName="platform", Description="platform")
    ecs.create_cluster(clusterName=CLUSTER)
    defined = {}
    for family, container in ((FAMILY, "run"), ("fx-assets-platform", "daemon")):
        made = ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="1024",
            memory="4096",
            containerDefinitions=[
                {"name": container, "image": "fx-assets-platform", "memory": 4096}
            ],
        )
        defined[family] = made["taskDefinition"]["taskDefinitionArn"]
    place = {"subnets": [subnet], "securityGroups": [group["GroupId"]]}
    daemon = ecs.run_task(
        cluster=CLUSTER,
        taskDefinition="fx-assets-platform",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": place},
    )["tasks"][0]["taskArn"]
    return daemon, defined[FAMILY]


@contextmanager
def metadata(task: str) -> Iterator[str]:
    """What a container asks about the task that it is in."""
    told = json.dumps({"Cluster": CLUSTER, "TaskARN": task}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def as_declared(folder: Path) -> None:
    """Write the ``dagster.yaml`` of the image, but with records and logs in a folder."""
    parts = (ROOT / "deploy" / "dagster.yaml", STACKS / "dagster.yaml")
    told = yaml.safe_load("".join(part.read_text() for part in parts))
    told["storage"] = {"sqlite": {"base_dir": str(folder / "data" / "dagster")}}
    del told["compute_logs"]
    (folder / "dagster.yaml").write_text(yaml.safe_dump(told))


@contextmanager
def workers(home: Home) -> Iterator[Workers]:
    found = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    with (home.folder / "runs.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "fx_assets_tests.deploy.aws.workers"],
            env={**os.environ, **home.variables, "PYTHONPATH": os.pathsep.join(found)},
            cwd=home.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    made = Workers(server)
    ear = threading.Thread(target=made.listen, daemon=True)
    ear.start()
    try:
        yield made
    finally:
        for worker in made.of.values():
            if worker.process and worker.code is None and worker.process != server.pid:
                with suppress(ProcessLookupError):
                    os.kill(worker.process, signal.SIGKILL)
        server.stdin.close()
        server.wait()
        ear.join()


@contextmanager
def webserver(context: WorkspaceProcessContext) -> Iterator[str]:
    """Dagster's webserver on a port of its own."""
    from dagster_webserver.app import create_app_from_workspace_process_context

    app = create_app_from_workspace_process_context(context)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


DEFINITIONS = ModuleTarget(
    module_name="fx_assets.definitions",
    attribute=None,
    working_directory=None,
    location_name="fx_assets",
)
"""As ``workspace.yaml`` names them."""


@contextmanager
def cloud(home: Home) -> Iterator[Cloud]:
    """A deployment of a home's declarations, in which nothing has been run."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in KEYS.items():
            patch.setenv(name, value)
        address = stack.enter_context(api())
        patch.setenv("AWS_ENDPOINT_URL", address)
        daemon, definition = new_cluster()
        patch.setenv("ECS_CONTAINER_METADATA_URI_V4", stack.enter_context(metadata(daemon)))
        patch.setenv("FX_RUN_TASK", definition)
        home.environment["FX_ASSETS_LAKE"] = f"s3://{BUCKET}/{home.folder.name}"
        for name, value in home.variables.items():
            patch.setenv(name, value)
        as_declared(home.folder)
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home.folder)))
        context = stack.enter_context(WorkspaceProcessContext(instance, DEFINITIONS))
        made = stack.enter_context(workers(home))
        url = stack.enter_context(webserver(context))
        yield Cloud(home, context, made, url)
