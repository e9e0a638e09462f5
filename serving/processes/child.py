"""A process beside the server for what may block, hang or fail; it never outlives its parent.

On Linux the kernel ends it with the thread that started it; everywhere it watches a pipe that
closes with its parent, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from fx_assets.errors import FxAssetsError, LakeError

_PR_SET_PDEATHSIG = 1
STARTING_SECONDS = 60.0
"""How long a new process may take to import what it needs, before its first call is timed."""


class CallTimeoutError(FxAssetsError):
    """A call did not end in time; its process has been ended."""


class ChildDiedError(FxAssetsError):
    """The process ended in the middle of a call, such as by a crash of native code."""


T = TypeVar("T")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a call returned."""

    value: T
    size: int
    """Bytes that it took to send."""


class Child:
    """One process that makes calls, one at a time; started on demand, and again after it ended.

    For use by one thread, which must live as long as the process is to live.
    """

    def __init__(self, prepare: Callable[[], object]) -> None:
        """``prepare`` is what the process calls first, by its name in a module."""
        self._prepare = prepare
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self.ready = False
        """Whether the next call begins at once, without a start."""
        self._closed = False
        # Before multiprocessing waits, at the interpreter's end, for what may not listen.
        atexit.register(self.close)

    def start(self) -> None:
        """Start the process, if there is none.

        Raises
        ------
        ChildDiedError
            It has been closed.
        """
        if self._closed:
            raise ChildDiedError("The server stops.")
        if self._process is not None and self._process.is_alive():
            return
        self.end()
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, os.getpid(), self._prepare), daemon=True
        )
        self._process.start()
        other.close()
        self.ready = False
        if self._closed:  # by another thread, meanwhile
            self._process.kill()

    def call(self, work: Callable[[], T], seconds: float) -> Answer[T]:
        """What the work returns, which can be pickled and so can its result.

        Raises
        ------
        CallTimeoutError
            It took longer than ``seconds``.
        ChildDiedError
            The process ended.
        Exception
            What the work raised.
        """
        self.start()
        pipe = self._pipe
        assert pipe is not None  # noqa: S101
        try:
            if not self.ready:
                if not pipe.poll(STARTING_SECONDS):
                    raise CallTimeoutError(f"No process started in {STARTING_SECONDS:.0f} s.")
                pipe.recv_bytes()
                self.ready = True
            pipe.send_bytes(pickle.dumps(work))
            if not pipe.poll(seconds):
                raise CallTimeoutError(f"No answer in {seconds:.0f} s.")
            content = pipe.recv_bytes()
        except CallTimeoutError:
            self.end()
            raise
        except (EOFError, OSError):
            code = self.end()
            raise ChildDiedError(f"The process that does this ended (exit code {code}).") from None
        succeeded, value = pickle.loads(content)  # noqa: S301
        if not succeeded:
            raise value
        return Answer(value, len(content))

    def close(self) -> None:
        """End the process for good, also in the middle of a call of another thread."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()

    def end(self) -> int | None:
        """End the process, whatever it does; returns its exit code."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is None:
            return None
        process.join(0.2)
        if process.is_alive():
            process.kill()
            process.join(5)
        return process.exitcode


def _serve(pipe: Connection, parent: int, prepare: Callable[[], object]) -> None:
    """The process: calls come in, answers go out, until the pipe closes."""
    end_with(parent)
    # The terminal's interrupt goes to all; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()
    try:
        pipe.send_bytes(b"ready")
        while True:
            pipe.send_bytes(_made(pipe.recv_bytes()))
    except (EOFError, OSError):
        return


def _made(work: bytes) -> bytes:
    try:
        return pickle.dumps((True, pickle.loads(work)()))  # noqa: S301
    except Exception as error:
        try:
            content = pickle.dumps((False, error))
            pickle.loads(content)  # noqa: S301
        except Exception:
            return pickle.dumps((False, LakeError(f"{type(error).__name__}: {error}")))
        return content


def end_with(parent: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Let this process, started by ``multiprocessing``, get a signal when its parent ends."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, how, 0, 0, 0)
    process = multiprocessing.parent_process()
    if process is None or os.getppid() != parent:
        os.kill(os.getpid(), how)
        return
    threading.Thread(target=_watch, args=(process.sentinel, how), daemon=True).start()


def _watch(sentinel: int, how: signal.Signals) -> None:
    wait([sentinel])
    os.kill(os.getpid(), how)
