"""Servers that start and end together, however the process that a person sees is ended.

A file to be run, by :func:`fx_assets.dev.serve`; it imports next to nothing, for memory.
Beside it is a guard, the parent of the servers and leader of their group: a pipe closes with the
process before it, and then the guard ends the whole group, grandchildren included.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

Servers = Mapping[str, Sequence[str]]
"""Commands by the names of what they start."""
PATIENCE_SECONDS = 20.0
"""How long servers may take to end by themselves."""
LOOK_SECONDS = 0.5


def supervise(servers: Servers, answering: str = "", then: Servers | None = None) -> int:
    """Run commands until a signal, or until one of them ends; returns 0 after a signal, else 1.

    Commands of ``then`` begin when something listens on the Unix socket ``answering``, whose folder
    is removed at the end.
    """
    ours, pipe = os.pipe()
    asked: list[bool] = []

    def end(*_: object) -> None:
        if not asked:
            asked.append(True)
            os.close(pipe)

    signal.signal(signal.SIGTERM, end)
    for ended_by in (signal.SIGINT, signal.SIGHUP):
        # Whoever started this in the background wants it to outlive the terminal.
        if signal.getsignal(ended_by) is not signal.SIG_IGN:
            signal.signal(ended_by, end)
    guard = os.fork()
    if not guard:
        with suppress(OSError):
            os.close(pipe)
        _guard(servers, answering, then or {}, ours)
    os.waitpid(guard, 0)
    with suppress(ProcessLookupError):
        os.killpg(guard, signal.SIGKILL)
    return 0 if asked else 1


def _guard(servers: Servers, answering: str, then: Servers, pipe: int) -> None:
    os.setpgid(0, 0)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which the servers would inherit.
        signal.signal(ignored, lambda *_: None)
    running: dict[str, subprocess.Popen[bytes]] = {}
    waiting = {**then}
    try:
        begin = {**servers}
        while True:
            for name, command in begin.items():
                running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            if select.select([pipe], [], [], LOOK_SECONDS)[0]:
                return
            for name, process in running.items():
                if process.poll() is not None:
                    print(f"{name} ended with exit code {process.returncode}.", file=sys.stderr)
                    return
            begin = waiting if waiting and _listens(answering) else {}
            waiting = {} if begin else waiting
    except OSError as error:
        print(error, file=sys.stderr)
    finally:
        for process in running.values():
            process.terminate()
        last = time.monotonic() + PATIENCE_SECONDS
        for process in running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, last - time.monotonic()))
        if answering:
            shutil.rmtree(os.path.dirname(answering), ignore_errors=True)
        os.killpg(0, signal.SIGKILL)


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


if __name__ == "__main__":
    sys.exit(supervise(*json.loads(sys.argv[1])))
