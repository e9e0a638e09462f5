"""Dagster's own records, opened by one process at a time: SQLite files are made then."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import sqlalchemy
from filelock import FileLock, Timeout

from fx_assets.errors import FxAssetsError
from fx_assets.faults import described, fault_of

OPENING_SECONDS = 120
MOST_ENGINES = 64
NO_WAIT, FOR_EVER = 0, -1


def open_instance(home: Path) -> dg.DagsterInstance:
    """Dagster's instance, made whole if it is new.

    Raises
    ------
    FxAssetsError
        Its records cannot be made or read, or nothing says where they are.
    """
    _keep_connections()
    _see_records_named(home)
    with storage_errors(home), _lock(home / "data" / ".dagster.lock", OPENING_SECONDS):
        instance = dg.DagsterInstance.get()
        instance.get_runs(limit=1)
        return instance


def _see_records_named(home: Path) -> None:
    folder = os.environ.get("DAGSTER_HOME", "")
    if not folder:
        raise FxAssetsError(
            f"The home {home.resolve()} has no dagster.yaml, so Dagster has no place for records.",
            remedy="Go to the folder of a project, or name it in FX_ASSETS_HOME; fx-assets new "
            "NAME makes one. Where dagster.yaml lies elsewhere, name its folder in DAGSTER_HOME.",
        )
    path = Path(folder).expanduser()
    if not (path.is_absolute() and path.is_dir()):
        raise FxAssetsError(
            f"DAGSTER_HOME is {folder}, which is not the absolute path of a folder.",
            remedy="Name the folder in which dagster.yaml is; in a project's folder unset it.",
        )


def close_records() -> None:
    """Close the files of Dagster's records that this process has open."""
    for engine in _engines.values():
        sqlalchemy.Engine.dispose(engine)


@cache
def _keep_connections() -> None:
    """Let Dagster's SQLite storages open a file once, not once for each event.

    An engine knows the statements that it has compiled; and with a write-ahead log each last
    connection that is closed copies the log into the file.
    """
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage

    for storage in (sqlite_event_log, sqlite_run_storage):
        vars(storage)["create_engine"] = _engine
    _copy_empty_logs(sqlite_event_log.SqliteEventLogStorage)
    read_migrations_once()


@cache
def read_migrations_once() -> None:
    """Let Alembic load the scripts of a database's migrations once a process.

    It loads all of them to see whether a file is up to date, for each file and each time.
    """
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    read = ScriptDirectory.from_config
    known: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        where = config.get_main_option("script_location")
        if where not in known:
            known[where] = read(config)
        return known[where]

    directory: Any = ScriptDirectory
    directory.from_config = from_config


def _copy_empty_logs(storage: Any) -> None:
    """Let a log's file begin as a copy of an empty one, whose tables are made once a process."""
    make = storage._initdb

    @cache
    def empty() -> bytes:
        with TemporaryDirectory() as folder:
            file = Path(folder, "empty.db")
            engine = sqlalchemy.create_engine(f"sqlite:///{file}", poolclass=sqlalchemy.NullPool)
            sqlalchemy.event.listen(engine, "connect", _never_sync)
            make(None, engine)
            return file.read_bytes()

    def begin(self: Any, engine: sqlalchemy.Engine, for_index_shard: bool = False) -> None:
        file = Path(str(engine.url.database))
        if not file.exists():
            copy = file.with_name(f".{file.stem}.{os.getpid()}")
            copy.write_bytes(empty())
            try:
                os.link(copy, file)
            except OSError:  # another process has begun the file, or the disk knows no links
                pass
            else:
                return
            finally:
                copy.unlink()
        make(self, engine, for_index_shard)

    storage._initdb = begin


class _KeptEngine(sqlalchemy.Engine):
    """Dagster disposes of an engine after each use."""

    def dispose(self, close: bool = True) -> None:
        pass


_engines: dict[str, sqlalchemy.Engine] = {}


def _engine(url: str, **options: Any) -> sqlalchemy.Engine:
    if url not in _engines:
        if len(_engines) >= MOST_ENGINES:
            close_records()
            _engines.clear()
        engine = sqlalchemy.create_engine(url, **options | {"poolclass": sqlalchemy.QueuePool})
        engine.__class__ = _KeptEngine
        sqlalchemy.event.listen(engine, "connect", _sync_at_checkpoints)
        _engines[url] = engine
    return _engines[url]


def _never_sync(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def _sync_at_checkpoints(connection: sqlite3.Connection, _: object) -> None:
    """With a write-ahead log a commit need not wait for the disk to leave the file whole."""
    connection.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def storage_errors(home: Path) -> Iterator[None]:
    """Turn what the operating system and SQLite say of Dagster's records into an FxAssetsError."""
    try:
        yield
    except (OSError, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, Timeout) as error:
        fault = fault_of(error)
        where = Path(os.environ.get("DAGSTER_HOME", home)) / "data" / "dagster"
        raise FxAssetsError(
            f"Dagster's records in {where} cannot be used: {described(error)}."
            + (f" {fault.sentence}" if fault else ""),
            remedy="See that the folder can be written to and its disk has room. If the records "
            "are damaged, move the folder away: it has the history of runs, and it is made again; "
            "prices, models and predictions are elsewhere.",
        ) from error


@contextmanager
def one_run_at_a_time(home: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Let this home's runs from command lines take turns; a killed one holds nothing up.

    Parameters
    ----------
    waiting
        Called once when another run is at work.
    """
    try:
        lock = _lock(home / "data" / ".run.lock", NO_WAIT)
        try:
            lock.acquire()
        except Timeout:
            waiting()
            lock.acquire(timeout=FOR_EVER)
    except OSError as error:
        fault = fault_of(error)
        raise FxAssetsError(
            f"The home {home.resolve()} cannot be written to: {described(error)}.",
            remedy=fault.remedy if fault else "See that it is a folder that can be written to.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _lock(file: Path, seconds: float) -> FileLock:
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file, timeout=seconds)
