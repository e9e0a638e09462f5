"""The last good payload of an address, kept on disk for conditional requests and bad days."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedPayload:
    """A payload as it was received, with what a conditional request needs."""

    content: bytes
    etag: str | None
    last_modified: str | None
    fetched_at: datetime


def store(folder: Path | None, url: str, payload: CachedPayload) -> None:
    """Keep a payload; a folder that cannot be written to is a warning, not an error."""
    if folder is None:
        return
    content, about = _paths(folder, url)
    description = asdict(payload) | {
        "content": hashlib.sha256(payload.content).hexdigest(),
        "fetched_at": payload.fetched_at.isoformat(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(content, payload.content)
        _replace(about, json.dumps(description).encode())
    except OSError as error:
        log.warning("The download could not be kept in %s: %s", folder, error)


def load(folder: Path | None, url: str) -> CachedPayload | None:
    """The last payload that was kept, or ``None``; a damaged one counts as none."""
    if folder is None:
        return None
    content, about = _paths(folder, url)
    try:
        payload = content.read_bytes()
        description = json.loads(about.read_bytes())
        if hashlib.sha256(payload).hexdigest() != description["content"]:
            return None
        return CachedPayload(
            content=payload,
            etag=description["etag"],
            last_modified=description["last_modified"],
            fetched_at=datetime.fromisoformat(description["fetched_at"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def path_of(folder: Path, url: str) -> Path:
    """Where the payload of an address is kept."""
    return _paths(folder, url)[0]


def _paths(folder: Path, url: str) -> tuple[Path, Path]:
    stem = hashlib.sha256(url.encode()).hexdigest()[:16]
    return folder / f"{stem}.payload", folder / f"{stem}.json"


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
