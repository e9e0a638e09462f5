"""Reads tables as Arrow, without pandas and the Delta library: for servers, which are small.

A :class:`Reader` belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from fx_assets.errors import LakeError
from fx_assets.lake.blobs import BlobStore
from fx_assets.lake.location import Location
from fx_assets.lake.log import Log
from fx_assets.lake.schema import require_readable
from fx_assets.lake.stamps import birth_of

KEPT_BYTES = 200_000_000


class Reader:
    """The newest version of each table of one lake.

    Open tables are kept and brought up to date on each use. What was read last is kept up to
    ``KEPT_BYTES``, so that the pages of a large table do not read it again each.

    Raises
    ------
    LakeError
        From any method: the storage cannot be reached, or a table cannot be read.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._store = BlobStore(location)
        self._kept: dict[str, tuple[object, Log]] = {}
        self._rows: dict[tuple[str, tuple[str, ...]], tuple[object, pa.Table]] = {}
        self._readable = False

    def read(self, table: str, name: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """Every row, in the order of writing; None if there is no such table.

        Columns that the table lacks are left out.
        """
        if not self._readable:
            require_readable(self._store, self.location.label)
            self._readable = True
        opened = self._open(table, name)
        if opened is None:
            return None
        birth, log = opened
        schema = pa.schema([f for f in log.schema if columns is None or f.name in columns])
        key = self.location.table_uri(table, name), tuple(schema.names)
        state = birth, log.version
        before = self._rows.pop(key, None)
        if before is not None and before[0] == state:
            self._rows[key] = before
            return before[1]
        try:
            parts = [_part(self._file(path), schema) for path in log.files]
        except (LakeError, OSError, pa.ArrowException) as error:
            self._kept.clear()
            raise self._error(table, name, error) from None
        rows = pa.concat_tables(parts) if parts else schema.empty_table()
        self._rows[key] = state, rows
        while self._rows and sum(kept.nbytes for _, kept in self._rows.values()) > KEPT_BYTES:
            self._rows.pop(next(iter(self._rows)))
        return rows

    def _open(self, table: str, name: str) -> tuple[object, Log] | None:
        uri = self.location.table_uri(table, name)
        birth = "" if self.location.is_remote else birth_of(uri)
        if birth is None:
            self._kept.pop(uri, None)
            return None
        # Left out while it is read, so that a log that was read in part is read anew.
        kept = self._kept.pop(uri, None)
        log = kept[1] if kept and kept[0] == birth else Log(self._store, f"{table}/{name}")
        try:
            if not log.update():
                return None
        except (LakeError, OSError) as error:
            raise self._error(table, name, error) from None
        self._kept[uri] = birth, log
        return self._kept[uri]

    def _file(self, path: str) -> pq.ParquetFile:
        if self.location.is_remote:
            return pq.ParquetFile(pa.BufferReader(self._store.read(path)))
        return pq.ParquetFile(self.location.uri(path))

    def _error(self, table: str, name: str, error: Exception) -> LakeError:
        return LakeError(
            f"{table}/{name} at {self.location.label}: {self.location.redact(error)}",
            remedy="Check that the storage can be reached and that its credentials allow this.",
        )


def conform(data: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly the columns of ``schema``; absent ones are null."""
    arrays = [
        data[field.name].cast(field.type)
        if field.name in data.column_names
        else pa.nulls(data.num_rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=pa.schema([(field.name, field.type) for field in schema]))


def _part(file: pq.ParquetFile, schema: pa.Schema) -> pa.Table:
    present = [name for name in schema.names if name in set(file.schema_arrow.names)]
    return conform(file.read(present, use_threads=False), schema)
