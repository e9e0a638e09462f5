"""Runs the notebooks of the documentation, and keeps what they show.

``python -m fx_assets_tests.notebooks`` writes their outputs anew, from a new project on the
packaged prices (about half a minute of CPU).
"""

from __future__ import annotations

import ast
import io
import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from fx_assets_tests.environments import CHECKOUT, said

BOOKS = CHECKOUT / "docs" / "notebooks"
IN_ORDER = ("look-at-a-feed", "judge-an-idea", "read-the-ledger")
AT = {"FX_ASSETS_NOW": "2026-11-02T12:00:00+00:00", "PYTHONPATH": str(CHECKOUT)}


def stored(name: str) -> dict[str, Any]:
    """A notebook as it is kept."""
    found: dict[str, Any] = json.loads((BOOKS / f"{name}.ipynb").read_text("utf-8"))
    return found


def run_here(name: str) -> dict[str, Any]:
    """A notebook with what its cells show when they are run in order, in this process."""
    book, names = stored(name), {"__name__": "__main__"}
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, start=1):
        parsed = ast.parse("".join(cell["source"]))
        last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(parsed, f"{name}[{number}]", "exec"), names)  # noqa: S102
            shown = eval(compile(ast.Expression(last.value), name, "eval"), names) if last else None  # noqa: S307
        cell["execution_count"], cell["outputs"] = (
            number,
            _outputs(printed.getvalue(), shown, number),
        )
    return book


def _outputs(printed: str, shown: object, number: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if printed:
        text = printed.splitlines(keepends=True)
        made.append({"name": "stdout", "output_type": "stream", "text": text})
    if shown is not None:
        made.append(
            {
                "data": {"text/plain": repr(shown).splitlines(keepends=True)},
                "execution_count": number,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return made


def run_in_a_new_project(folder: Path) -> dict[str, dict[str, Any]]:
    """Each notebook as it is after a first run of what ``fx-assets new`` makes."""
    command = [sys.executable, "-m", "fx_assets.cli"]
    said([*command, "new", "desk"], folder, **AT)
    home = folder / "desk"
    said([*command, "run"], home, **AT)
    said([sys.executable, "-m", "fx_assets_tests.notebooks", str(folder)], home, **AT)
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in IN_ORDER}


def main() -> None:
    """In a project, with a folder as argument: leave there what the notebooks show."""
    if len(sys.argv) > 1:
        for name in IN_ORDER:
            (Path(sys.argv[1]) / f"{name}.json").write_text(json.dumps(run_here(name)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, book in run_in_a_new_project(Path(folder)).items():
            text = json.dumps(book, indent=1, ensure_ascii=False)
            (BOOKS / f"{name}.ipynb").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
