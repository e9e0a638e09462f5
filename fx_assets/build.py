"""From which state of the code this process runs: its commit and its image."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from pathlib import Path

COMMIT, IMAGE = "FX_ASSETS_COMMIT", "FX_ASSETS_IMAGE"
"""Variables that name them: the first is set when an image is built, the second where it is run."""


def commit() -> str:
    """The commit, with ``-dirty`` where files differ from it; empty where nothing tells.

    That of the image, of the checkout with the package, or of the repository that the working
    folder is the top of.
    """
    package = Path(__file__).parents[1]
    return os.environ.get(COMMIT, "") or _of_checkout(package) or _of_checkout(Path.cwd())


def image() -> str:
    """The image that the process runs in; empty where nobody says."""
    return os.environ.get(IMAGE, "")


@lru_cache(maxsize=8)
def _of_checkout(folder: Path) -> str:
    if not (folder / ".git").exists():
        return ""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
