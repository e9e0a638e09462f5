"""A process that dies at one of its writes: that write and all later ones do not happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fx_assets.lake import views
from fx_assets.lake.blobs import BlobStore
from fx_assets.lake.delta import DeltaStore
from fx_assets.registry.runs import ModelRegistry


class DeathError(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class Writes:
    """The writes of a process by name, in order; at ``dies_before`` it dies.

    A name is that of a table, of a blob's folder and file, or of what MLflow is asked to do.
    """

    def __init__(self, dies_before: str | None = None) -> None:
        self.dies_before = dies_before
        self.names: list[str] = []
        self.dead = False

    def about_to(self, name: str) -> None:
        self.dead = self.dead or name == self.dies_before
        if self.dead:
            raise DeathError(name)
        self.names.append(name)


@contextmanager
def writing(writes: Writes) -> Iterator[Writes]:
    """Watch every write to the lake, to the views and to MLflow."""

    def watched(kind: type, method: str, name: Callable[..., str]) -> None:
        real = getattr(kind, method)

        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            writes.about_to(name(*arguments, **options))
            return real(self, *arguments, **options)

        patch.setattr(kind, method, call)

    with pytest.MonkeyPatch.context() as patch:
        watched(DeltaStore, "commit", lambda table, name, *_, **__: table)
        watched(BlobStore, "write", lambda path, _: _blob(path))
        for method in ("log_candidate", "register", "set_champion", "set_challenger"):
            watched(ModelRegistry, method, lambda *_, said=method, **__: said)
        real_views = views.write_views

        def write_views(*arguments: Any, **options: Any) -> None:
            writes.about_to("views")
            real_views(*arguments, **options)

        patch.setattr(views, "write_views", write_views)
        yield writes


def _blob(path: str) -> str:
    """``bundles/up/2/model.onnx`` is ``bundles/model.onnx``; a copy is named by its file."""
    folder, file = path.split("/")[0], path.split("/")[-1]
    return f"{folder}/{file.split('.', 1)[1] if folder == 'copies' else file}"
