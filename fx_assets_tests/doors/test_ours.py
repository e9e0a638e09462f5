"""What comes with the package passes the proof of its own door."""

from __future__ import annotations

import pytest

from fx_assets.code_identity import installed_version
from fx_assets.doors import FAMILIES
from fx_assets.testing.proving import SUITES, verdicts_of

CHEAP = {"kind of target"}
PROVED = [(kind, name) for kind, (door, _, _) in SUITES.items() for name in door]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=[] if kind in CHEAP else [pytest.mark.slow])
        for kind, name in PROVED
    ],
)
def test_whatever_is_ours_passes_its_own_doors_proof(kind: str, name: str) -> None:
    if kind == "model family":
        missing = [one for one in FAMILIES[name].libraries if not installed_version(one)]
        if missing:
            pytest.skip(f"{name} needs {', '.join(missing)}")
    verdicts = list(verdicts_of(kind, name))
    assert verdicts, "it was tried with something"
    assert [one for one in verdicts if not one.holds] == []


def test_every_door_has_a_suite_and_something_of_ours_behind_it() -> None:
    assert {kind for kind, _ in PROVED} == set(SUITES)
