"""SQL over the lake: DuckDB views of every table, in memory or in a small file for people."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from filelock import FileLock

from fx_assets.tables import FEATURES, FEED_TABLES

STORAGE_VERSION = "v1.2.0"
_LOCK_SECONDS = 30
_guard = threading.Lock()
_connections: dict[int, duckdb.DuckDBPyConnection] = {}


@dataclass(frozen=True)
class Part:
    """One table of one feed or forecast: its schema, and a relation that DuckDB can select from."""

    name: str
    schema: pa.Schema
    relation: str | None
    version: int


@dataclass(frozen=True)
class Stamp:
    """What the views in a file were made of."""

    root: str
    """The lake's."""
    versions: dict[str, int]
    """Of each ``<table>/<name>``."""
    file: tuple[int, int]
    """Size and time of change of the file: one that people have changed is known by it."""


def stamp_of(file: Path) -> Stamp | None:
    """What the views in a file were made of; ``None`` where that is not known."""
    try:
        known = json.loads(_stamp_file(file).read_text())
        return Stamp(known["root"], dict(known["versions"]), tuple(known["file"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def signature(file: Path) -> tuple[int, int] | None:
    """Size and time of change; ``None`` if there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def parquet_relation(files: list[str]) -> str | None:
    """The relation of a table's active Parquet files; None if it has none."""
    if not files:
        return None
    return f"read_parquet([{', '.join(_text(file) for file in files)}], union_by_name = true)"


def view_query(table: str, parts: list[Part]) -> str:
    """All parts of a table by name of column, plus a column ``feed`` or ``forecast``.

    A table that has that column keeps its own. Features have a column ``feature_set`` besides;
    those that lakes of 0.1 hold once a forecast are left out.
    """
    owner = "feed" if table in FEED_TABLES else "forecast"
    if table == FEATURES.name:
        parts = [part for part in parts if "." in part.name] or parts
    return "\nUNION ALL BY NAME ".join(
        query for part in parts for query in _part_queries(part, owner)
    )


def write_views(
    file: Path, root: str, parts: Callable[[], dict[str, list[Part]]], *, everything: bool
) -> None:
    """Put views into a DuckDB file by replacing it with a changed copy.

    Readers open the old file or the new one, whole, and hold no lock that a writer waits for. A
    lock file beside it lets writers take turns, so none loses what another has put in.

    Parameters
    ----------
    root : str
        The lake's, for the stamp beside the file.
    parts : callable
        Returns the parts of each view; called while the lock is held.
    everything : bool
        Whether these are all views, so that the file starts anew.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock"), timeout=_LOCK_SECONDS):
        found = parts()
        queries = {table: view_query(table, of_table) for table, of_table in found.items()}
        fresh = file.with_name(f".{file.name}.new")
        _clear(fresh)
        if not everything and file.exists():
            shutil.copyfile(file, fresh)
        _create_views(fresh, queries)
        descriptor = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # A log that a person's session left behind belongs to the file that goes.
        file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
        fresh.replace(file)
        _write_stamp(file, root, found, everything=everything)


def _write_stamp(file: Path, root: str, found: dict[str, list[Part]], *, everything: bool) -> None:
    """Written after the views: a kill in between makes them be written once more."""
    before = None if everything else stamp_of(file)
    kept = before.versions if before and before.root == root else {}
    versions = {key: v for key, v in kept.items() if key.partition("/")[0] not in found}
    for table, parts in found.items():
        versions |= {f"{table}/{part.name}": part.version for part in parts}
    fresh = file.with_name(f".{file.name}.stamp.new")
    fresh.write_text(json.dumps({"root": root, "versions": versions, "file": signature(file)}))
    fresh.replace(_stamp_file(file))


def _stamp_file(file: Path) -> Path:
    return file.with_name(f".{file.name}.stamp")


def _create_views(file: Path, queries: dict[str, str]) -> None:
    with _guard:
        connection = _connection()
        try:
            connection.execute(
                f"ATTACH {_text(str(file))} AS views (STORAGE_VERSION {_text(STORAGE_VERSION)})"
            )
            connection.execute("BEGIN")
            for table, query in queries.items():
                connection.execute(f"CREATE OR REPLACE VIEW views.{_identifier(table)} AS {query}")
            connection.execute("COMMIT")
            connection.execute("DETACH views")
        except duckdb.Error:
            _connections.pop(os.getpid()).close()
            raise


def _connection() -> duckdb.DuckDBPyConnection:
    """This process's connection: opening one takes longer than the views do."""
    if os.getpid() not in _connections:
        _connections[os.getpid()] = duckdb.connect(config={"threads": 1})
    return _connections[os.getpid()]


def _clear(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)


def _part_queries(part: Part, owner: str) -> list[str]:
    columns = {field.name: kind for field in part.schema if (kind := _duckdb_type(field.type))}
    name, _, of = part.name.partition(".")
    owned = "" if owner in {name.lower() for name in part.schema.names} else _text(name)
    label = f", {owned} AS {owner}" if owned else ""
    label += f", {_text(of)} AS feature_set" if of else ""
    typed = ", ".join(f"CAST(NULL AS {kind}) AS {_identifier(n)}" for n, kind in columns.items())
    queries = [f"SELECT {typed}{label} WHERE false"] if typed else []
    if part.relation is not None:
        queries.append(f"SELECT *{label} FROM {part.relation}")  # noqa: S608
    return queries


def _duckdb_type(kind: pa.DataType) -> str | None:
    """DuckDB's name of a type; None leaves the column to the files."""
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE"
    return _TYPES.get(str(kind))


_TYPES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "date32[day]": "DATE",
    "binary": "BLOB",
}


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
