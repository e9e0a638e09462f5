"""What was declared when the platform last looked, so that a lake alone tells what was put away.

Needs neither pandas nor MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fx_assets.specs.base import Record

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.specs.files import Declared

DECLARED_PATH = "declared.json"


class Noted(Record):
    """The names that are declared; what is published under another one is retired."""

    strategies: dict[str, str]
    """Of each forecast, what identifies its strategy."""
    universes: tuple[str, ...]

    def retired(self, name: str) -> bool:
        """Whether nothing is declared under a name."""
        return name not in self.strategies and name not in self.universes


def note_declared(store: Lake, declared: Declared) -> None:
    """Keep in the lake what is declared, where that has changed."""
    noted = Noted(
        strategies={name: spec.strategy.id for name, spec in sorted(declared.forecasts.items())},
        universes=tuple(sorted(declared.universes)),
    )
    data = noted.model_dump_json().encode()
    if not store.blob_exists(DECLARED_PATH) or store.read_blob(DECLARED_PATH) != data:
        store.write_blob(DECLARED_PATH, data)
