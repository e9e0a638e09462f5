"""Tasks of a cluster that are processes of this machine: each command is run by a fork of this one.

usage: python -m fx_assets_tests.deploy.aws.workers; reads ``{"task", "command", "environment"}`` a
line from standard input, and writes ``{"task", "process"}`` when it has begun and ``{"task",
"code"}`` when it has ended.

Everything is imported before, which spares each task seconds. Each task takes itself for a machine
of its own, as one of Fargate is: nobody else can see whether its process lives.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from collections.abc import Mapping, Sequence

from dagster._cli import create_dagster_cli

from fx_assets import heartbeats
from fx_assets.definitions import defs
from fx_assets.lake import turns

LOOK_SECONDS = 0.05
SILENCE_SECONDS = 4.0
"""After which a task that says nothing is dead to the others; three minutes in production."""


def run(task: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command of a task's container in this process."""
    os.environ.update(environment)
    for module in (turns, heartbeats):
        module.this_host = lambda: task
    turns.SILENCE_SECONDS, turns.BEAT_SECONDS = SILENCE_SECONDS, SILENCE_SECONDS / 8
    turns.LOOK_SECONDS = LOOK_SECONDS
    try:
        create_dagster_cli()(command[1:], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def say(**told: object) -> None:
    print(json.dumps(told), flush=True)


def serve() -> None:
    defs()
    alive: dict[int, str] = {}
    say(task="", process=os.getpid())
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
        if ready:
            line = sys.stdin.readline()
            if not line:
                return
            asked = json.loads(line)
            process = os.fork()
            if not process:
                code = run(asked["task"], asked["command"], asked["environment"])
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
            alive[process] = asked["task"]
            say(task=asked["task"], process=process)
        for process in list(alive):
            gone, status = os.waitpid(process, os.WNOHANG)
            if gone:
                say(task=alive.pop(process), code=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve()
