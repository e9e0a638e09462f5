"""SIGKILL at each write of deciding, publishing and issuing, in a process of its own."""

from __future__ import annotations

import signal
import sys

import pytest

from fx_assets_tests.homes import Home
from fx_assets_tests.states.stores import stores

COMMAND = [sys.executable, "-m", "fx_assets_tests.states.killed"]
WRITES = (
    "register", "bundles/model.onnx", "bundles/golden.json", "bundles/manifest.json", "decisions",
    "heads/up.json", "copies/manifest.json", "copies/golden.json", "bundles/champion.json",
    "set_champion", "register", "set_challenger", "bundles/aliases.json", "bundles/background.json",
    "copies/background.json", "views", "features", "shadow_predictions", "heads/up.json",
    "explanations/20220314T210000Z.json", "predictions", "heads/up.json", "live_evidence",
    "outcomes",
)  # fmt: skip
"""From when the verdict is there to when everything that follows from it is, in order."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def undisturbed(
    first_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], list[str]]:
    """What the stores hold after a week's run that nobody kills, and its writes by name."""
    home = first_home.copy_to(tmp_path_factory.mktemp("undisturbed") / "home")
    home.advance(6)
    process = home.start(command=COMMAND)
    _, names = process.communicate()
    assert process.returncode == 0, names
    return stores(home), names.split()


@pytest.mark.parametrize("n", range(len(WRITES)), ids=WRITES)
def test_after_sigkill_at_any_write_two_runs_leave_what_an_undisturbed_one_leaves(
    home: Home, undisturbed: tuple[dict[str, object], list[str]], n: int
) -> None:
    expected, names = undisturbed
    first = names.index(WRITES[0])
    assert names[first : first + len(WRITES)] == list(WRITES)
    home.advance(6)
    process = home.start(str(first + n), command=COMMAND)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [home.run("run").code, home.run("run").code] == [0, 0]
    assert stores(home) == expected
