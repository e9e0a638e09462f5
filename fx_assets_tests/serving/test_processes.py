"""What the server starts beside itself ends with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from fx_assets.testing.lakes.server_process import serving, until

HISTORY = "/v1/forecasts/direction/history"


def family(pid: int) -> set[int]:
    """The processes below one, itself included."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = set(), [pid]
    while waiting:
        found.add(one := waiting.pop())
        waiting += children.get(one, [])
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a process that waits to be reaped does not."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


@pytest.mark.parametrize(
    ("workers", "how"),
    [
        (2, signal.SIGKILL),
        (1, signal.SIGTERM),
        pytest.param(2, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(1, signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_no_process_outlives_the_server(
    lake_root: Path, tmp_path: Path, workers: int, how: signal.Signals
) -> None:
    with serving(lake_root, tmp_path, workers) as running:
        until(lambda: running.client.get(HISTORY).status_code == 200)
        for _ in range(4 * (workers - 1)):
            httpx.get(f"{running.client.base_url}{HISTORY}", timeout=60)
        pids = family(running.process.pid)
        assert len(pids) > workers
        os.kill(running.process.pid, how)
        running.process.wait(20)
        until(lambda: not alive(pids))


def test_the_watch_of_the_pipe_alone_ends_a_child(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        textwrap.dedent(
            """
            import ctypes, os
            from serving.processes.child import Child

            def without_the_kernel():
                if hasattr(ctypes.CDLL(None), "prctl"):
                    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)

            if __name__ == "__main__":
                child = Child("parent:without_the_kernel")
                print(child.call("os:getpid", (), 30).value, flush=True)
                os.kill(os.getpid(), 9)
            """
        )
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path), str(Path.cwd())])
    made = subprocess.run(
        [sys.executable, str(tmp_path / "parent.py")],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert made.stdout, made.stderr.decode()
    until(lambda: not alive({int(made.stdout)}))
