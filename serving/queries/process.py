"""What runs in the process that reads tables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from fx_assets.bundles.universes import Member
from serving.processes import pandas_free
from serving.queries.query import OfBundle, Query

if TYPE_CHECKING:
    from fx_assets.lake.reader import Reader

T = TypeVar("T")


def prepare() -> None:
    """Import what reads tables."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    pandas_free.enforce()
    from serving.queries import (
        decisions,  # noqa: F401
        earlier,  # noqa: F401
        history,  # noqa: F401
        members,  # noqa: F401
        newest,  # noqa: F401
        performance,  # noqa: F401
        watched,  # noqa: F401
    )


@dataclass(frozen=True)
class Reading(Generic[T]):
    """A query on its way to the process, with the lake that it is asked of."""

    root: str
    patience: float | None
    query: Query[T]

    def __call__(self) -> T:
        """The answer, by a reader of the lake that is kept for the next query."""
        reader = _reader(self.root, self.patience)
        if isinstance(self.query, OfBundle) and isinstance(self.query.manifest, Member):
            from serving.queries.members import MemberReader

            reader = MemberReader(reader, self.query.manifest)
        return self.query.answer(reader)


@cache
def _reader(root: str, patience: float | None) -> Reader:
    from fx_assets.lake.location import Location
    from fx_assets.lake.reader import Reader

    return Reader(Location(root, patience=patience, discreet=True))
