"""A folder of a lake as if it were all of it: where the files of one of many lie."""

from __future__ import annotations

from typing import Protocol

MEMBERS = "members/"
"""Below it lie the files of the instruments of universes."""


class _Files(Protocol):
    """What bundles, explanations and calibrations are kept in; a lake is one."""

    def write_blob(self, path: str, data: bytes) -> str: ...
    def read_blob(self, path: str) -> bytes: ...
    def blob_exists(self, path: str) -> bool: ...
    def list_blobs(self, prefix: str) -> list[str]: ...


class Below:
    """The files below a folder, by their paths within it."""

    def __init__(self, files: _Files, folder: str) -> None:
        self.files, self.folder = files, folder

    @property
    def within(self) -> str:
        """The folder, from the root of the lake."""
        return f"{getattr(self.files, 'within', '')}{self.folder}"

    def write_blob(self, path: str, data: bytes) -> str:
        """Write or replace a file."""
        return self.files.write_blob(f"{self.folder}{path}", data)

    def read_blob(self, path: str) -> bytes:
        """The file's content."""
        return self.files.read_blob(f"{self.folder}{path}")

    def blob_exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return self.files.blob_exists(f"{self.folder}{path}")

    def list_blobs(self, prefix: str) -> list[str]:
        """The paths that begin with ``prefix``."""
        found = self.files.list_blobs(f"{self.folder}{prefix}")
        return [path.removeprefix(self.folder) for path in found]


def member_folder(universe: str, instrument: str, kind: str = "", horizon: int = 0) -> str:
    """Where the files of a universe's instrument lie, or of one target of it; ends with ``/``."""
    target = f"{kind}_{horizon}/" if kind else ""
    return f"{MEMBERS}{universe}/{instrument}/{target}"
