"""The gate's benchmark in its smallest form: what it finds, and what it holds back."""

from __future__ import annotations

from benchmarks.gate.__main__ import measured, table
from benchmarks.gate.extremes import HONEST
from benchmarks.gate.faults import FAULTS
from benchmarks.gate.kinds import KINDS


def test_planted_faults_are_found_and_honest_extremes_are_let_through() -> None:
    kinds = tuple(kind for kind in KINDS if "minute" not in kind.name)
    tallies = measured(1, kinds)
    for name, tally in tallies.items():
        assert tally.found >= 0.95 * tally.planted, (name, tally.missed)
        assert len(tally.held) <= 0.02 * tally.honest, (name, tally.held)
    assert sum(tally.planted for tally in tallies.values()) >= 180
    assert sum(tally.honest for tally in tallies.values()) >= 140
    assert table(tallies).count("\n") == len(tallies) + 2


def test_faults_and_extremes_have_names_of_their_own_and_each_is_tried() -> None:
    for things in (FAULTS, HONEST):
        names = [thing.name for thing in things]
        assert len(set(names)) == len(names)
        assert all(any(thing.suits(kind) for kind in KINDS) for thing in things)
    assert all(len(fault.unknowable) > 10 for fault in FAULTS if fault.unknowable)
