"""The processes beside a worker; they start first, since they import while the worker does."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.processes.child import Child
from serving.settings import Settings


def _reads() -> None:
    from serving.queries.process import prepare

    prepare()


def _tries() -> None:
    from serving.state.trials import prepare

    prepare()


@dataclass
class Children:
    """Who reads tables, and who tries bundles."""

    reader: Child = field(default_factory=lambda: Child(_reads))
    trial: Child = field(default_factory=lambda: Child(_tries))

    @classmethod
    def begun(cls, settings: Settings) -> Children:
        """The processes, started where the worker will need them at once."""
        found = cls()
        found.reader.start()
        if not settings.copies_folder.exists():
            found.trial.start()
        return found
