"""A server that is told to end has ended soon, whatever its threads wait for."""

from __future__ import annotations

import faulthandler
import signal
from types import FrameType

GRACE_SECONDS = 10
"""How long requests in progress may take once the server is told to end."""
END_SECONDS = 20


def end_in_time() -> None:
    """After a signal that ends this process, it has :data:`END_SECONDS`.

    Then standard error says where each thread stands, and the process is gone: one that waits for
    a storage, or a log that nobody reads, would hold it up, since Python waits for its threads.
    Call it from the main thread, where the handlers of the signals have been set.
    """
    for which in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(which)

        def timed(number: int, frame: FrameType | None, before: object = before) -> None:
            faulthandler.dump_traceback_later(END_SECONDS, exit=True)
            if callable(before):
                before(number, frame)

        if callable(before):
            signal.signal(which, timed)
