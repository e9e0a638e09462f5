"""What the machine refused, in words: a full disk, a folder that cannot be written, a bad file."""

from __future__ import annotations

import re
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fx_assets.errors import without_logins

LOG_FILE = "errors.log"


@dataclass(frozen=True)
class Fault:
    """A state of the machine that stops the platform, and the way out of it."""

    sentence: str
    remedy: str


_FULL = Fault(
    "The disk is full.", "Free some space and run again; what was finished before is kept."
)
_READ_ONLY = Fault(
    "The folder cannot be written to by this user.",
    "Make it writable, or set FX_ASSETS_HOME to a folder that is, and run again.",
)
_DAMAGED = Fault(
    "The file is not a whole SQLite database.",
    "Move it away or put a backup in its place, and run again.",
)
_BUSY = Fault(
    "Another process holds the database.", "Wait until that process has finished, and run again."
)
_SOCKS = Fault(
    "The proxy is a SOCKS proxy, which needs a package that is not installed.",
    "Install it with: pip install socksio; or unset ALL_PROXY and HTTPS_PROXY, or name an http:// "
    "proxy there.",
)
_KNOWN = (
    (r"no space left on device|disk is full|disk quota exceeded|file too large", _FULL),
    (r"read-only file system|readonly database|permission denied|not permitted", _READ_ONLY),
    (r"unable to open database file|not a directory|file exists: ", _READ_ONLY),
    (r"file is not a database|database disk image is malformed", _DAMAGED),
    (r"database is locked", _BUSY),
    (r"socksio|socks proxy|socks support", _SOCKS),
)


def fault_in(text: str) -> Fault | None:
    """The fault that an error message of a library or of the operating system tells of."""
    lower = text.lower()
    return next((fault for pattern, fault in _KNOWN if re.search(pattern, lower)), None)


def fault_of(error: BaseException) -> Fault | None:
    """The fault behind an error or one of its causes."""
    return next(filter(None, map(fault_in, map(str, causes(error)))), None)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, then what it came from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def first_line(text: object) -> str:
    """What an error says without its stack, its SQL and its cause."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else ""


def described(error: BaseException) -> str:
    """An error of a library in one line: its class and the first line of its message."""
    said = without_logins(first_line(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def log_traceback(error: BaseException, home: Path) -> Path | None:
    """Append the whole traceback to ``data/errors.log`` of the home, else of a temporary folder.

    Returns
    -------
    Path or None
        The file; None where nothing can be written at all.
    """
    said = without_logins("".join(traceback.format_exception(error)))
    text = f"{datetime.now(UTC).isoformat()}\n{said}\n"
    for folder in (home / "data", Path(tempfile.gettempdir()) / "fx-assets"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / LOG_FILE).open("a", encoding="utf-8") as stream:
                stream.write(text)
        except OSError:
            continue
        return folder / LOG_FILE
    return None


def release() -> str:
    """The version of this package; an image may have its code alone."""
    try:
        return version("fx-assets")
    except PackageNotFoundError:
        return "of this code"
