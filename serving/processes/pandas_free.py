"""Keeps pandas out of the server's processes.

TA-Lib and Arrow import pandas wherever they find it (a second, and 60 MB a process), only to accept
its Series, which nothing here passes. Here they do not find it. The features come from the same
compiled functions either way, so they equal those of training to the last bit.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

ABSENT = "pandas"


class _Absent:
    """Makes an import fail as if the module were not installed."""

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG004
        target: ModuleType | None = None,  # noqa: ARG004
    ) -> ModuleSpec | None:
        """Refuse the one, leave all others to the next finder."""
        if name.partition(".")[0] == ABSENT:
            raise ModuleNotFoundError(f"{name} is not used in the server", name=name)
        return None


def enforce() -> None:
    """From now on, this process does not import pandas."""
    if not any(isinstance(finder, _Absent) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Absent())
