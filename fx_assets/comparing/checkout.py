"""Another state of the repository, unpacked beside this one, and what Python makes of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fx_assets.comparing import side
from fx_assets.errors import FxAssetsError

PACKAGE = "fx_assets"


@dataclass(frozen=True)
class Checkout:
    """A folder with declarations, and perhaps with the package itself."""

    folder: Path
    called: str

    def ask(self, request: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
        """The facts of its forecasts, by name; rows go into the folder ``out`` of the request.

        Raises
        ------
        FxAssetsError
            The checkout's declarations are wrong, or its package is too old to be asked.
        """
        out = scratch / str(request["out"])
        asked = scratch / f"{request['out']}.json"
        asked.write_text(json.dumps({**request, "out": str(out)}))
        environment = {**os.environ, "FX_ASSETS_HOME": str(self.folder)}
        if (self.folder / PACKAGE / "__init__.py").is_file():
            environment["PYTHONPATH"] = str(self.folder)
        script = scratch / "side.py"
        # Run by another name than the folder's, so that Python does not look for modules here.
        script.write_text(Path(side.__file__).read_text(encoding="utf-8"))
        said = subprocess.run(
            [sys.executable, "-P", str(script), str(asked)],
            cwd=self.folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        if said.returncode:
            raise FxAssetsError(
                f"{self.called} cannot be judged: {_last_words(said.stderr)}",
                remedy="Run fx-assets check there; a base from before fx-assets 0.2 cannot be "
                "compared.",
            )
        facts: dict[str, Any] = json.loads((out / "facts.json").read_text())
        return facts


def _last_words(traceback: str) -> str:
    """The message that a traceback ends with; its lines after the first are indented."""
    lines = traceback.rstrip().splitlines() or ["it ended without a word"]
    first = next((i for i in reversed(range(len(lines))) if not lines[i][:1].isspace()), 0)
    return " ".join(line.strip() for line in lines[first:])


def repository(folder: Path) -> Path:
    """The top of the repository that a folder is in.

    Raises
    ------
    FxAssetsError
        It is in none.
    """
    return Path(_git(folder, ["rev-parse", "--show-toplevel"]).decode().strip())


def commit_of(folder: Path, ref: str) -> str:
    """The commit that a name stands for: where the branch left ``ref``, if both have a past.

    Raises
    ------
    FxAssetsError
        There is no such commit.
    """
    commit = _git(folder, ["rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"], ref)
    with contextlib.suppress(FxAssetsError):
        commit = _git(folder, ["merge-base", "HEAD", commit.decode().strip()])
    return commit.decode().strip()


def unpack(folder: Path, commit: str, to: Path) -> None:
    """Write the files of a commit, below the folder's place in the repository, into ``to``."""
    top = repository(folder)
    place = folder.resolve().relative_to(top.resolve()).as_posix()
    tree = commit if place == "." else f"{commit}:{place}"
    with tarfile.open(fileobj=io.BytesIO(_git(folder, ["archive", tree]))) as packed:
        packed.extractall(to, filter="data")


def _git(folder: Path, arguments: Sequence[str], ref: str = "") -> bytes:
    try:
        said = subprocess.run(["git", *arguments], cwd=folder, capture_output=True)
    except FileNotFoundError:
        raise FxAssetsError("git is not installed.", remedy="Install it.") from None
    if said.returncode:
        why = said.stderr.decode(errors="replace").strip().splitlines()[:1] or ["no such commit"]
        raise FxAssetsError(
            f"git {arguments[0]} of {ref or folder} failed: {why[0]}",
            remedy="Name a commit, branch or tag of this repository; fetch it first where the "
            "checkout is shallow (git fetch --unshallow).",
        )
    return said.stdout
