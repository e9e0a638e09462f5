"""One short drill that the tests of this folder look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.drill.life import Drill, Found, live
from fx_assets.lake import Lake

SHORT = Drill(
    days=7,
    seed=3,
    history_days=1250,
    watch_every=100,
    faults=("price x100", "run killed between two tables", "revised bar"),
)


@dataclass
class Drilled:
    """A short drill, and the folder that it left."""

    found: Found
    folder: Path
    ended: datetime

    def copy_to(self, folder: Path) -> Lake:
        """A lake of one's own with the same tables."""
        shutil.copytree(self.folder / "data" / "lake", folder / "lake")
        return Lake(str(folder / "lake"))


@pytest.fixture(scope="session")
def drilled(new_folder: Callable[[], Path]) -> Drilled:
    """A drill of seven days with three faults; tests read it and leave it as it is."""
    folder = new_folder()
    found = live(SHORT, folder)
    return Drilled(found, folder, found.ended)
