"""Frames that were read lately: in one run many readers ask for the same version of a table."""

from __future__ import annotations

import threading
from collections.abc import Hashable

import pandas as pd
from cachetools import LRUCache

MOST_BYTES = 256 * 2**20
"""Of all frames that are kept."""
LARGEST_BYTES = 64 * 2**20
"""Of one frame: larger ones are read anew each time."""


class FrameCache:
    """The frames that were used last, each of one version; threads may share it.

    A frame goes in and comes out as a copy, so nobody sees what another does to it.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, largest_bytes: int = LARGEST_BYTES) -> None:
        self._largest = min(largest_bytes, most_bytes)
        self._kept: LRUCache[Hashable, tuple[Hashable, pd.DataFrame, int]] = LRUCache(
            most_bytes, getsizeof=lambda kept: kept[2]
        )
        self._lock = threading.Lock()

    def get(
        self, what: Hashable, version: Hashable, columns: list[str] | None = None
    ) -> pd.DataFrame | None:
        """A copy of what was put there, or of some of its columns, if it was of this version."""
        with self._lock:
            kept = self._kept.get(what)
        if kept is None or kept[0] != version:
            return None
        return kept[1].copy() if columns is None else kept[1][columns].copy()

    def put(self, what: Hashable, version: Hashable, frame: pd.DataFrame, size: int) -> None:
        """Keep a copy in place of any other version; ``size`` is its weight in bytes."""
        if size > self._largest:
            return
        copy = frame.copy()
        with self._lock:
            self._kept[what] = (version, copy, size)
