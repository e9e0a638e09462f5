"""The one place that opens the lake."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from fx_assets import clock
from fx_assets.errors import LakeError
from fx_assets.faults import described
from fx_assets.lake import chain, schema, upkeep, views, writes
from fx_assets.lake.bitemporal import as_known_at, known_rows
from fx_assets.lake.blobs import BlobStore
from fx_assets.lake.commits import Commit, CommitInfo, CompactionResult
from fx_assets.lake.delta import DeltaStore, Plan, dataset_of, schema_of
from fx_assets.lake.location import Location
from fx_assets.lake.probe import probe_conditional_writes
from fx_assets.lake.readings import reading_in_force, rows_of_reading
from fx_assets.lake.turns import LOCKS, local_turn, remote_turn
from fx_assets.lake.verified import Verified, verify
from fx_assets.settings import Settings
from fx_assets.tables import CHAINED, RAW_PRICES, READINGS

_log = logging.getLogger(__name__)


class Lake:
    """Delta tables ``<root>/<table>/<name>``, where the name is a feed's or a forecast's.

    Each writing method is one atomic commit. Writers and readers in any number of processes need
    no lock and no server: conflicting commits are planned again from the newest version, within
    bounds, and a reader sees whole versions. A commit survives the end of the writing process at
    any moment; on a local disk it is as durable as the operating system's cache.

    Parameters
    ----------
    root : str
        A folder, or ``s3://bucket/prefix``.
    duckdb_file : Path, optional
        File of DuckDB views that follows the commits. Only for a local root: DuckDB cannot read
        S3 without an extension; use :meth:`connect` there.
    storage_options : dict, optional
        ``AWS_*`` options that win over the environment's.

    Raises
    ------
    LakeError
        From any method: what, where, and what to do. Credentials are left out of messages.
    """

    def __init__(
        self,
        root: str,
        duckdb_file: Path | None = None,
        storage_options: dict[str, str] | None = None,
    ) -> None:
        self._location, self._given = Location(root, storage_options), storage_options
        self._store = DeltaStore(self._location)
        self._blobs = BlobStore(self._location)
        self.duckdb_file = None if self.is_remote else duckdb_file
        self._lock = threading.Lock()
        self._deferring = 0
        self._stale: set[str] = set()
        self._stamped = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens it anew."""
        return Lake, (self.root, self.duckdb_file, self._given)

    @classmethod
    def from_settings(cls, settings: Settings) -> Lake:
        """The lake of a deployment."""
        return cls(settings.lake_root, settings.duckdb_file)

    @property
    def root(self) -> str:
        """The root as an absolute path or an ``s3://`` address."""
        return self._location.root

    @property
    def is_remote(self) -> bool:
        """Whether the root is on S3."""
        return self._location.is_remote

    def exists(self, table: str, name: str) -> bool:
        """Whether there is such a table."""
        return self._store.open(table, name) is not None

    def names(self, table: str) -> list[str]:
        """The feeds or forecasts that have this table, sorted."""
        return [name for name in self._blobs.folders(table) if self._is_table(table, name)]

    def tables(self) -> list[str]:
        """The table names that any feed or forecast has, sorted."""
        return [table for table in self._blobs.folders() if self.names(table)]

    def version(self, table: str, name: str) -> int | None:
        """The newest version, or None if there is no such table."""
        version = self._store.version(table, name)
        return None if version < 0 else version

    def read(
        self,
        table: str,
        name: str,
        *,
        version: int | None = None,
        columns: list[str] | None = None,
    ) -> pd.DataFrame:
        """The rows of the newest or the given version.

        The order of rows means nothing, but is the same each time a version is read. Datetimes
        are ``datetime64[us, UTC]``.
        """
        return self._store.read(table, name, version=version, columns=columns)

    def read_or_empty(self, table: str, name: str) -> pd.DataFrame:
        """The rows of the newest version, or a frame without columns if there is no such table."""
        return self.read(table, name) if self.exists(table, name) else pd.DataFrame()

    def read_known(self, table: str, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Those of these columns that the table has; a frame without columns if there is none.

        Columns were added over time.
        """
        if not self.exists(table, name):
            return pd.DataFrame()
        there = set(schema_of(self._store.require(table, name)).names)
        return self.read(table, name, columns=[c for c in columns if c in there])

    def read_values(
        self,
        table: str,
        name: str,
        column: str,
        values: Collection[str],
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The rows that have one of these texts in a column; others take no memory.

        Of ``columns`` those that the table has. A frame without rows where it lacks ``column``, one
        without columns where there is no table.
        """
        if not self.exists(table, name):
            return pd.DataFrame()
        there = schema_of(self._store.require(table, name)).names
        wanted = None if columns is None else [c for c in columns if c in there]
        if column not in there:
            return pd.DataFrame(columns=wanted or there)
        return self._store.read_values(table, name, column, sorted(values), wanted)

    def read_newest(self, table: str, name: str, column: str) -> pd.DataFrame:
        """The rows with the largest value in a column; others take no memory.

        A frame without columns where there is no table.
        """
        if not self.exists(table, name):
            return pd.DataFrame()
        return self._store.read_newest(table, name, column)

    def append(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        *,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Add all rows; columns that are new to the table are added to it.

        Of an empty frame the columns still count: the table is created with zero rows.
        """
        plan = writes.appending(frame, f"{table}/{name}")
        return self._commit(table, name, plan, run_id, metadata)

    def insert_new(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        keys: list[str],
        *,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Add the rows whose key is not in the table; no commit if there are none.

        Exact with several writers: the keys are compared with the very version that the commit
        follows. Of rows with equal keys in the frame, the first counts.
        """
        plan = writes.inserting(frame, keys, f"{table}/{name}", self._store.rows_at_hand)
        return self._commit(table, name, plan, run_id, metadata)

    def replace(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        *,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Make the frame the whole content, schema included; no commit if it is that already."""
        plan = writes.replacing(frame, f"{table}/{name}")
        return self._commit(table, name, plan, run_id, metadata)

    def replace_where(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        *,
        column: str,
        start: Any,
        end: Any,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Make the frame the content of ``start <= column < end``; other rows stay as they are.

        An empty frame empties the range. No commit if the range holds these rows already. A row
        of the frame outside the range is an error.
        """
        plan = writes.replacing_range(frame, column, start, end, f"{table}/{name}")
        return self._commit(table, name, plan, run_id, metadata)

    def replace_values(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        *,
        column: str,
        values: Collection[str],
        run_id: str = "",
    ) -> Commit:
        """Make the frame the content of the rows with these texts in a column, as replace_where."""
        plan = writes.replacing_values(frame, column, values, f"{table}/{name}")
        return self._commit(table, name, plan, run_id, None)

    def thin(self, table: str, name: str, stay: writes.Choice, *, run_id: str = "") -> Commit:
        """Take out the rows that are not to stay, which the commit counts; none where all are.

        Raises
        ------
        LakeError
            The rows of the table are chained: none can be taken out.
        """
        if table in CHAINED:
            raise LakeError(
                f"The rows of {table}/{name} are chained; none can be taken out.",
                remedy="Leave them: whoever verifies the chain would miss them.",
            )
        return self._commit(table, name, writes.thinning(stay), run_id, None)

    def history(self, table: str, name: str, limit: int | None = None) -> list[CommitInfo]:
        """The table's commits, newest first."""
        return self._store.history(table, name, limit)

    def head(self, table: str, name: str) -> str | None:
        """The newest published hash of a table whose rows are chained; None without one."""
        published = chain.read_head(self._blobs, table, name)
        return None if published is None else published.head

    def verify(self, table: str, name: str) -> Verified:
        """Whether the rows of a chained table are those that were written, and which are not."""
        published = chain.read_head(self._blobs, table, name)
        rows = pa.table({})
        if published is None or self.exists(table, name):
            source = self._store.require(table, name)
            with self._store.reading(table, name):
                rows = dataset_of(source).to_table()
        early = chain.read_early(self._blobs, table, name)
        return verify(rows, table, name, published, early)

    def raw_prices(self, feed: str, as_of: datetime | None = None) -> pd.DataFrame:
        """All raw bars, revisions included, that were available at ``as_of`` (None: now).

        Those of the reading that was in force then.
        """
        at = as_of or clock.now()
        return known_rows(self.bars_of(feed, as_of=at), at)

    def prices(self, feed: str, as_of: datetime | None = None) -> pd.DataFrame:
        """The raw bars as known at ``as_of`` (None: now): one row an event time.

        Those of the reading that was in force then: two readings are never mixed.
        """
        at = as_of or clock.now()
        return as_known_at(self.bars_of(feed, as_of=at), at)

    def bars_of(
        self, feed: str, reading: str | None = None, *, as_of: datetime | None = None
    ) -> pd.DataFrame:
        """The rows of ``raw_prices`` that were made by a reading of the feed.

        By default by the one in force at ``as_of`` (None: the newest).
        """
        readings = self.read_or_empty(READINGS.name, feed)
        wanted = reading or reading_in_force(readings, as_of)
        return rows_of_reading(self.read(RAW_PRICES.name, feed), wanted, readings)

    def stored_as(self, name: str) -> str:
        """The name under which the tables of a feed or forecast are stored."""
        return name

    def write_blob(self, path: str, data: bytes) -> str:
        """Write or atomically replace a small file below the root; returns its address."""
        self.probe_conditional_writes()
        return self._blobs.write(path, data)

    def read_blob(self, path: str) -> bytes:
        """The content of a file below the root."""
        return self._blobs.read(path)

    def blob_exists(self, path: str) -> bool:
        """Whether there is such a file below the root."""
        return self._blobs.exists(path)

    def sizes(self) -> dict[str, int]:
        """Bytes below each of the lake's first folders: tables, bundles and what else there is."""
        return self._blobs.sizes()

    def old_blobs(self, prefix: str, before: datetime) -> dict[str, int]:
        """Bytes of the files that begin with ``prefix`` and were last written before, by path."""
        return self._blobs.written_before(prefix, before)

    def delete_blob(self, path: str) -> None:
        """Delete a small file; one that is not there is gone already."""
        self._blobs.delete(path)

    def list_blobs(self, prefix: str) -> list[str]:
        """The paths below the root that begin with ``prefix``, sorted."""
        return self._blobs.paths(prefix)

    def redact(self, error: object) -> str:
        """An error's text without credentials."""
        return self._location.redact(error)

    def connect(self, *, confined_to: str | None = None) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB connection with a view of each table, local or on S3.

        A view holds the rows of all feeds or forecasts, as of this call, plus a column ``feed`` or
        ``forecast``.

        ``confined_to`` is an amount of memory, such as ``512MB``: SQL of the connection is kept
        within it, and from files, networks, extensions, variables of the program and settings.
        """
        connection = duckdb.connect()
        for table in self.tables():
            parts = []
            for name in self.names(table):
                part = self._part(table, name)
                if self.is_remote or confined_to:
                    relation = f"{table}/{name}"
                    source = self._store.require(table, name)
                    connection.register(relation, dataset_of(source))
                    part = replace(part, relation=f'"{relation}"')
                parts.append(part)
            connection.execute(f'CREATE VIEW "{table}" AS {views.view_query(table, parts)}')
        if confined_to:
            connection.execute(
                f"SET memory_limit = '{confined_to}'; SET temp_directory = '';"
                "SET python_enable_replacements = false; SET enable_external_access = false;"
                "SET lock_configuration = true"
            )
        return connection

    def refresh_views(self) -> None:
        """Write the DuckDB file anew, with a view of each table over its present Parquet files.

        What a person has added to the file is lost. Does nothing for a lake on S3 or without a
        DuckDB file.
        """
        if self.duckdb_file is not None:
            self._write_views(lambda: self._parts(self.tables()), everything=True)

    def stale_views(self) -> set[str]:
        """Tables whose view is missing or of an older version; all of them if the lake was moved.

        Committing refreshes the views of its table, so there are such views only where a writer was
        killed in between, or the folder or the file was moved, changed or taken away.
        """
        if self.duckdb_file is None:
            return set()
        tables = self.tables()
        known = views.stamp_of(self.duckdb_file)
        if (
            known is None
            or known.root != self.root
            or known.file != views.signature(self.duckdb_file)
        ):
            return set(tables)
        present = {
            f"{table}/{name}": self._newest(table, name)
            for table in tables
            for name in self.names(table)
        }
        differ = present.items() ^ known.versions.items()
        return {key.partition("/")[0] for key, _ in differ}

    def refresh_stale_views(self) -> None:
        """Write what :meth:`stale_views` names; what a person has added to the file stays.

        Raises
        ------
        LakeError
            The file cannot be written, or a table cannot be read.
        """
        stale = self.stale_views()
        if self.duckdb_file is None or not stale:
            return
        try:
            self._write_stale(stale)
        except Exception as error:
            for table in sorted(stale):
                for name in self.names(table):
                    self._store.require_readable(table, name, error)
            raise LakeError(
                f"The views in {self.duckdb_file} are not up to date: {described(error)}.",
                remedy="See that the file can be written, or move it away: it is made again.",
            ) from error

    @contextmanager
    def deferred_views(self) -> Iterator[None]:
        """Refresh the DuckDB file once at the end instead of after each commit."""
        with self._lock:
            self._deferring += 1
        try:
            yield
        finally:
            with self._lock:
                self._deferring -= 1
                last = self._deferring == 0
            if last:
                with self._lock:
                    self._stale |= self.stale_views() if self._stale else set()
                self._refresh_stale()

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock that one writer of the lake has at a time; a killed one frees it."""
        with self.turn(name, uuid.uuid4().hex, lambda _: None):
            yield

    @contextmanager
    def turn(self, name: str, owner: str, waiting: Callable[[str], None]) -> Iterator[None]:
        """Wait until nobody else has the turn of this name, and have it until the block ends.

        Parameters
        ----------
        owner
            Who has the turn; one that has it already, in any process, goes on at once.
        waiting
            Called once with the owner that is waited for, empty where that is not known.
        """
        if self.is_remote:
            self.probe_conditional_writes()
            taken = remote_turn(self._location, name, owner, waiting)
        else:
            taken = local_turn(Path(self._location.uri(LOCKS)), name, owner, waiting)
        with taken:
            yield

    def compact(
        self,
        table: str,
        name: str,
        pinned_versions: set[int] | None = None,
        *,
        grace: timedelta = upkeep.GRACE,
        run_id: str = "",
    ) -> CompactionResult:
        """Put a table's small files together; no row changes.

        Without ``pinned_versions`` nothing is deleted and every version stays readable. With it,
        what :meth:`vacuum` deletes is deleted.
        """
        self.probe_conditional_writes()
        result = upkeep.compact(self._store, table, name, run_id=run_id)
        self._changed(table)
        if pinned_versions is None:
            return result
        cleaned = self.vacuum(table, name, pinned_versions, grace=grace, run_id=run_id)
        return replace(result, version=cleaned.version, files_deleted=cleaned.files_deleted)

    def vacuum(
        self,
        table: str,
        name: str,
        pinned_versions: set[int],
        *,
        grace: timedelta = upkeep.GRACE,
        run_id: str = "",
    ) -> CompactionResult:
        """Delete files that no version worth keeping needs.

        Worth keeping are the present one, those that are pinned, and those that were the present
        one less than ``grace`` ago. Others become unreadable.
        """
        self.probe_conditional_writes()
        result = upkeep.vacuum(
            self._store, table, name, pinned_versions, grace=grace, run_id=run_id
        )
        self._changed(table)
        return result

    def lacking(self, table: str, name: str, dtypes: Mapping[str, str]) -> list[str]:
        """Those of these columns that a table was made without."""
        return upkeep.lacking(self._store, table, name, dtypes)

    def widen(self, table: str, name: str, dtypes: Mapping[str, str]) -> None:
        """Add the columns that a table lacks; no row changes."""
        self.probe_conditional_writes()
        upkeep.widen(self._store, table, name, dtypes)
        self._changed(table)

    @property
    def stamped(self) -> bool:
        """Whether older releases are told to leave the lake alone, where they could not read it."""
        return schema.is_stamped(schema.require_readable(self._blobs, self.root))

    def stamp(self) -> None:
        """Tell older releases to leave the lake alone, where they could not read it."""
        if not self._stamped:
            said = schema.require_readable(self._blobs, self.root)
            if not schema.is_stamped(said):
                schema.stamp(self._blobs, said)
            self._stamped = True

    def probe_conditional_writes(self) -> None:
        """Refuse an S3 endpoint that would lose commits; asked before the first write."""
        probe_conditional_writes(self._location)

    def _commit(
        self, table: str, name: str, plan: Plan, run_id: str, metadata: dict[str, str] | None
    ) -> Commit:
        self.probe_conditional_writes()
        self.stamp()
        if table in CHAINED:
            at_hand = self._store.rows_at_hand
            plan = chaining = chain.Chaining(plan, self._blobs, table, name, at_hand)
        commit = self._store.commit(table, name, plan, run_id=run_id, metadata=metadata)
        if commit.committed:
            if table in CHAINED:
                chaining.publish()
            self._changed(table)
        return commit

    def _changed(self, table: str) -> None:
        with self._lock:
            self._stale.add(table)
            deferring = self._deferring > 0
        if not deferring:
            self._refresh_stale()

    def _refresh_stale(self) -> None:
        with self._lock:
            tables, self._stale = self._stale, set()
        if self.duckdb_file is None or not tables:
            return
        try:
            self._write_stale(tables)
        except Exception as error:
            # The rows are committed; views are a convenience and must not undo or repeat that.
            _log.warning("Views in %s are not up to date: %s", self.duckdb_file, described(error))

    def _write_stale(self, tables: set[str]) -> None:
        there = self.duckdb_file is not None and self.duckdb_file.exists()
        try:
            if there and all(self.names(table) for table in tables):
                self._write_views(lambda: self._parts(sorted(tables)), everything=False)
                return
        except Exception as first:
            _log.info("Views in %s are rebuilt: %s", self.duckdb_file, described(first))
        self.refresh_views()

    def _write_views(
        self, parts: Callable[[], dict[str, list[views.Part]]], *, everything: bool
    ) -> None:
        if self.duckdb_file is not None:
            views.write_views(self.duckdb_file, self.root, parts, everything=everything)

    def _parts(self, tables: list[str]) -> dict[str, list[views.Part]]:
        return {table: [self._part(table, name) for name in self.names(table)] for table in tables}

    def _part(self, table: str, name: str) -> views.Part:
        source = self._store.require(table, name)
        files = [
            self._location.uri(table, name, path)
            for path in source.get_add_actions()["path"].to_pylist()
        ]
        relation = views.parquet_relation(files)
        return views.Part(name, schema_of(source), relation, source.version())

    def _newest(self, table: str, name: str) -> int:
        """The newest version of a local table, by the names in its log alone."""
        log = Path(self._location.table_uri(table, name), "_delta_log")
        names = (entry.name.removesuffix(".json") for entry in os.scandir(log))
        return max((int(name) for name in names if name.isdecimal()), default=-1)

    def _is_table(self, table: str, name: str) -> bool:
        if self.is_remote:
            return self.exists(table, name)
        return Path(self._location.table_uri(table, name), "_delta_log", f"{0:020}.json").exists()
