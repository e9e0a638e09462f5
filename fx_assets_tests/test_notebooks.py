"""The notebooks of the documentation run, and show what they are stored with."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from fx_assets.testing import worlds
from fx_assets_tests.notebooks import BOOKS, IN_ORDER, run_here, run_in_a_new_project, stored
from fx_assets_tests.test_desk import desk_on

LARGEST = 20_000
"""Bytes of a stored notebook, outputs included."""


@pytest.mark.parametrize("name", ["look-at-a-feed", "judge-an-idea"])
def test_notebooks_about_bars_and_ideas_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk_on(tmp_path, worlds.random_walk(2000, 5), monkeypatch)
    monkeypatch.chdir(tmp_path)
    for cell in run_here(name)["cells"]:
        if cell["cell_type"] == "code":
            last = ast.parse("".join(cell["source"])).body[-1]
            assert bool(cell["outputs"]) == isinstance(last, ast.Expr | ast.For)


@pytest.mark.slow
def test_notebooks_are_stored_with_what_they_show_in_a_new_project(
    new_folder: Callable[[], Path],
) -> None:
    for name, book in run_in_a_new_project(new_folder()).items():
        assert book == stored(name), "python -m fx_assets_tests.notebooks writes them anew"


def test_there_are_three_notebooks_and_they_are_small() -> None:
    files = sorted(BOOKS.glob("*.ipynb"))
    assert [file.stem for file in files] == sorted(IN_ORDER)
    assert all(file.stat().st_size < LARGEST for file in files)
