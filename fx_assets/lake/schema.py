"""Which versions of the tables' schemas a lake may hold, so that older code leaves it alone.

The file ``schema.json`` at the lake's root is written before the first commit of a release whose
rows an older one could not read. A lake without it was written by release 0.1. Needs no pandas: the
server looks, too.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import Field, ValidationError

from fx_assets.errors import LakeError
from fx_assets.faults import release
from fx_assets.specs.base import Record
from fx_assets.tables import SCHEMAS

FILE = "schema.json"


class Written(Record):
    """What a lake says of itself."""

    tables: dict[str, int] = Field(default={})
    """The version of each table's schema; 1 for one that is not named."""
    written_by: str = "0.1"
    """The release that raised them last."""


class Blobs(Protocol):
    """Files below a lake's root, by path."""

    def read(self, path: str) -> bytes:
        """The file's content."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        ...

    def write(self, path: str, data: bytes) -> str:
        """Write or replace a file."""
        ...


def written(blobs: Blobs) -> Written:
    """What the lake says.

    Raises
    ------
    LakeError
        It cannot be read.
    """
    if not blobs.exists(FILE):
        return Written()
    try:
        return Written.model_validate_json(blobs.read(FILE))
    except ValidationError as error:
        raise LakeError(
            f"{FILE} in the lake is damaged, so nothing says which release wrote it.",
            remedy="Put it back from a backup. If no newer release than this one has written into "
            "the lake, move it away: it is made again.",
        ) from error


def require_readable(blobs: Blobs, root: str) -> Written:
    """Refuse a lake that a newer release has written.

    Raises
    ------
    LakeError
        Names both versions and the way out.
    """
    said = written(blobs)
    require_known(said, root)
    return said


def require_known(said: Written, where: str) -> None:
    """Refuse what a newer release has written; see :func:`require_readable`."""
    newer = [name for name, version in said.tables.items() if version > SCHEMAS.get(name, 1)]
    if newer:
        name = min(newer)
        raise LakeError(
            f"The lake at {where} was written by fx-assets {said.written_by}: its table {name} has "
            f"schema version {said.tables[name]}, and this release, {release()}, "
            f"knows version {SCHEMAS.get(name, 1)}.",
            remedy=f"Use fx-assets {said.written_by} or later with this lake. To stay with this "
            "release, restore a backup that it made into another home: fx-assets restore FROM.",
        )


def is_stamped(said: Written) -> bool:
    """Whether older code is told to leave the lake alone."""
    return all(said.tables.get(name, 1) >= version for name, version in SCHEMAS.items())


def stamp(blobs: Blobs, said: Written) -> None:
    """Say that this release writes into the lake."""
    tables = {**said.tables, **{name: v for name, v in SCHEMAS.items() if v > 1}}
    note = Written(tables=tables, written_by=release())
    blobs.write(FILE, note.model_dump_json(indent=1).encode())
