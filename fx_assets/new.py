"""``fx-assets new``: a project of one's own beside the installed package."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from string import Template

from fx_assets.errors import SpecError

PACKAGE_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")
RENAMED = {
    "env.example": ".env.example",
    "gitignore": ".gitignore",
    "project.toml": "pyproject.toml",
}
"""Files that have another name in the package, lest tools take them for their own."""


def write_project(folder: Path) -> int:
    """Write a project that runs as it is, and say what to do with it.

    Parameters
    ----------
    folder
        Where; its last part is the project's name.

    Raises
    ------
    SpecError
        The folder is not empty or cannot be made, or its name is not one of a package.
    """
    folder = folder.expanduser()
    name = folder.resolve().name
    module = _module(name)
    _refuse_what_is_there(folder)
    facts = {"name": name, "module": module, "version": version("fx-assets")}
    try:
        _copy(files("fx_assets") / "template", folder, facts)
    except OSError as error:
        raise SpecError(
            f"The project cannot be written to {folder}: {error.strerror}.",
            remedy="Name a folder that you may write to.",
        ) from error
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: a project of your own.")
    print("".join(f"  {path}\n" for path in written), end="")
    print(f"Go on: cd {folder} && fx-assets run; then fx-assets prove plugins. See README.md.")
    return 0


def _module(name: str) -> str:
    """The name as Python can import it."""
    module = re.sub(r"[.-]+", "_", name).lower()
    if not PACKAGE_NAME.fullmatch(name) or keyword.iskeyword(module):
        raise SpecError(
            f"{name!r} is not the name of a package.",
            remedy="Begin with a letter; go on with letters, digits and single - or _, such as "
            "my-desk.",
        )
    spec = None if module in sys.stdlib_module_names else find_spec(module)
    there = module in sys.stdlib_module_names or (spec is not None and spec.origin is not None)
    if there or module in {"defs", "plugins"}:
        raise SpecError(
            f"{name!r} is the name of a package that is there already.",
            remedy="Choose another, such as my-desk.",
        )
    return module


def _refuse_what_is_there(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        what = "is not empty" if folder.is_dir() else "is not a folder"
        raise SpecError(
            f"{folder} {what}; nothing was written.",
            remedy="Name a folder that is not there yet, or an empty one.",
        )


def _copy(source: Traversable, target: Path, facts: dict[str, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for item in source.iterdir():
        if item.name == "__pycache__":
            continue
        place = target / RENAMED.get(item.name, item.name)
        if item.is_dir():
            _copy(item, place, facts)
        else:
            text = Template(item.read_text(encoding="utf-8")).substitute(facts)
            place.write_text(text, encoding="utf-8")
