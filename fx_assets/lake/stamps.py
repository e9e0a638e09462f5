"""Tells whether a table has changed, by names in its log alone; needs no Delta reader."""

from __future__ import annotations

import os

from fx_assets.lake.blobs import BlobStore

Stamp = tuple[object, str]


def table_stamp(blobs: BlobStore, table: str, name: str) -> Stamp | None:
    """Equal for equal content; None if there is no such table.

    The newest entry of the log, and for local tables which of several that were created at this
    place one after the other it is.

    Raises
    ------
    LakeError
        The storage cannot be reached.
    """
    location = blobs.location
    if location.is_remote:
        entries = blobs.paths(f"{table}/{name}/_delta_log/")
        newest = max((e for e in entries if e.endswith(".json")), default=None)
        return None if newest is None else ("", newest)
    uri = location.table_uri(table, name)
    try:
        logs = os.listdir(f"{uri}/_delta_log")
    except FileNotFoundError:
        return None
    newest, first = max((e for e in logs if e.endswith(".json")), default=None), birth_of(uri)
    return None if newest is None or first is None else (first, newest)


def birth_of(uri: str) -> tuple[int, int] | None:
    """What tells a local table from another that took its place; None if there is none."""
    try:
        first = os.stat(f"{uri}/_delta_log/{0:020}.json")
    except FileNotFoundError:
        return None
    return first.st_ino, first.st_mtime_ns
