"""Asks for what is made of tables, and remembers it while they do not change.

Tables are read in a child process: Arrow and Delta take more memory than everything else together
and compute where predictions must not wait. The child ends when nobody has asked for a while.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from fx_assets.lake.location import Location
from fx_assets.lake.stamps import table_stamp
from fx_assets.tables import DECISIONS, SERIES, Table
from serving import child
from serving.blobs import Files

IDLE_SECONDS = 20.0
REMEMBERED = 32


def sources(forecast: str, *read: Table) -> list[tuple[str, str]]:
    """A forecast's tables, with those that say whose their rows are."""
    return [(table.name, forecast) for table in dict.fromkeys((*read, SERIES, DECISIONS))]


class Tables:
    """The lake's tables, as functions of them.

    Raises
    ------
    LakeError
        From any method: the storage cannot be reached, or a table cannot be read.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._files = Files(location)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="tables")
        self._pool: ProcessPoolExecutor | None = None
        self._asking = 0
        self._idle: asyncio.TimerHandle | None = None
        self._made: dict[tuple[object, ...], tuple[object, Any]] = {}

    def warm_up(self) -> None:
        """Start the child now, beside whatever else is started."""
        self._child().submit(child.begin)

    async def stamps(self, sources: Sequence[tuple[str, str]]) -> list[object]:
        """What tells these tables, as they are now, from what they were."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: [table_stamp(self._files, table, name) for table, name in sources],
        )

    async def derive(
        self,
        sources: Sequence[tuple[str, str]],
        make: str,
        *arguments: object,
    ) -> Any:
        """What ``make(reader, *arguments)`` makes of tables; again only when one has changed.

        Parameters
        ----------
        sources
            Tables, as table and name, that it depends on.
        make
            A function as ``module:name``, which the child imports and this process need not.
        """
        key = (make, repr(arguments), *sources)
        stamps = await self.stamps(sources)
        kept = self._made.pop(key, None)
        if kept is None or kept[0] != stamps:
            kept = (stamps, await self._ask(make, arguments))
        self._made[key] = kept
        while len(self._made) > REMEMBERED:
            self._made.pop(next(iter(self._made)))
        return kept[1]

    def close(self) -> None:
        """End the child."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._end_child()

    async def _ask(self, make: str, arguments: Sequence[object]) -> Any:
        call = child.Call(make, arguments, self._location.root)
        self._asking += 1
        try:
            try:
                return await asyncio.wrap_future(self._child().submit(child.run, call))
            except BrokenProcessPool:
                self._end_child()
                return await asyncio.wrap_future(self._child().submit(child.run, call))
        finally:
            self._asking -= 1
            self._end_when_idle()

    def _child(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=child.begin)
        return self._pool

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if not self._asking:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE_SECONDS, self._end_idle_child)

    def _end_idle_child(self) -> None:
        if not self._asking:
            self._end_child()

    def _end_child(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
