"""Delta tables: opening, reading, and commits that happen exactly once.

Every commit is a compare-and-set: a plan is made from the newest version and committed as the next
one only if nobody else has taken that number; otherwise the plan is made again. Each commit carries
a unique id, so one whose acknowledgement was lost is recognised and not written twice.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from fx_assets.errors import LakeError
from fx_assets.faults import fault_in, first_line
from fx_assets.lake.blobs import BlobStore
from fx_assets.lake.commits import COMMIT_ID, ROWS, Commit, CommitInfo, labels, parse
from fx_assets.lake.damage import damaged_file, remedy
from fx_assets.lake.frames import FrameCache
from fx_assets.lake.location import Location
from fx_assets.lake.schema import require_readable
from fx_assets.lake.stamps import birth_of

ATTEMPTS = 60
DEADLINE_SECONDS = 120
REMEMBERED_DAYS = 40
"""How long checkpoints name files that were taken out of a table; they would grow for ever else."""
TABLE_PROPERTIES = {
    "delta.checkpointInterval": "15",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": f"interval {REMEMBERED_DAYS} days",
    "delta.enableExpiredLogCleanup": "false",
}


@dataclass(frozen=True)
class Write:
    """One planned commit: rows, and how they enter the table.

    ``predicate`` limits an overwrite to the rows that it selects. ``file_bytes`` is about how large
    its files become, unset one file; ``rows`` what it counts as, where some only stay as they are.
    """

    data: pa.Table
    mode: Literal["append", "overwrite"]
    schema_mode: Literal["merge", "overwrite"] = "merge"
    predicate: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    file_bytes: int | None = None
    rows: int | None = None

    @property
    def counted(self) -> int:
        return self.data.num_rows if self.rows is None else self.rows


Plan = Callable[[DeltaTable | None], Write | None]


@dataclass
class _Draft:
    """A commit on its way: its plan, its labels, and the version at which it was first planned."""

    table: str
    name: str
    plan: Plan
    entries: dict[str, str]
    first_seen: int | None = None


class DeltaStore:
    """The Delta tables of one location.

    Open tables are kept a thread and brought up to date on each use: on S3 that costs one listing
    instead of reading the log again.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._local = threading.local()
        self._frames = FrameCache()
        self._readable = False

    def open(self, table: str, name: str) -> DeltaTable | None:
        """The newest version, or None if there is no such table."""
        if not self._readable:
            require_readable(BlobStore(self.location), self.location.label)
            self._readable = True
        uri = self.location.table_uri(table, name)
        kept = self._kept()
        birth = None if self.location.is_remote else birth_of(uri)
        try:
            if uri in kept and self._local.births[uri] == birth:
                if self.location.is_remote or _has_grown(kept[uri], uri):
                    kept[uri].update_incremental()
            else:
                kept[uri] = DeltaTable(uri, storage_options=self.location.storage_options)
                self._local.births[uri] = birth
        except TableNotFoundError:
            kept.pop(uri, None)
            return None
        except (DeltaError, OSError) as error:
            kept.pop(uri, None)
            raise self._error(table, name, "could not be opened", error) from None
        return kept[uri]

    def require(self, table: str, name: str, version: int | None = None) -> DeltaTable:
        """The newest or the given version.

        Raises
        ------
        LakeError
            The table or the version does not exist; names both.
        """
        newest = self.open(table, name)
        if newest is None:
            raise LakeError(
                f"There is no table {table}/{name} in the lake at {self.location.root}.",
                remedy=f"Materialize {table} for {name} first, or check FX_ASSETS_LAKE.",
            )
        if version is None or version == newest.version():
            return newest
        if not 0 <= version < newest.version():
            raise LakeError(
                f"{table}/{name} has versions 0 to {newest.version()}; {version} was asked for.",
                remedy="Choose one of these versions.",
            )
        try:
            return DeltaTable(
                self.location.table_uri(table, name),
                version=version,
                storage_options=self.location.storage_options,
            )
        except (DeltaError, OSError) as error:
            raise self._error(table, name, f"has no readable version {version}", error) from None

    def read(
        self,
        table: str,
        name: str,
        *,
        version: int | None = None,
        columns: list[str] | None = None,
    ) -> pd.DataFrame:
        """The rows of a version as a frame, in the order in which they were written."""
        source = self.require(table, name, version)
        what, stamp = self._frame_key(source, columns)
        kept = self._frames.get(what, stamp)
        if kept is not None:
            return kept
        if columns is not None:
            absent = sorted(set(columns) - {field.name for field in schema_of(source)})
            if absent:
                raise LakeError(
                    f"{table}/{name} has no column {', '.join(absent)}.",
                    remedy="Ask for columns of the table, or materialize it again.",
                )
        with self.reading(table, name):
            data = dataset_of(source).to_table(columns=columns)
        frame: pd.DataFrame = data.to_pandas()
        # A copy of a frame shares what its cells refer to.
        if version is None and not any(pa.types.is_nested(field.type) for field in data.schema):
            self._frames.put(what, stamp, frame, data.nbytes)
        return frame

    def read_values(
        self, table: str, name: str, column: str, values: list[str], columns: list[str] | None
    ) -> pd.DataFrame:
        """The rows of the newest version that have one of these values; no others are loaded."""
        source = self.require(table, name)
        inside = ds.field(column).isin(pa.array(values, pa.string()))
        with self.reading(table, name):
            data = dataset_of(source).to_table(columns=columns, filter=inside)
        frame: pd.DataFrame = data.to_pandas()
        return frame

    def read_newest(self, table: str, name: str, column: str) -> pd.DataFrame:
        """The rows of the newest version with the largest value in a column, as read_values."""
        source = self.require(table, name)
        with self.reading(table, name):
            rows = dataset_of(source)
            newest = pc.max(rows.to_table(columns=[column])[column])
            frame: pd.DataFrame = rows.to_table(filter=ds.field(column) == newest).to_pandas()
        return frame

    def commit(
        self,
        table: str,
        name: str,
        plan: Plan,
        *,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Make the plan's write the next version, exactly once, whoever else is writing.

        Parameters
        ----------
        plan : callable
            Gets the newest version (None before the first) and returns the write, or None when
            there is nothing to write. Called again after each conflict.
        run_id, metadata
            Kept in the commit.

        Raises
        ------
        LakeError
            Nothing could be committed within the bounds of retrying, or the store refused it.
        """
        draft = _Draft(table, name, plan, labels(run_id, metadata, uuid.uuid4().hex))
        retrying = Retrying(
            retry=retry_if_exception_type(_ConflictError),
            stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(DEADLINE_SECONDS),
            wait=wait_random_exponential(multiplier=0.01, max=1.0),
            reraise=True,
        )
        try:
            return retrying(self._attempt, draft)
        except _ConflictError as conflict:
            landed = self._landed(draft, self.open(table, name))
            if landed is not None:
                return landed
            raise LakeError(
                f"{table}/{name} at {self.location.root} could not be committed in {ATTEMPTS}"
                f" attempts or {DEADLINE_SECONDS} s: {conflict}",
                remedy="See whether other writers keep this table busy and the storage is"
                " writable, then run again: nothing was written.",
            ) from None

    def version(self, table: str, name: str) -> int:
        """The newest version, -1 if there is no such table."""
        source = self.open(table, name)
        return -1 if source is None else source.version()

    def history(self, table: str, name: str, limit: int | None = None) -> list[CommitInfo]:
        """The table's commits, newest first."""
        return [parse(entry) for entry in self.require(table, name).history(limit)]

    def _attempt(self, draft: _Draft) -> Commit:
        table, name = draft.table, draft.name
        source = self.open(table, name)
        version = -1 if source is None else source.version()
        if draft.first_seen is None:
            draft.first_seen = version
        landed = self._landed(draft, source)
        if landed is not None:
            return landed
        with self.reading(table, name):
            write = draft.plan(source)
        if write is None:
            return Commit(table, name, version, 0)
        uri = self.location.table_uri(table, name)
        try:
            self._write(uri, source, write, draft.entries)
        except CommitFailedError as error:
            self._kept().pop(uri, None)
            raise _ConflictError(self.location.redact(error)) from None
        except (DeltaError, OSError, pa.ArrowException) as error:
            self._kept().pop(uri, None)
            created_meanwhile = source is None and "already exists" in str(error)
            if created_meanwhile or (self.location.is_remote and isinstance(error, OSError)):
                raise _ConflictError(self.location.redact(error)) from None
            # What follows a commit, such as a checkpoint, may fail although the commit stands.
            landed = self._landed(draft, self.open(table, name))
            if landed is None:
                raise self._error(table, name, "could not be written", error) from None
            return landed
        version = 0 if source is None else source.version()
        return Commit(table, name, version, write.counted, committed=True)

    @contextmanager
    def reading(self, table: str, name: str) -> Iterator[None]:
        """Say of which table it is what cannot be read."""
        try:
            yield
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise self._error(table, name, "could not be read", error) from None

    def _landed(self, draft: _Draft, source: DeltaTable | None) -> Commit | None:
        """The draft's own commit among those made since it was first planned."""
        if source is None or draft.first_seen is None:
            return None
        newer = source.version() - draft.first_seen
        for entry in source.history(newer) if newer > 0 else []:
            if entry.get(COMMIT_ID) == draft.entries[COMMIT_ID]:
                rows = int(entry[ROWS])
                return Commit(draft.table, draft.name, int(entry["version"]), rows, committed=True)
        return None

    def _write(
        self, uri: str, source: DeltaTable | None, write: Write, entries: dict[str, str]
    ) -> None:
        properties = CommitProperties(
            custom_metadata=entries | write.metadata | {ROWS: str(write.counted)},
            max_commit_retries=0,
        )
        if source is None:
            write_deltalake(
                uri,
                write.data,
                mode="error",
                configuration=TABLE_PROPERTIES,
                storage_options=self.location.storage_options,
                commit_properties=properties,
                target_file_size=write.file_bytes,
            )
        else:
            how: dict[str, Any] = {
                "mode": write.mode,
                "schema_mode": write.schema_mode,
                "target_file_size": write.file_bytes,
            }
            if write.predicate is not None:
                how["predicate"] = write.predicate
            write_deltalake(source, write.data, **how, commit_properties=properties)

    def rows_at_hand(self, source: DeltaTable, columns: list[str]) -> pd.DataFrame | None:
        """These columns of a version that was read lately as a whole, else None."""
        return self._frames.get(*self._frame_key(source, None), columns)

    def _frame_key(
        self, source: DeltaTable, columns: list[str] | None
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        uri = source.table_uri.rstrip("/")
        birth = None if self.location.is_remote else birth_of(unquote(uri.removeprefix("file://")))
        stamp = (birth, str(source.metadata().id), source.version())
        return (uri, None if columns is None else tuple(columns)), stamp

    def _kept(self) -> dict[str, DeltaTable]:
        if not hasattr(self._local, "tables"):
            self._local.tables, self._local.births = {}, {}
        kept: dict[str, DeltaTable] = self._local.tables
        return kept

    def require_readable(self, table: str, name: str, error: Exception) -> None:
        """Raise what is wrong with a local table that a reader of its files has met.

        Raises
        ------
        LakeError
            One of its files is damaged or missing.
        """
        if not self.location.is_remote and damaged_file(Path(self.location.table_uri(table, name))):
            self.read(table, name)
            raise self._error(table, name, "could not be read", error) from error

    def _error(self, table: str, name: str, what: str, error: Exception) -> LakeError:
        said = first_line(self.location.redact(error))
        where = f"{table}/{name} at {self.location.root} {what}"
        fault = fault_in(str(error))
        if fault is not None:
            return LakeError(f"{where}: {said}. {fault.sentence}", remedy=fault.remedy)
        folder = Path(self.location.table_uri(table, name))
        broken = None if self.location.is_remote else damaged_file(folder)
        if broken is not None:
            return LakeError(
                f"{where}: its file {broken} is damaged or missing. {said}",
                remedy=remedy(table, name, folder),
            )
        return LakeError(
            f"{where}: {said}",
            remedy="Check that the storage can be reached and that its credentials allow this.",
        )


class _ConflictError(Exception):
    """The commit did not happen as planned and may be tried again."""


def _has_grown(source: DeltaTable, uri: str) -> bool:
    """Whether a local table has a version after this one: our tables keep the whole log."""
    return os.path.exists(f"{uri}/_delta_log/{source.version() + 1:020}.json")


def schema_of(source: DeltaTable) -> pa.Schema:
    """The table's schema in Arrow's types."""
    schema: Any = source.schema().to_arrow()
    return pa.schema(schema)


def dataset_of(source: DeltaTable) -> ds.Dataset:
    """The rows of this version, files in the order of writing.

    The log lists files in an order that depends on where its checkpoints are.
    """
    dataset = source.to_pyarrow_dataset()
    actions = source.get_add_actions()
    times = actions["modification_time"].to_pylist()
    written = dict(zip(actions["path"].to_pylist(), times, strict=True))
    if len(written) < 2:
        return dataset
    files = sorted(dataset.get_fragments(), key=lambda file: (written[file.path], file.path))
    return ds.FileSystemDataset(files, dataset.schema, dataset.format, dataset.filesystem)
