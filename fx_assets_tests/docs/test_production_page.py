"""Every command of the page on production is run by a test, which is named here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "production.md").read_text()
BLOCKS = "\n".join(PAGE.split("```")[1::2])
COMMANDS = [line.partition("  #")[0].strip() for line in BLOCKS.splitlines() if line.strip()]
STACK = "containers/test_stack.py"
RUN_BY = {
    "make up": (STACK, 'made.compose("up", "-d")'),
    "make down": ("containers/stack.py", 'made.compose("down", "-v"'),
    "make smoke": (STACK, "def test_a_forecast_is_served_that_equals_a_laptops"),
    "make run": ("production/test_production_profile.py", 'production.call("run").succeeded()'),
    "make dev": ("test_dev.py", "def test_"),
    "make images": ("containers/engine.py", '"--target"'),
    "make bench-images": ("benchmarks/test_smallest_forms.py", '"benchmarks.images"'),
    "fx-assets sql": ("sql_window", "def test_"),
    "fx-assets run": ("states", "def test_"),
    "fx-assets universe": ("universe", "def test_"),
    "fx-assets backup": ("states/test_operations_page.py", "def test_every_command"),
    "python deploy/bootstrap.py": (STACK, "def deployed"),
    "python -m benchmarks.year": ("benchmarks/test_smallest_forms.py", '"benchmarks.year"'),
}
"""By the beginning of a command: the file below the tests, and a text that stands in it."""
OF_OTHERS = (".venv/bin/pip install ", "pip install ", "docker compose logs", "mlflow gc")
"""Commands of other people's tools, which this project does not run for the reader."""


def mentioned() -> list[str]:
    """Commands in blocks, and those between backticks in the text."""
    inline = re.findall(
        r"`((?:make|fx-assets|python|mlflow|pip|docker) [^`]+)`", "".join(PAGE.split("```")[::2])
    )
    return sorted({*COMMANDS, *inline})


@pytest.mark.parametrize("command", mentioned())
def test_a_command_of_the_page_is_run_by_a_test(command: str) -> None:
    if command.startswith(OF_OTHERS):
        return
    known = [place for begin, place in RUN_BY.items() if command.startswith(begin)]
    assert known, f"no test runs {command!r}: add one, and name it here"
    where, text = known[-1]
    path = ROOT / "fx_assets_tests" / where
    files = sorted(path.glob("test_*.py")) if path.is_dir() else [path]
    assert any(text in file.read_text() for file in files), (command, where, text)


def test_every_target_of_make_on_the_page_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", PAGE)) <= targets
