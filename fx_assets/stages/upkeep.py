"""What keeps a lake small: files put together, and what nothing needs deleted after a stated time.

Tables that are appended to keep every version. Those that are replaced, because they follow from
others, keep the present version, those of the last weeks, and for good those that a bundle, a
candidate or a decision was made from. Of tables whose old rows are thinned the same versions stay.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fx_assets.bundles.copies import DIGITS
from fx_assets.bundles.records import MODEL_FILE
from fx_assets.lake.below import MEMBERS
from fx_assets.plural import counted
from fx_assets.stages.thinning import choices
from fx_assets.tables import CATALOGUE, DECISIONS

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.settings import Settings

_LOOKS, _ALARMS = "monitoring/", "/alarms/"
_DRAFTS = "candidates/"
_PAYLOADS = (".payload", ".json")
LEFT_STAYS = timedelta(days=1)
"""How long what a killed process has left may be of one that still writes."""
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
    thinned: int = 0
    """Rows that were taken out."""

    @property
    def sentence(self) -> str:
        done = [f"{counted(self.thinned, 'old row')} taken out"] if self.thinned else []
        done += [f"{counted(self.merged, 'file')} put together"] if self.merged else []
        done += [f"{counted(self.deleted, 'file')} of old versions deleted"] if self.deleted else []
        return f"{self.table}/{self.name}: {', '.join(done) or 'nothing to do'}"


def tidy(lake: Lake, grace: timedelta, now: datetime, run_id: str = "") -> Iterator[Tidied]:
    """Look after every table, one after the other.

    Parameters
    ----------
    grace
        How long versions of replaced and thinned tables stay readable that nothing was made from.
    now
        By the clock that stamps rows.
    """
    named, stays = versions_in_use(lake), choices(now)
    for table in lake.tables():
        for name in lake.names(table):
            thinned, pinned = 0, named.get(f"{table}/{name}", set())
            if table in REPLACED:
                done = lake.vacuum(table, name, pinned, grace=grace, run_id=run_id)
            elif table in stays:
                thinned = lake.thin(table, name, stays[table], run_id=run_id).rows
                done = lake.compact(table, name, pinned, grace=grace, run_id=run_id)
            else:
                done = lake.compact(table, name, run_id=run_id)
            merged = max(0, done.files_before - done.files_after)
            yield Tidied(table, name, merged, done.files_deleted, thinned)


def versions_in_use(lake: Lake) -> Mapping[str, set[int]]:
    """The versions of replaced tables that something was made from, by ``table/name``."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for record in _records(lake):
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


def runs_in_use(lake: Lake) -> set[str]:
    """The runs of MLflow that bundles and the drafts of candidates name."""
    return {
        str((record.get("logged") or {}).get("run_id") or record.get("mlflow_run_id"))
        for record in _records(lake)
    }


def forget_files(lake: Lake, cache: Path, settings: Settings, now: datetime) -> Iterator[str]:
    """Delete files that nothing needs; says of each kind what is gone.

    Parameters
    ----------
    cache
        The platform's own folder of downloads.
    now
        By the clock that stamps files.
    """
    old = now - timedelta(days=settings.keep_files_days)
    pages = {p: n for p, n in lake.old_blobs(_LOOKS, old).items() if _ALARMS in p}
    yield _gone(f"pages of alarms of more than {settings.keep_files_days} days ago", lake, pages)
    earlier = now - timedelta(days=settings.keep_versions_days)
    drawn = lake.old_blobs(_DRAFTS, earlier) | lake.old_blobs(MEMBERS, earlier)
    of_drafts = {path: size for path, size in drawn.items() if _DRAFTS in path}
    if graphs := {path: size for path, size in of_drafts.items() if path.endswith(".onnx")}:
        named = _graphs_in_use(lake)
        graphs = {path: size for path, size in graphs.items() if Path(path).stem not in named}
    yield _gone("graphs of candidates that no bundle or draft names", lake, graphs)
    downloads, size = 0, 0
    for file in cache.glob("*") if cache.is_dir() else ():
        left = file.name.startswith(".") and ".payload." in file.name
        if file.is_file() and (left or file.suffix in _PAYLOADS):
            status = file.stat()
            if status.st_mtime < (now - LEFT_STAYS if left else old).timestamp():
                file.unlink(missing_ok=True)
                downloads, size = downloads + 1, size + status.st_size
    yield _told("downloads that nothing has asked for since", downloads, size)


def _gone(what: str, lake: Lake, files: Mapping[str, int]) -> str:
    for path in files:
        lake.delete_blob(path)
    return _told(what, len(files), sum(files.values()))


def _told(what: str, number: int, size: int) -> str:
    return f"{what}: {number} deleted, {size / 1e6:.1f} MB"


def _graphs_in_use(lake: Lake) -> set[str]:
    """The names of the graphs of bundles and drafts."""
    found = set()
    for record in _records(lake):
        files = record.get("files", {})
        digest = record.get("onnx_sha256") or files.get(MODEL_FILE, {}).get("sha256", "")
        found.add(digest[:DIGITS])
    return found


def _records(lake: Lake) -> Iterator[dict[str, Any]]:
    """Every manifest of a bundle, and every draft."""
    for folder in ("bundles/", _DRAFTS, MEMBERS):
        for path in lake.list_blobs(folder):
            if path.endswith(("/manifest.json", "/draft.json")):
                yield json.loads(lake.read_blob(path))


def _versions_at(lake: Lake, table: str, name: str, instants: list[datetime]) -> Iterator[int]:
    """The versions that were the newest at instants of the clock that stamps commits."""
    commits = sorted((entry.timestamp, entry.version) for entry in lake.history(table, name))
    for (began, version), (ended, _) in pairwise(commits):
        if any(began <= instant < ended for instant in instants):
            yield version
