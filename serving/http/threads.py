"""Work that takes long runs in a thread, one piece at a time: the event loop answers others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from serving.http.problems import Problem

P = ParamSpec("P")
T = TypeVar("T")
WAITING = 64
"""Most pieces that wait; each holds a body."""


class Aside:
    """One thread for the work of large requests."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._waiting = 0

    async def __call__(self, act: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What the function returns.

        Raises
        ------
        Problem
            503: too many large requests wait.
        """
        if self._waiting >= WAITING:
            raise Problem(
                503,
                "too-many-large-requests",
                f"{self._waiting} large requests wait already.",
                remedy="Send smaller ones, wait, or run more workers.",
            )
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, lambda: act(*given, **named))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread after what it does."""
        self._thread.shutdown(wait=False, cancel_futures=True)
