"""Files of a lake, or of a copy of one, as bundles are read from."""

from __future__ import annotations

from fx_assets.lake.blobs import BlobStore
from fx_assets.lake.location import Location
from serving.settings import Settings


class Files(BlobStore):
    """``registry.bundle.Blobs`` over a location, without the tables of a ``Lake``."""

    def write_blob(self, path: str, data: bytes) -> str:
        """Write or replace a file."""
        return self.write(path, data)

    def read_blob(self, path: str) -> bytes:
        """The file's content."""
        return self.read(path)

    def blob_exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return self.exists(path)

    def list_blobs(self, prefix: str) -> list[str]:
        """The paths that begin with ``prefix``."""
        return self.paths(prefix)


def served(settings: Settings) -> Location:
    """The lake as the server reads it: within its deadline, and unnamed in messages."""
    return Location(settings.lake_root, patience=settings.read_seconds / 2, discreet=True)
