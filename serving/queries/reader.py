"""Asks for what is made of tables, and remembers it while they do not change.

Tables are read in a child process: Arrow and Delta take more memory than everything else together
and compute where predictions must not wait. The child ends when nobody has asked for a while, and
when the storage keeps it waiting for longer than the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar, cast

from fx_assets.bundles.records import pointer_path
from fx_assets.bundles.universes import universe_path
from fx_assets.errors import LakeError
from fx_assets.lake.location import Location
from fx_assets.lake.stamps import table_stamp
from serving.blobs import Files
from serving.processes.child import (
    STARTING_SECONDS,
    Answer,
    CallTimeoutError,
    Child,
    ChildDiedError,
)
from serving.queries.process import Reading
from serving.queries.query import Query, Source

IDLE_SECONDS = 20.0
REMEMBERED_BYTES = 32_000_000
UNPACKED = 8
"""About how many times as large Python objects are in memory as on their way from the child."""
ASKING = 64
"""Most questions that wait for the child at once."""
T = TypeVar("T")


class _Made(NamedTuple):
    stamps: list[object]
    value: Any
    size: int


class Tables:
    """The lake's tables, as functions of them.

    Raises
    ------
    LakeError
        From any method: the storage cannot be reached or does not answer in time, what is served
        is not there, or a table cannot be read.
    """

    def __init__(self, location: Location, seconds: float, child: Child) -> None:
        self._location = location
        self._seconds = seconds
        self._files = Files(location)
        self._looking = ThreadPoolExecutor(4, thread_name_prefix="stamps")
        self._calling = ThreadPoolExecutor(1, thread_name_prefix="tables")
        self._child = child
        self._asking = 0
        self._idle: asyncio.TimerHandle | None = None
        self._made: dict[str, _Made] = {}
        self._size = 0

    async def stamps(self, sources: Sequence[Source]) -> list[object]:
        """What tells these tables, as they are now, from what they were."""

        def look() -> list[object]:
            return [table_stamp(self._files, table, name) for table, name in sources]

        return await self._in_time(self._looking, look)

    async def ask(self, query: Query[T]) -> T:
        """The answer to a query; made again only when a table has changed.

        The lake must at least hold the champion of its forecast: one that is gone, or another in
        its place, is not a lake without rows.
        """
        key = repr(query)
        stamps = await self._present(query)
        kept = self._made.get(key)
        if kept is None or kept.stamps != stamps:
            value, size = await self._answer(query)
            if await self.stamps(query.sources) != stamps:
                # The tables moved while they were read, or went away: look again what is there.
                await self._present(query)
                return value
            kept = _Made(stamps, value, size)
        self._remember(key, kept)
        return cast("T", kept.value)

    async def file(self, forecast: str, path: str) -> bytes | None:
        """A file of the lake, or ``None`` where a lake that holds the forecast has none."""

        def read() -> bytes | None:
            if self._files.blob_exists(path):
                return self._files.read_blob(path)
            self._require(forecast)
            return None

        return await self._in_time(self._looking, read)

    def close(self) -> None:
        """End the child."""
        self._looking.shutdown(wait=False, cancel_futures=True)
        self._calling.shutdown(wait=False, cancel_futures=True)
        self._child.close()

    async def _present(self, query: Query[Any]) -> list[object]:
        stamps = await self.stamps(query.sources)
        if None in stamps or not self._location.is_remote:
            await self._in_time(self._looking, lambda: self._require(query.forecast))
        return stamps

    def _require(self, forecast: str) -> None:
        places = (pointer_path(forecast), universe_path(forecast))
        if not any(map(self._files.blob_exists, places)):
            raise LakeError(
                f"The lake at {self._location.label} holds no champion of {forecast}, which is "
                "served from a copy: the storage is away, or another one is in its place.",
                remedy="Bring the lake back, or check FX_ASSETS_LAKE and FX_ASSETS_HOME.",
            )

    def _remember(self, key: str, made: _Made) -> None:
        before = self._made.pop(key, None)
        self._size += made.size - (before.size if before else 0)
        self._made[key] = made
        while self._size > REMEMBERED_BYTES:
            self._size -= self._made.pop(next(iter(self._made))).size

    async def _answer(self, query: Query[T]) -> tuple[T, int]:
        if self._asking >= ASKING:
            raise LakeError(
                f"{self._asking} other requests wait for tables of the lake.",
                remedy="Ask again later, for smaller pages, or run more workers.",
            )
        self._asking += 1
        try:
            grace = 0.0 if self._child.ready else STARTING_SECONDS
            return await self._in_time(self._calling, lambda: self._call(query), grace)
        finally:
            self._asking -= 1
            self._end_when_idle()

    def _call(self, query: Query[T]) -> tuple[T, int]:
        reading = Reading(self._location.root, self._location.patience, query)
        try:
            try:
                answer: Answer[T] = self._child.call(reading, self._seconds)
            except ChildDiedError:
                answer = self._child.call(reading, self._seconds)
        except CallTimeoutError as error:
            raise self._late() from error
        except ChildDiedError as error:
            raise LakeError(
                f"A table of the lake could not be read. {error.message}",
                remedy="See the memory of the server, and the table with duckdb.",
            ) from error
        holds_bytes = isinstance(getattr(answer.value, "content", None), bytes)
        return answer.value, answer.size * (1 if holds_bytes else UNPACKED)

    async def _in_time(
        self, threads: ThreadPoolExecutor, act: Callable[[], T], grace: float = 0.0
    ) -> T:
        work = asyncio.get_running_loop().run_in_executor(threads, act)
        try:
            return await asyncio.wait_for(work, self._seconds + grace)
        except TimeoutError:
            raise self._late() from None
        except OSError as error:
            raise LakeError(
                f"The lake at {self._location.label} cannot be read: "
                f"{self._location.redact(error)}",
                remedy="Check the storage: that the lake is where FX_ASSETS_LAKE says, and that "
                "this account may read it.",
            ) from error

    def _late(self) -> LakeError:
        return LakeError(
            f"The lake at {self._location.label} did not answer in {self._seconds:g} s.",
            remedy="Check the storage; FX_SERVING_READ_SECONDS is how long a read may take.",
        )

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if not self._asking:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE_SECONDS, self._end_idle_child)

    def _end_idle_child(self) -> None:
        if not self._asking:
            self._calling.submit(self._child.end)
