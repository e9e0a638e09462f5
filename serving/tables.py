"""The lake's tables as the server reads them: one thread, columns as NumPy or Arrow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

# Arrow's own allocator keeps what it once had; the C library's gives it back.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import pyarrow as pa

from fx_assets.lake.reader import Reader

if TYPE_CHECKING:
    from fx_assets.lake.location import Location

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CACHED = 24


class Tables:
    """Reads tables in a thread of its own, and remembers what was made of them.

    Raises
    ------
    LakeError
        From any method: the storage cannot be reached, or a table cannot be read.
    """

    def __init__(self, location: Location) -> None:
        self._reader = Reader(location)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tables")
        self._made: dict[tuple[object, ...], tuple[object, Any]] = {}

    async def derive(
        self,
        what: str,
        sources: Sequence[tuple[str, str]],
        make: Callable[[Reader], T],
    ) -> T:
        """What ``make`` makes of tables; made again only when one of them has changed.

        Parameters
        ----------
        what
            Identifies it, together with the sources.
        sources
            Tables, as table and name, that it depends on.
        make
            Reads them; runs in the thread.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._derive, what, sources, make
        )

    def _derive(
        self, what: str, sources: Sequence[tuple[str, str]], make: Callable[[Reader], T]
    ) -> T:
        key = (what, *sources)
        versions = [self._reader.version(*source) for source in sources]
        kept = self._made.pop(key, None)
        if kept is None or kept[0] != versions:
            kept = (versions, make(self._reader))
        self._made[key] = kept
        while len(self._made) > _CACHED:
            self._made.pop(next(iter(self._made)))
        made: T = kept[1]
        return made

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def numbers(table: pa.Table, column: str) -> np.ndarray:
    """A column as float64; null is NaN."""
    if column not in table.column_names:
        return np.full(table.num_rows, np.nan)
    values: np.ndarray = table[column].cast(pa.float64()).fill_null(np.nan).to_numpy()
    return values


def instants(table: pa.Table, column: str) -> np.ndarray:
    """A column of UTC instants as microseconds since 1970; null is the smallest integer."""
    whole = table[column].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    values: np.ndarray = whole.fill_null(np.iinfo(np.int64).min).to_numpy()
    return values


def texts(table: pa.Table, column: str) -> list[str]:
    """A column of texts."""
    values: list[str] = table[column].to_pylist()
    return values


def row_of(table: pa.Table, index: int) -> dict[str, Any]:
    """One row as Python values; instants are in UTC."""
    return {name: _scalar(table[name], index) for name in table.column_names}


def instant(microseconds: int) -> datetime:
    """An instant from microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def json_instants(table: pa.Table, column: str) -> list[str | None]:
    """A column of UTC instants as ISO 8601 texts."""
    low = np.iinfo(np.int64).min
    return [
        None if value == low else instant(value).isoformat().replace("+00:00", "Z")
        for value in instants(table, column).tolist()
    ]


def newest_first(table: pa.Table, column: str) -> np.ndarray:
    """Indices that sort by a column of instants, the latest first."""
    return np.argsort(-instants(table, column), kind="stable")


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with NaN as null."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}


def _scalar(column: pa.ChunkedArray, index: int) -> Any:
    if pa.types.is_timestamp(column.type):
        whole = column.slice(index, 1).cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        value = whole[0].as_py()
        return None if value is None else instant(value)
    return column[index].as_py()
