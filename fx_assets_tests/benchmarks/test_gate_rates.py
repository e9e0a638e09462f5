"""The gate's benchmark in its smallest form: what it finds, and what it holds back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.gate.__main__ import measured, measured_files, table
from benchmarks.gate.vendors import EXPORTS
from fx_assets.testing.gate.extremes import HONEST
from fx_assets.testing.gate.faults import FAULTS
from fx_assets.testing.gate.kinds import KINDS, Kind


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(KINDS[1:2], id="daily"),
        pytest.param((KINDS[4], replace(KINDS[5], last="2023-06-30")), id="coin"),
    ],
)
def test_planted_faults_are_found_and_honest_extremes_are_let_through(
    kinds: tuple[Kind, ...],
) -> None:
    tallies = measured(1, kinds)
    for name, tally in tallies.items():
        assert tally.found >= 0.95 * tally.planted, (name, tally.missed)
        assert len(tally.held) <= 0.02 * tally.honest, (name, tally.held)
    assert sum(tally.planted for tally in tallies.values()) >= 30 * len(kinds)
    assert sum(tally.honest for tally in tallies.values()) >= 41 + 15 * len(kinds)
    assert table(tallies).count("\n") == len(tallies) + 2


@pytest.mark.slow
def test_clean_files_of_every_vendor_pass_and_faults_in_their_cells_are_found() -> None:
    tallies = measured_files(1, EXPORTS[::3])
    assert len(tallies) == 5
    for name, tally in tallies.items():
        assert tally.held == [], name
        assert tally.found >= 4
        assert set(tally.missed) <= {"25 daily closes the same"}, name


def test_faults_and_extremes_have_names_of_their_own_and_each_is_tried() -> None:
    for things in (FAULTS, HONEST):
        names = [thing.name for thing in things]
        assert len(set(names)) == len(names)
        assert all(any(thing.suits(kind) for kind in KINDS) for thing in things)
    assert all(len(fault.unknowable) > 10 for fault in FAULTS if fault.unknowable)
