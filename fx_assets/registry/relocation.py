"""Paths in a local MLflow store that was moved or copied with its home.

MLflow keeps absolute addresses of artifacts. Where the database or the artifacts have moved, the
addresses are moved as well, so that a copy never writes below the original. Needs no MLflow.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fx_assets.errors import RegistryError

DATABASE_TAG = "fx_assets.database"
"""Tag of the default experiment: where the database was when it was last used."""
DEFAULT_ID = 0
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
_TEXTS = (("datasets", "dataset_source"),)
_SECONDS = 30.0


def relocate(tracking_uri: str, artifact_root: str) -> str | None:
    """Move the addresses of a local store to where it is; cheap where nothing was moved.

    An experiment's artifacts have moved if they are below ``artifact_root``, if they are no longer
    where the store says, or if the database has moved and they lie to it as they did. Those that
    are where the store says stay there: ``artifact_root`` is for new experiments.

    Parameters
    ----------
    tracking_uri : str
        ``sqlite:///<absolute path>``; any other store is left alone.
    artifact_root : str
        ``file:///<absolute path>`` below which experiments keep their artifacts.

    Returns
    -------
    str or None
        What was moved, in words.

    Raises
    ------
    RegistryError
        The database cannot be read or written.
    """
    prefix = "sqlite:///"
    file = Path(tracking_uri.removeprefix(prefix))
    root = artifact_root.rstrip("/")
    if not (tracking_uri.startswith(prefix) and root.startswith("file://") and file.exists()):
        return None
    try:
        with closing(sqlite3.connect(file, timeout=_SECONDS, isolation_level=None)) as database:
            return _relocate(database, file, root)
    except sqlite3.Error as error:
        raise RegistryError(
            f"MLflow at {tracking_uri}: {error}",
            remedy="See that the file is whole and can be written; a damaged one can be moved "
            "away, and is made again (published champions are unaffected).",
        ) from error


def _relocate(database: sqlite3.Connection, file: Path, root: str) -> str | None:
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    if not {"experiments", "experiment_tags"} <= tables:
        return None
    recorded = database.execute(
        "SELECT value FROM experiment_tags WHERE key = ? AND experiment_id = ?",
        [DATABASE_TAG, DEFAULT_ID],
    ).fetchone()
    before = Path(recorded[0]) if recorded else None
    moves = _moves(database, before, file, root)
    if before == file and not moves:
        return None
    database.execute("BEGIN IMMEDIATE")
    for old, new in moves:
        for table, column in _ADDRESSES:
            if table in tables:
                _move_addresses(database, table, column, old, new)
        for table, column in _TEXTS:
            if table in tables:
                _move_texts(database, table, column, _path(old), _path(new))
    _place_default(database, root)
    database.execute(
        "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id)"
        " SELECT ?, ?, experiment_id FROM experiments WHERE experiment_id = ?",
        [DATABASE_TAG, str(file), DEFAULT_ID],
    )
    database.execute("COMMIT")
    if not moves:
        return None
    return f"MLflow's artifacts are below {_path(root)}; its addresses said {_path(moves[0][0])}"


def _moves(
    database: sqlite3.Connection, before: Path | None, file: Path, root: str
) -> list[tuple[str, str]]:
    """Pairs of an old and a new beginning of addresses."""
    found = set()
    experiments = database.execute(
        "SELECT name, artifact_location FROM experiments WHERE experiment_id != ?", [DEFAULT_ID]
    )
    for name, location in experiments.fetchall():
        if not location or not location.startswith("file://") or location == f"{root}/{name}":
            continue
        old = location.removesuffix(f"/{name}")
        if old in (location, root):
            continue
        with_database = (
            before is not None
            and before != file
            and os.path.relpath(_path(old), before.parent)
            == os.path.relpath(_path(root), file.parent)
        )
        here, there = Path(_path(root), name), Path(_path(old), name)
        if with_database or here.is_dir() or not there.is_dir():
            found.add(_shortest(old, root))
    return sorted(found)


def _shortest(old: str, new: str) -> tuple[str, str]:
    """Both without the folders at their end that they have in common, as far as any is left."""
    ours, theirs = old.split("/"), new.split("/")
    least = 4  # file:///x
    while len(ours) > least and len(theirs) > least and ours[-1] == theirs[-1]:
        ours.pop()
        theirs.pop()
    return "/".join(ours), "/".join(theirs)


def _move_addresses(
    database: sqlite3.Connection, table: str, column: str, old: str, new: str
) -> None:
    for ours, theirs in ((f"{old}/", f"{new}/"), (f"{_path(old)}/", f"{_path(new)}/")):
        database.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
            f" WHERE substr({column}, 1, ?) = ?",
            [theirs, len(ours) + 1, len(ours), ours],
        )


def _move_texts(database: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    database.execute(
        f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608
        [f'"{old}/', f'"{new}/'],
    )


def _place_default(database: sqlite3.Connection, root: str) -> None:
    """MLflow puts the default experiment, which nothing uses, below the working folder."""
    query = "SELECT artifact_location FROM experiments WHERE experiment_id = ?"
    (location,) = database.execute(query, [DEFAULT_ID]).fetchone() or ("",)
    if location and not location.startswith(f"{root}/") and not Path(_path(location)).exists():
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
            [f"{root}/Default", DEFAULT_ID],
        )


def _path(address: str) -> str:
    return unquote(urlsplit(address).path) if address.startswith("file://") else address
