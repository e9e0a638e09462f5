"""The processes beside a worker; they start first, since they import while the worker does."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.processes.child import Child
from serving.settings import Settings


def _reader() -> Child:
    return Child("serving.queries.process:prepare")


def _trial() -> Child:
    return Child("serving.state.trials:prepare")


@dataclass
class Children:
    """Who reads tables, and who tries bundles."""

    reader: Child = field(default_factory=_reader)
    trial: Child = field(default_factory=_trial)

    @classmethod
    def begun(cls, settings: Settings) -> Children:
        """The processes, started where the worker will need them at once."""
        found = cls()
        found.reader.start()
        if not settings.copies_folder.exists():
            found.trial.start()
        return found
