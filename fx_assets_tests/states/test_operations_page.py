"""Each command of the page on operations does what it says, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fx_assets_tests.homes import Home
from fx_assets_tests.states.test_rollback import three_versions

__all__ = ["three_versions"]

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
COMMAND = re.compile(r"^(?:FX_ASSETS_HOME=(\S+) )?fx-assets (.+)$", re.MULTILINE)
OF_A_UNIVERSE = "ecb_universe"


@pytest.mark.slow
def test_every_command_of_the_page_succeeds(three_versions: Home, tmp_path: Path) -> None:
    home = three_versions.copy_to(tmp_path / "home")
    blocks = "\n".join(PAGE.read_text().split("```")[1::2])
    found = [found for found in COMMAND.findall(blocks) if OF_A_UNIVERSE not in found[1]]
    assert len(found) == 12
    for place, words in found:
        where = home
        if place:
            folder = tmp_path / place.rpartition("/")[2]
            folder.mkdir()
            (folder / "defs").symlink_to(home.folder / "defs")
            where = Home(folder, home.day)
        text = words.replace("/backups", str(tmp_path / "backups"))
        where.run(*shlex.split(text.replace("eurusd_volatility", "up"))).succeeded()
