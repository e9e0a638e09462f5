"""One path or glob for the files that a person named."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from fx_assets.errors import SourceError
from fx_assets.sources.files.access import WILDCARDS

_TABLES = (".csv", ".tsv", ".txt", ".prn", ".json", ".jsonl", ".parquet", ".feather", ".xlsx")
_PACKED = (".gz", ".zip")


def one_path(given: Sequence[str], home: Path) -> str:
    """A ``source.path`` that means just the files that were given.

    Parameters
    ----------
    given
        Files, a folder or a glob, absolute, or one ``s3://`` address.
    home
        What lies below it is named relative to it.

    Raises
    ------
    SourceError
        There is no such file, or no one glob means just these.
    """
    if any("://" in path for path in given):
        if len(given) > 1:
            raise SourceError(
                f"{len(given)} paths are given, and {given[0]} is an address.",
                remedy="Give one address with a glob, such as 's3://bucket/eurusd/*.csv'.",
            )
        return given[0]
    if len(given) == 1:
        return _relative(_single(given[0]), home)
    missing = [path for path in given if not os.path.isfile(path)]
    if missing:
        raise SourceError(
            f"{missing[0]} is no file.", remedy="Give files, or one folder, or one glob in quotes."
        )
    return _relative(_glob_for(sorted(set(given))), home)


def _single(path: str) -> str:
    if os.path.isfile(path):
        return glob.escape(path) if WILDCARDS.search(path) else path
    if os.path.isdir(path):
        return _in_folder(path)
    if WILDCARDS.search(path):
        if not any(os.path.isfile(name) for name in glob.glob(path, recursive=True)):
            raise SourceError(f"No file matches {path}.", remedy=_there(path))
        return path
    raise SourceError(f"There is no file or folder {path}.", remedy=_there(path))


def _there(path: str) -> str:
    folder = Path(path).parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    found = sorted(entry.name for entry in folder.iterdir())[:8]
    return f"{folder} has {', '.join(found) or 'nothing'}."


def _in_folder(folder: str) -> str:
    """The tables of a folder, or of all below it where it has none itself."""
    base = glob.escape(folder.rstrip("/"))
    for pattern in ("*", "**/*"):
        names = [n for n in glob.glob(f"{base}/{pattern}", recursive=True) if os.path.isfile(n)]
        tables = [name for name in names if _ending(name)]
        endings = {_ending(name) for name in tables}
        if len(endings) == 1:
            return f"{base}/{pattern}{endings.pop()}"
        if len(tables) == len(names) and tables:
            return f"{base}/{pattern}"
        if tables:
            raise SourceError(
                f"{folder} has files of several kinds: {', '.join(sorted(endings))}, and others.",
                remedy=f"Say which: '{folder}/*{sorted(endings)[0]}'.",
            )
    raise SourceError(
        f"{folder} has no tables.", remedy=f"Files end in {', '.join((*_TABLES, *_PACKED))}."
    )


def _ending(name: str) -> str:
    lower = name.lower()
    packed = next((end for end in _PACKED if lower.endswith(end)), "")
    inner = name[: len(name) - len(packed)] if packed else name
    table = next((end for end in _TABLES if inner.lower().endswith(end)), "")
    return name[len(inner) - len(table) :] if table or packed else ""


def _glob_for(names: Sequence[str]) -> str:
    """A glob that matches just these files."""
    start, end = _shared(names), _shared([name[::-1] for name in names])[::-1]
    folders = {os.path.dirname(name) for name in names}
    if len(folders) == 1:
        folder = folders.pop()
        stem = start[len(folder) + 1 :] if folder else start
        base = glob.escape(folder) + "/" if folder else ""
        candidates = [f"{base}{glob.escape(stem)}*{glob.escape(end)}", f"{base}*{glob.escape(end)}"]
    else:
        top = os.path.commonpath(names)
        candidates = [f"{glob.escape(top)}/**/*{glob.escape(end.rpartition('/')[2])}"]
    for pattern in candidates:
        if sorted(n for n in glob.glob(pattern, recursive=True) if os.path.isfile(n)) == names:
            return pattern
    raise SourceError(
        f"No one glob means just these {len(names)} files: {candidates[0]} matches others, too.",
        remedy="Move them into a folder of their own, and give the folder.",
    )


def _shared(names: Sequence[str]) -> str:
    """What all begin with."""
    first, last = min(names), max(names)
    same = (a == b for a, b in zip(first, last, strict=False))
    return first[: sum(takewhile(bool, same))]


def _relative(path: str, home: Path) -> str:
    root = f"{home.resolve()}/"
    return path.removeprefix(root) if path.startswith(root) else path
