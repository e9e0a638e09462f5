"""Bundles are tried where they can do no harm: in a process that may hang, crash or lack memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from functools import partial

from fx_assets.bundles.bundle import champion_ref, load
from fx_assets.bundles.records import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Blobs,
    folder,
    pointer_path,
)
from fx_assets.errors import FxAssetsError, LakeError, RegistryError
from serving.processes import pandas_free
from serving.processes.child import CallTimeoutError, Child, ChildDiedError

IDLE_SECONDS = 2.0
"""A process at rest takes a third as much memory as its server, and starts in half a second."""
MOST_MEMORY = 4_000_000_000


class TrialError(RegistryError):
    """A bundle hung, or took the process that tried it with it."""


class Copy:
    """The files of one forecast's champion as they were read, each at most once."""

    def __init__(self, blobs: Blobs, forecast: str) -> None:
        self.forecast = forecast
        self._files: dict[str, bytes | FxAssetsError] = {}
        self._take(blobs, pointer_path(forecast))
        with contextlib.suppress(FxAssetsError):
            where = folder(forecast, champion_ref(self, forecast).version)
            for file in (MANIFEST_FILE, MODEL_FILE, GOLDEN_FILE):
                self._take(blobs, f"{where}/{file}")

    def read_blob(self, path: str) -> bytes:
        """The file's content."""
        found = self._files.get(path, LakeError(f"There is no file {path}."))
        if isinstance(found, FxAssetsError):
            raise found
        return found

    def blob_exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._files

    def write_blob(self, path: str, data: bytes) -> str:
        """A copy is not written to."""
        raise LakeError(f"{path}: a copy of {len(data)} bytes is not kept here.")

    def list_blobs(self, prefix: str) -> list[str]:
        """The paths that begin with ``prefix``."""
        return sorted(path for path in self._files if path.startswith(prefix))

    @property
    def files(self) -> Mapping[str, bytes | FxAssetsError]:
        """Everything, as it can be sent to another process."""
        return self._files

    @classmethod
    def of(cls, files: Mapping[str, bytes | FxAssetsError], forecast: str) -> Copy:
        """The copy that :attr:`files` was taken from."""
        copy = cls.__new__(cls)
        copy.forecast, copy._files = forecast, dict(files)
        return copy

    def _take(self, blobs: Blobs, path: str) -> None:
        try:
            self._files[path] = blobs.read_blob(path)
        except FxAssetsError as error:
            self._files[path] = error


class Trial:
    """Tries bundles, one at a time, each for so long; for use by one thread."""

    def __init__(self, seconds: float, child: Child) -> None:
        self._seconds, self._child = seconds, child
        self._used = time.monotonic()

    def check(self, copy: Copy) -> None:
        """Load the bundle and evaluate its golden rows, elsewhere.

        Raises
        ------
        TrialError
            It did not end in time, or crashed.
        RegistryError
            A check of :func:`fx_assets.bundles.bundle.load` failed.
        """
        self._used = time.monotonic()
        try:
            self._child.call(partial(evaluate, copy.files, copy.forecast), self._seconds)
        except CallTimeoutError:
            raise TrialError(
                f"The bundle of {copy.forecast} did not compute its golden rows in "
                f"{self._seconds:g} s.",
                remedy=f"Publish another champion: materialize {copy.forecast}/champion.",
            ) from None
        except ChildDiedError as error:
            raise TrialError(
                f"The bundle of {copy.forecast} ended the process that tried it. {error.message}",
                remedy=f"Publish another champion: materialize {copy.forecast}/champion.",
            ) from None

    def rest(self) -> None:
        """End the process if nothing was tried for a while."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._child.end()

    def close(self) -> None:
        """End the process for good."""
        self._child.close()


def prepare() -> None:
    """In the process: no pandas, and no more memory than a bundle can need."""
    pandas_free.enforce()
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        wanted = MOST_MEMORY if most == resource.RLIM_INFINITY else min(MOST_MEMORY, most)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


def evaluate(files: Mapping[str, bytes | FxAssetsError], forecast: str) -> None:
    """In the process: every check of a bundle, which runs its graph."""
    load(Copy.of(files, forecast), forecast)
