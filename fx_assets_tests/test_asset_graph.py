"""A changed graph is a difference that somebody has looked at."""

from __future__ import annotations

import difflib

from fx_assets.definitions import defs
from fx_assets_tests.asset_graph import SNAPSHOT, described


def test_the_asset_graph_is_the_one_that_was_reviewed() -> None:
    kept, found = SNAPSHOT.read_text(), described(defs())
    difference = "\n".join(
        difflib.unified_diff(kept.splitlines(), found.splitlines(), "reviewed", "now", lineterm="")
    )
    assert not difference, f"{difference}\nIf this is meant, run: make snapshot"
