"""Asks Dagster for the bars that are due and that nobody has asked for; a Lambda function.

A schedule of ingest that is switched on says what its newest time asks for. Where Dagster has no
run of that time, one is launched with the daemon's tags, so that the daemon launches no other.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from datetime import UTC, datetime

NAMES = ("_ingest", "_discover")
PATIENCE, LATE = 300, 3600
SCHEDULES = """{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name }
  schedules { name pipelineName scheduleState { status } } } } } }"""
DUE = """query($of: ScheduleSelector!, $now: Float!) { scheduleOrError(scheduleSelector: $of) {
  ... on Schedule { potentialTickTimestamps(startTimestamp: $now, upperLimit: 0, lowerLimit: 1)
  } } }"""
ASKED = """query($of: ScheduleSelector!, $at: Int!) { scheduleOrError(scheduleSelector: $of) {
  ... on Schedule { futureTick(tickTimestamp: $at) { evaluationResult { skipReason
  error { message } runRequests { runKey runConfigYaml tags { key value } } } } } } }"""
RUNS = """query($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}) {
  ... on Runs { results { status } } } }"""
LAUNCH = """mutation($run: ExecutionParams!) { launchRun(executionParams: $run) { __typename
  ... on PythonError { message } } }"""


def ask(query, **variables):
    """The answer of Dagster's webserver."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    url = os.environ["DAGSTER_URL"] + "/graphql"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        told = json.load(answer)
    if told.get("errors"):
        raise RuntimeError(told["errors"][0]["message"])
    return told["data"]


def runs_of(schedule, where, now):
    """The newest time of a schedule, what it came to, and whether that is late."""
    of = {**where, "scheduleName": schedule["name"]}
    ticks = ask(DUE, of=of, now=now - PATIENCE)["scheduleOrError"]["potentialTickTimestamps"]
    at = int(ticks[0])
    due = datetime.fromtimestamp(at, UTC).isoformat()
    tags = {"dagster/schedule_name": schedule["name"], ".dagster/scheduled_execution_time": due}
    known = [{"key": key, "value": value} for key, value in tags.items()]
    states = [run["status"] for run in ask(RUNS, tags=known)["runsOrError"]["results"]]
    if not states:
        asked = ask(ASKED, of=of, at=at)["scheduleOrError"]["futureTick"]["evaluationResult"]
        if asked["error"]:
            raise RuntimeError(asked["error"]["message"])
        if asked["skipReason"]:
            return due, asked["skipReason"], False
        for run in asked["runRequests"] or []:
            key = {"key": "dagster/run_key", "value": run["runKey"] or due}
            given = [*known, *run["tags"], key]
            params = {
                "selector": {**where, "pipelineName": schedule["pipelineName"]},
                "runConfigData": run["runConfigYaml"],
                "executionMetadata": {"tags": given},
            }
            done = ask(LAUNCH, run=params)["launchRun"]
            states.append(done.get("message") or done["__typename"])
    return due, states[0], "SUCCESS" not in states and now - at > LATE


def handler(event, context):  # noqa: ARG001
    """Look at every schedule of ingest; the last line says how many are late."""
    late = 0
    for repository in ask(SCHEDULES)["repositoriesOrError"]["nodes"]:
        where = {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        }
        for schedule in repository["schedules"]:
            on = schedule["scheduleState"]["status"] == "RUNNING"
            if on and schedule["name"].endswith(NAMES):
                due, state, behind = runs_of(schedule, where, time.time())
                late += behind
                print(json.dumps({"schedule": schedule["name"], "due": due, "state": state}))
    print(json.dumps({"late": late}))
    return {"late": late}
