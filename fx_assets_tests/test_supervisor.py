"""Servers that are supervised end with their supervisor, with all that they have started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fx_assets import supervisor
from fx_assets.testing.lakes.server_process import until
from fx_assets_tests.families import alive, family

PARENT = """
import signal, subprocess, sys, time
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print("begun", flush=True)
time.sleep(600)
"""
SHORT = """
import json, signal, sys
from fx_assets import supervisor
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
supervisor.PATIENCE_SECONDS = 0.2
sys.exit(supervisor.supervise(*json.loads(sys.argv[1])))
"""
"""Tests that run in the background are born with SIGINT and SIGHUP ignored."""


def server(kind: str) -> list[str]:
    return [sys.executable, "-S", "-c", PARENT, kind]


def started(
    servers: dict[str, list[str]], *command: str, more: tuple[object, ...] = ()
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command, json.dumps([servers, *more])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(process: subprocess.Popen[str], servers: int) -> set[int]:
    assert process.stdout is not None
    for _ in range(servers):
        assert process.stdout.readline() == "begun\n"
    found = family(process.pid)
    assert len(found) == 2 + 2 * servers
    return found


@pytest.mark.parametrize(
    ("ended_by", "code"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGKILL, -9)],
)
def test_however_a_supervisor_ends_its_servers_end_with_theirs(
    ended_by: signal.Signals, code: int
) -> None:
    process = started({"one": server("plain"), "two": server("stubborn")}, "-c", SHORT)
    pids = begun(process, 2)
    process.send_signal(ended_by)
    until(lambda: not alive(pids))
    assert process.wait(10) == code


def test_a_killed_guard_leaves_nobody_behind() -> None:
    process = started({"one": server("plain")}, str(Path(supervisor.__file__)))
    pids = begun(process, 1)
    leaders = {os.getpgid(pid) for pid in pids} & pids - {process.pid}
    os.kill(leaders.pop(), signal.SIGKILL)
    until(lambda: not alive(pids))
    assert process.wait(10) == 1


def test_the_end_of_one_server_is_told_and_ends_the_others() -> None:
    ending = [sys.executable, "-S", "-c", "raise SystemExit(3)"]
    process = started({"one": server("plain"), "two": ending}, str(Path(supervisor.__file__)))
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "two ended with exit code 3.\n")


def test_a_server_that_cannot_be_started_is_told() -> None:
    process = started({"one": ["/nowhere/server"]}, str(Path(supervisor.__file__)))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "/nowhere/server" in said


def test_servers_that_need_another_begin_when_it_listens(tmp_path: Path) -> None:
    folder = tmp_path / "of the sockets"
    folder.mkdir()
    listening = f"""
import socket, time
time.sleep(0.5)
print("listens", flush=True)
with socket.socket(socket.AF_UNIX) as server:
    server.bind({str(folder / "it")!r})
    server.listen()
    time.sleep(600)
"""
    one = {"one": [sys.executable, "-S", "-c", listening]}
    more = str(folder / "it"), {"two": server("plain")}
    process = started(one, str(Path(supervisor.__file__)), more=more)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["listens\n", "begun\n"]
    process.terminate()
    assert process.wait(60) == 0
    until(lambda: not folder.exists())
