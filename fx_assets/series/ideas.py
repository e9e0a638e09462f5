"""How many ideas have been judged on a series: what a lucky one has to be measured by."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fx_assets.errors import LakeError

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def count_tried(lake: Lake, series: str, recipes: Iterable[str], new: str) -> int:
    """Remember an idea, and say how many different ones there are.

    Ideas are kept in the lake, by series, so that they count in the next notebook too. The same
    idea counts once.

    Parameters
    ----------
    recipes
        Those that decisions about the forecast have seen.
    new
        The idea's identity.
    """
    path = f"ideas/{series}.json"
    with lake.lock(f"ideas-{series}"):
        known = set(ideas_of(lake, series))
        if new not in known:
            lake.write_blob(path, json.dumps(sorted({*known, new})).encode())
    return len({*known, *recipes, new})


def ideas_of(lake: Lake, series: str) -> list[str]:
    """The identities of the ideas that were judged on a series.

    Raises
    ------
    LakeError
        The list cannot be read.
    """
    path = f"ideas/{series}.json"
    if not lake.blob_exists(path):
        return []
    try:
        return [str(item) for item in json.loads(lake.read_blob(path))]
    except ValueError as error:
        raise LakeError(
            f"{lake.root}/{path} is not the list of ideas that it should be: {error}.",
            remedy="Put it back from a backup, or delete it: ideas are counted from none then.",
        ) from error
