"""``fx-assets backup`` and ``restore``: a deployment as one folder or S3 prefix, and back.

A backup is taken while others write: the logs of tables are copied first, and all that they name is
there already; what came later is not in it. Stores that a later commit would tell apart, such as
the pointer and MLflow's aliases, are made to agree with the ledger by the next run.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import AwareDatetime

from fx_assets.errors import FxAssetsError, LakeError
from fx_assets.instance import one_run_at_a_time
from fx_assets.lake import Lake
from fx_assets.lake.turns import LOCKS
from fx_assets.registry.session import MlflowSession
from fx_assets.runner import terminal
from fx_assets.settings import Settings
from fx_assets.specs.base import Spec

FORM = 1
"""Of a backup; raised when an older release could not restore it."""
NOTE, LAKE, HOME = "backup.json", "lake/", "home/"
_LOG, _HINT = "/_delta_log/", "_last_checkpoint"


class Note(Spec):
    """What a backup is; written last, so that one that was interrupted is none."""

    form: int
    made_at: AwareDatetime
    home_files: tuple[str, ...] = ()


def back_up(to: str) -> int:
    """Copy the lake, a local MLflow and Dagster's local records to a folder or S3 prefix.

    Raises
    ------
    FxAssetsError
        There is something already, there is nothing to back up, or a file cannot be written.
    """
    settings, console = Settings(), terminal()
    source, target = Lake.from_settings(settings), Lake(to)
    if target.list_blobs(""):
        raise FxAssetsError(
            f"{target.root} is not empty.",
            remedy="Name a new folder or prefix, such as one with today's date.",
        )
    if not source.tables():
        raise FxAssetsError(
            f"There is no table in the lake at {source.root}.",
            remedy="Check FX_ASSETS_HOME and FX_ASSETS_LAKE.",
        )

    def waiting() -> None:
        console.print("Another fx-assets run is at work in this home; waiting for it.")

    with one_run_at_a_time(settings.home, waiting), console.status("copying") as status:
        lake_files = 0
        for path in _paths(source):
            target.write_blob(LAKE + path, source.read_blob(path))
            lake_files += 1
            status.update(f"{lake_files} files of the lake")
        local = list(_local_files(settings))
        for name, file in local:
            status.update(name)
            target.write_blob(HOME + name, _content(file))
    note = Note(form=FORM, made_at=datetime.now(UTC), home_files=tuple(name for name, _ in local))
    target.write_blob(NOTE, note.model_dump_json(indent=1).encode())
    console.print(f"{lake_files} files of the lake, {len(local)} of the home: {target.root}")
    for sentence in _left_out(settings):
        console.print(sentence, markup=False)
    return 0


def restore(where: str) -> int:
    """Put a backup into a home that has no lake yet.

    Raises
    ------
    FxAssetsError
        It is no whole backup, it is of a later release, or the home has a lake or records already.
    """
    settings, console = Settings(), terminal()
    backup, target = Lake(where), Lake.from_settings(settings)
    note = _note(backup)
    places = dict(_places(settings))
    taken = [str(place) for place in places.values() if place.exists()]
    if target.tables():
        taken.append(target.root)
    if taken:
        raise FxAssetsError(
            f"There is something already where it would go: {', '.join(sorted(taken))}.",
            remedy="Move it away, or restore into a new home: FX_ASSETS_HOME=<folder>.",
        )
    with one_run_at_a_time(settings.home, lambda: None), console.status("copying"):
        for path in backup.list_blobs(LAKE):
            target.write_blob(path.removeprefix(LAKE), backup.read_blob(path))
        for name in note.home_files:
            kind, _, rest = name.partition("/")
            file = places[kind] / rest if rest else places[kind]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(backup.read_blob(HOME + name))
        target.refresh_views()
    console.print(
        f"The deployment of {note.made_at:%Y-%m-%d %H:%M} UTC is in place; fx-assets run goes on."
    )
    return 0


def _paths(lake: Lake) -> Iterator[str]:
    """The lake's files, the logs of tables first."""
    before = [path for path in lake.list_blobs("") if not path.startswith(f"{LOCKS}/")]
    logs = [path for path in before if _LOG in path and not path.endswith(_HINT)]
    yield from logs
    # Data that a log names was written before it; bundles and notes are as new as may be.
    yield from (
        path
        for path in lake.list_blobs("")
        if _LOG not in path and not path.startswith(f"{LOCKS}/")
    )


def _places(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Where a home keeps what is not in the lake, by the name that it has in a backup."""
    if settings.mlflow_uri.startswith("sqlite:///"):
        yield "mlflow.db", Path(settings.mlflow_uri.removeprefix("sqlite:///"))
    if settings.mlflow_artifact_root.startswith("file://"):
        artifacts = url2pathname(urlsplit(settings.mlflow_artifact_root).path)
        yield "mlflow-artifacts", Path(artifacts)
    yield "dagster", settings.home.resolve() / "data" / "dagster"


def _local_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    for name, place in _places(settings):
        if place.is_file():
            yield name, place
        for file in sorted(place.rglob("*")) if place.is_dir() else []:
            if file.is_file() and not file.name.endswith(("-wal", "-shm", "-journal", ".lock")):
                yield f"{name}/{file.relative_to(place).as_posix()}", file


def _content(file: Path) -> bytes:
    """A file's bytes; of an SQLite database those of a moment, whoever is writing."""
    with file.open("rb") as stream:
        if stream.read(16) != b"SQLite format 3\0":
            return file.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as made:
            source.backup(made)
        return copy.read_bytes()


def _note(backup: Lake) -> Note:
    try:
        note = Note.model_validate_json(backup.read_blob(NOTE))
    except (LakeError, ValueError):
        raise FxAssetsError(
            f"{backup.root} is no whole backup: it has no readable {NOTE}, which is written last.",
            remedy="Name a folder that fx-assets backup has finished.",
        ) from None
    if note.form != FORM:
        raise FxAssetsError(
            f"{backup.root} is of form {note.form}, and this release reads form {FORM}.",
            remedy="Restore it with the release that made it, or a later one.",
        )
    return note


def _left_out(settings: Settings) -> Iterator[str]:
    if not settings.mlflow_uri.startswith("sqlite:///"):
        shown = MlflowSession(settings.mlflow_uri).shown_uri
        yield f"MLflow at {shown} is not in it: back its database up, such as by pg_dump."
    if not settings.mlflow_artifact_root.startswith("file://"):
        yield f"MLflow's artifacts at {settings.mlflow_artifact_root} are not in it."
    if not (settings.home.resolve() / "data" / "dagster").is_dir():
        yield "Dagster's records are not in it: they are elsewhere, and have the history of runs."
    yield "Declarations, plug-ins and the environment are yours to keep, in version control."
