"""``fx-assets backup`` and ``restore``: a deployment as it was at a moment, and back.

A folder or S3 prefix keeps any number of backups: a note of each below ``backups/``, which names
every file with its SHA-256, and the contents below ``objects/``, each once. So a backup adds what
is new. The note is written last: what was interrupted is no backup.

A backup is taken while others write: the logs of tables are copied first, and all that they name is
there already; what came later is not in it. Stores that a later commit would tell apart, such as
the pointer and MLflow's aliases, are made to agree with the ledger by the next run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from pydantic import AwareDatetime, Field, ValidationError

from fx_assets.bundles.records import FileFacts, sha256
from fx_assets.errors import FxAssetsError, LakeError
from fx_assets.faults import release
from fx_assets.instance import one_run_at_a_time
from fx_assets.keys import renew
from fx_assets.lake import Lake
from fx_assets.lake.chain import FOLDER
from fx_assets.lake.schema import FILE, Written, require_known
from fx_assets.lake.turns import LOCKS
from fx_assets.places import Place, places
from fx_assets.plural import counted
from fx_assets.runner import terminal
from fx_assets.settings import Settings
from fx_assets.specs.base import Record

FORM = 2
"""Of a note; raised when an older release could not restore what it names."""
NOTES, OBJECTS, LAKE = "backups/", "objects/", "lake/"
_LOG, _HINT, _HEADS = "/_delta_log/", "_last_checkpoint", f"{FOLDER}/"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


class Note(Record):
    """What a backup is."""

    form: int = FORM
    name: str
    made_at: AwareDatetime
    made_by: str
    """The release."""
    files: dict[str, FileFacts] = Field(default={})
    """By where they go: ``lake/...``, or the name of another place."""


def back_up(to: str, name: str | None = None) -> int:
    """Copy lake, MLflow and Dagster's records to a folder or S3 prefix.

    Raises
    ------
    FxAssetsError
        There is nothing to back up, the name is taken, or a file cannot be read or written.
    """
    settings, console, target = Settings(), terminal(), Lake(to)
    source, now = Lake.from_settings(settings), datetime.now(UTC)
    called = name or f"{now:%Y-%m-%dT%H%M%SZ}"
    before = _notes(target)
    if not _NAME.fullmatch(called) or called in before:
        raise FxAssetsError(
            f"{called} is taken in {target.root}." if called in before else f"Not a name: {called}",
            remedy="Give another --name of letters, digits, '.', '_' and '-', or none.",
        )
    if not before and target.list_blobs(""):
        raise FxAssetsError(
            f"{target.root} is not empty, and has no backups.",
            remedy="Name a new folder or prefix, or one that has backups already.",
        )
    if not source.tables():
        raise FxAssetsError(
            f"There is no table in the lake at {source.root}.",
            remedy="Check FX_ASSETS_HOME and FX_ASSETS_LAKE.",
        )

    def waiting() -> None:
        console.print("Another fx-assets run is at work in this home; waiting for it.")

    with one_run_at_a_time(settings.home, waiting), console.status("copying") as status:
        keep = _Keeper(target, max(before.values(), key=lambda n: n.made_at, default=None))
        for path in _paths(source):
            keep.file(LAKE + path, lambda path=path: source.read_blob(path))  # type: ignore[misc]
            status.update(f"{len(keep.files)} files of the lake")
        of_lake = len(keep.files)
        for place in places(settings):
            for file in place.files():
                status.update(f"{place.name} {file}")
                keep.file(f"{place.name}/{file}", lambda p=place, f=file: p.read(f))  # type: ignore[misc]
    note = Note(name=called, made_at=now, made_by=release(), files=keep.files)
    target.write_blob(f"{NOTES}{called}.json", note.model_dump_json(indent=1).encode())
    console.print(
        f"{called}: {counted(of_lake, 'file')} of the lake, {len(keep.files) - of_lake} of MLflow "
        f"and Dagster, {keep.added} of them new in {target.root}",
        markup=False,
    )
    for place in places(settings):
        if place.left_out:
            console.print(place.left_out, markup=False)
    console.print("Declarations, plug-ins and the environment are yours to keep.")
    return 0


def restore(where: str, at: str | None = None, *, force: bool = False) -> int:
    """Put a backup into a home that has nothing yet; every file is looked at before the first goes.

    Parameters
    ----------
    at
        The name of a backup, or a moment: the newest made by then. By default the newest.
    force
        Move away what is there, and write over databases.

    Raises
    ------
    FxAssetsError
        There is no such backup, it is torn or of a newer release, or something is in its place.
    """
    settings, console = Settings(), terminal()
    backup, target = Lake(where), Lake.from_settings(settings)
    note = _chosen(backup, at)
    if LAKE + FILE in note.files:
        content = backup.read_blob(OBJECTS + note.files[LAKE + FILE].sha256)
        require_known(Written.model_validate_json(content), f"{backup.root} {note.name}")
    wanted = [p for p in places(settings) if any(f.startswith(f"{p.name}/") for f in note.files)]
    with one_run_at_a_time(settings.home, lambda: None), console.status("checking") as status:
        _require_whole(backup, note)
        _make_room(target, wanted, force=force)
        status.update("copying")
        for path, facts in note.files.items():
            data = backup.read_blob(OBJECTS + facts.sha256)
            if path.startswith(LAKE):
                target.write_blob(path.removeprefix(LAKE), data)
                continue
            name, _, file = path.partition("/")
            place = next((p for p in wanted if p.name == name), None)
            if place is None:
                console.print(f"{path} stays in the backup: nothing here takes it.", markup=False)
            else:
                place.write(file, data)
        Lake.from_settings(settings).refresh_views()
        renewed = renew(Lake.from_settings(settings))
    console.print(
        f"The deployment of {note.made_at:%Y-%m-%d %H:%M:%S} UTC ({note.name}) is in place; "
        "fx-assets run goes on.",
        markup=False,
    )
    if renewed:
        console.print(f"{renewed} signed pointers are signed anew, so that servers follow them.")
    return 0


class _Keeper:
    """Keeps contents in a target, each once."""

    def __init__(self, target: Lake, before: Note | None) -> None:
        self.files: dict[str, FileFacts] = {}
        self.added = 0
        self._target = target
        self._known = {path.removeprefix(OBJECTS) for path in target.list_blobs(OBJECTS)}
        self._before = before.files if before else {}

    def file(self, path: str, read: Callable[[], bytes]) -> None:
        """Keep a file; one that never changes and is kept already is not read again."""
        known = self._before.get(path)
        if path.endswith(".parquet") and known and known.sha256 in self._known:
            self.files[path] = known
            return
        data = read()
        facts = self.files[path] = FileFacts.of(data)
        if facts.sha256 not in self._known:
            self._target.write_blob(OBJECTS + facts.sha256, data)
            self._known.add(facts.sha256)
            self.added += 1


def _paths(lake: Lake) -> Iterator[str]:
    """The lake's files: heads of ledgers, then logs, which may be newer, then data."""
    before = [path for path in lake.list_blobs("") if not path.startswith(f"{LOCKS}/")]
    yield from (path for path in before if path.startswith(_HEADS))
    logs = [path for path in before if _LOG in path and not path.endswith(_HINT)]
    yield from logs
    # Data that a log names was written before it; bundles and notes are as new as may be.
    yield from (
        path
        for path in lake.list_blobs("")
        if _LOG not in path and not path.startswith((f"{LOCKS}/", _HEADS))
    )


def _notes(target: Lake) -> dict[str, Note]:
    """The backups of a target by name; those of a later form and damaged ones with no files."""
    found = {}
    for path in target.list_blobs(NOTES):
        name = path.removeprefix(NOTES).removesuffix(".json")
        try:
            found[name] = Note.model_validate_json(target.read_blob(path))
        except (LakeError, ValidationError):
            continue
    return found


def _chosen(backup: Lake, at: str | None) -> Note:
    found = _notes(backup)
    notes = sorted(found.values(), key=lambda note: note.made_at)
    listed = ", ".join(note.name for note in notes) or "none"
    if at is not None and at not in found:
        notes = [note for note in notes if note.made_at <= _moment(at, listed)]
    if not notes:
        raise FxAssetsError(
            f"{backup.root} has no whole backup{f' of {at} or before' if at else ''}: its note, "
            "which is written last, is missing or damaged.",
            remedy=f"Name what fx-assets backup has finished; there are: {listed}.",
        )
    note = found[at] if at in found else notes[-1]
    if note.form > FORM:
        raise FxAssetsError(
            f"The backup {note.name} is of form {note.form}, made by fx-assets {note.made_by}; "
            f"this release, {release()}, reads forms up to {FORM}.",
            remedy=f"Restore it with fx-assets {note.made_by} or later.",
        )
    return note


def _moment(text: str, listed: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise FxAssetsError(
            f"No backup is called {text}, and it is no moment.",
            remedy=f"There are: {listed}. A moment is written as 2026-11-29T06:00+00:00.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _require_whole(backup: Lake, note: Note) -> None:
    for path, facts in note.files.items():
        try:
            data = backup.read_blob(OBJECTS + facts.sha256)
        except LakeError:
            data = b""
        if sha256(data) != facts.sha256:
            raise FxAssetsError(
                f"The backup {note.name} in {backup.root} is torn: the content of {path} is "
                "missing or damaged. Nothing was restored.",
                remedy="Restore another one, or bring its objects/ back from a copy.",
            )


def _make_room(target: Lake, wanted: list[Place], *, force: bool) -> None:
    lake = Place.of_lake(target)
    taken = [place for place in (lake, *wanted) if place.taken()]
    if taken and not force:
        raise FxAssetsError(
            f"There is something already where it would go: "
            f"{', '.join(place.where for place in taken)}.",
            remedy="Restore into a new home: FX_ASSETS_HOME=<folder>. Or give --force: folders "
            "are moved aside, databases written over.",
        )
    for place in taken:
        place.move_aside()
