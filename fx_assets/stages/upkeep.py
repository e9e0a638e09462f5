"""What keeps a lake small: files put together, and versions deleted that nothing is made from.

Tables that are appended to keep every version. Those that are replaced, because they follow from
others, keep the present version, those of the last weeks, and for good those that a bundle, a
candidate or a decision was made from.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from fx_assets.tables import CATALOGUE, DECISIONS

if TYPE_CHECKING:
    from fx_assets.lake import Lake
from fx_assets.lake.below import MEMBERS

REPLACED = frozenset(table.name for table in CATALOGUE if table.written == "replaced")


@dataclass(frozen=True)
class Tidied:
    """What was done to one table."""

    table: str
    name: str
    merged: int
    """Files that were put together."""
    deleted: int
    """Files of old versions."""

    @property
    def sentence(self) -> str:
        done = [f"{self.merged} files put together"] if self.merged else []
        done += [f"{self.deleted} files of old versions deleted"] if self.deleted else []
        return f"{self.table}/{self.name}: {', '.join(done) or 'nothing to do'}"


def tidy(lake: Lake, grace: timedelta, run_id: str = "") -> Iterator[Tidied]:
    """Look after every table, one after the other.

    Parameters
    ----------
    grace
        How long versions of replaced tables stay readable that nothing was made from.
    """
    named = versions_in_use(lake)
    for table in lake.tables():
        for name in lake.names(table):
            if table in REPLACED:
                pinned = named.get(f"{table}/{name}", set())
                done = lake.vacuum(table, name, pinned, grace=grace, run_id=run_id)
            else:
                done = lake.compact(table, name, run_id=run_id)
            merged = max(0, done.files_before - done.files_after)
            yield Tidied(table, name, merged, done.files_deleted)


def versions_in_use(lake: Lake) -> Mapping[str, set[int]]:
    """The versions of replaced tables that something was made from, by ``table/name``."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    records = [
        path
        for folder, file in (
            ("bundles/", "/manifest.json"),
            ("candidates/", "/draft.json"),
            (MEMBERS, "/manifest.json"),
        )
        for path in lake.list_blobs(folder)
        if path.endswith(file)
    ]
    for path in records:
        record = json.loads(lake.read_blob(path))
        facts = record.get("facts", record)  # a draft's are nested, a manifest's are not
        for table, version in facts["table_versions"].items():
            found[table].add(int(version))
    decided = [
        entry.timestamp
        for forecast in lake.names(DECISIONS.name)
        for entry in lake.history(DECISIONS.name, forecast)
    ]
    for table in REPLACED:
        for name in lake.names(table):
            found[f"{table}/{name}"] |= set(_versions_at(lake, table, name, decided))
    return found


def _versions_at(lake: Lake, table: str, name: str, instants: list[datetime]) -> Iterator[int]:
    """The versions that were the newest at instants of the clock that stamps commits."""
    commits = sorted((entry.timestamp, entry.version) for entry in lake.history(table, name))
    for (began, version), (ended, _) in pairwise(commits):
        if any(began <= instant < ended for instant in instants):
            yield version
