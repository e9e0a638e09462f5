"""One short drill that the tests of this folder look at."""

from __future__ import annotations

import pickle
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


FOUND = "found.pickle"


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
def drilled(once: Callable[[str, Callable[[Path], None]], Path], empty_registry: Path) -> Drilled:
    """A drill of seven days with three faults; tests read it and leave it as it is."""

    def drill(folder: Path) -> None:
        (folder / "data").mkdir()
        shutil.copy(empty_registry, folder / "data" / "mlflow.db")
        (folder / FOUND).write_bytes(pickle.dumps(live(SHORT, folder)))

    folder = once("drilled", drill)
    found = pickle.loads((folder / FOUND).read_bytes())  # noqa: S301
    return Drilled(found, folder, found.ended)
