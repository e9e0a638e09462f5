"""What the server starts beside itself ends with it, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.families import alive, family
from serving.processes.ending import END_SECONDS

HISTORY = "/v1/forecasts/direction/history"


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


@pytest.mark.slow
def test_connections_that_say_nothing_more_do_not_hold_up_the_end(
    lake_root: Path, tmp_path: Path
) -> None:
    with serving(lake_root, tmp_path) as running, contextlib.ExitStack() as kept:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        head = b"POST /v1/forecasts/direction/predict/features HTTP/1.1\r\nhost: x\r\n"
        get = b"GET /v1/forecasts/direction/prices HTTP/1.1\r\nhost: x\r\n\r\n"
        for sent in (b"", head[:9], head, head + b"content-length: 9\r\n\r\n{", get * 500):
            one = kept.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            one.sendall(sent)
        # In a container the signal that uvicorn raises at last ends nobody; then as after this one.
        running.process.send_signal(signal.SIGINT)
        running.process.wait(END_SECONDS + 40)


def test_a_process_that_hangs_at_its_end_says_where_and_is_gone() -> None:
    script = """
        import signal, threading
        from serving.processes import ending
        ending.END_SECONDS = 0.2
        signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
        ending.end_in_time()
        threading.Thread(target=threading.Event().wait, name="for ever").start()
        print("ready", flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "asked\n")
    assert "in wait" in err


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
                child = Child(without_the_kernel)
                print(child.call(os.getpid, 30).value, flush=True)
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
