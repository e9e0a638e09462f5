"""A plug-in folder of modules, looked at by this process alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fx_assets import doors


def _forget() -> None:
    for cache in (doors._offers, doors._modules, doors._folder_by):
        cache.cache_clear()


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Writes a module of the plug-in folder."""
    folder = tmp_path / "plugins"
    folder.mkdir()

    def write(text: str) -> Path:
        (folder / "mine.py").write_text(text, encoding="utf-8")
        monkeypatch.setenv("FX_ASSETS_PLUGINS", str(folder))
        _forget()
        return folder

    yield write
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.partition(".")[0] == "plugins"]:
        del sys.modules[name]
    _forget()
