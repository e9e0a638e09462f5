"""The notebooks of the documentation run on small deployments."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fx_assets.testing import worlds
from fx_assets_tests.homes import Home
from fx_assets_tests.test_desk import desk_on

BOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
LARGEST = 20_000
"""Bytes of a stored notebook, outputs included."""


def runs(name: str) -> None:
    """Every cell of a notebook, in order; each is stored with what it shows."""
    file = BOOKS / f"{name}.ipynb"
    assert file.stat().st_size < LARGEST
    names: dict[str, object] = {"__name__": "__main__"}
    cells = [c for c in json.loads(file.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    for number, cell in enumerate(cells, start=1):
        code = "".join(cell["source"])
        exec(compile(code, f"{file.name}[{number}]", "exec"), names)  # noqa: S102
        assert cell["execution_count"] == number
        if isinstance(ast.parse(code).body[-1], ast.Expr):
            assert cell["outputs"], f"{file.name}[{number}] is stored without what it shows"


@pytest.mark.parametrize("name", ["look-at-a-feed", "judge-an-idea"])
def test_notebooks_about_bars_and_ideas_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk_on(tmp_path, worlds.random_walk(2000, 5), monkeypatch)
    monkeypatch.chdir(tmp_path)
    runs(name)


@pytest.mark.slow
def test_the_notebook_about_the_ledger_runs_on_a_deployment_that_has_been_run(
    empty_registry: Path, new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.new(new_folder() / "home", empty_registry)
    home.run("run").succeeded()
    for variable, value in home.variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(home.folder)
    runs("read-the-ledger")


def test_there_are_three_notebooks() -> None:
    names = [file.stem for file in sorted(BOOKS.glob("*.ipynb"))]
    assert names == ["judge-an-idea", "look-at-a-feed", "read-the-ledger"]
