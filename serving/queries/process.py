"""What runs in the process that reads tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fx_assets.bundles.universes import Member
from serving.processes import pandas_free

if TYPE_CHECKING:
    from fx_assets.lake.reader import Reader


def prepare() -> None:
    """Import what reads tables."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    pandas_free.enforce()
    from serving.queries import decisions as reasons  # noqa: F401
    from serving.queries import (
        earlier,  # noqa: F401
        history,  # noqa: F401
        members,  # noqa: F401
        newest,  # noqa: F401
        performance,  # noqa: F401
        watched,  # noqa: F401
    )


def run(root: str, patience: float | None, make: str, arguments: Sequence[object]) -> Any:
    """Make ``make(reader, *arguments)`` with a reader of the lake, kept for the next call."""
    module, _, name = make.partition(":")
    reader = _reader(root, patience)
    if arguments and isinstance(arguments[0], Member):
        from serving.queries.members import MemberReader

        reader = MemberReader(reader, arguments[0])
    return getattr(import_module(module), name)(reader, *arguments)


@cache
def _reader(root: str, patience: float | None) -> Reader:
    from fx_assets.lake.location import Location
    from fx_assets.lake.reader import Reader

    return Reader(Location(root, patience=patience, discreet=True))
