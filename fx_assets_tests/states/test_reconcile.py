"""After a run that died anywhere, one more run leaves what an undisturbed one would have left."""

from __future__ import annotations

from contextlib import suppress

import pytest

from fx_assets.cli import main
from fx_assets_tests.homes import Home
from fx_assets_tests.states.deaths import DeathError, Writes, writing
from fx_assets_tests.states.stores import stores

BOUNDARIES = (
    "decisions",
    "copies/manifest.json",
    "bundles/champion.json",
    "set_champion",
    "outcomes",
)


@pytest.fixture(scope="module")
def undisturbed(
    first_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], list[str]]:
    """What the stores hold after a retrain and a prediction, and the writes that made it so."""
    home = first_home.copy_to(tmp_path_factory.mktemp("undisturbed") / "home")
    with pytest.MonkeyPatch.context() as patch:
        written = _week_later(home, patch, Writes())
        return stores(home), written.names


@pytest.mark.slow
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_one_run_heals_what_a_run_that_died_left_behind(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[dict[str, object], list[str]],
    boundary: str,
) -> None:
    expected, names = undisturbed
    assert boundary in names, sorted(set(names))
    died = _week_later(home, monkeypatch, Writes(dies_before=boundary))
    assert died.dead
    assert main(["run"]) == 0
    assert stores(home) == expected


def _week_later(home: Home, monkeypatch: pytest.MonkeyPatch, writes: Writes) -> Writes:
    home.advance(6)
    for name, value in home.variables.items():
        monkeypatch.setenv(name, value)
    with suppress(DeathError), writing(writes):
        main(["run"])
    return writes
