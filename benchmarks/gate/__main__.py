"""Planted faults that the quality gate finds, and honest bars that it holds back.

Prints a row for each kind of bars, and by name what was missed and what was held.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchmarks.gate.vendors import EXPORTS, Export, judge_files
from fx_assets.quality import GateReport, inspect
from fx_assets.sources import new_rows
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import REJECTED_DTYPES
from fx_assets.testing.gate.extremes import HONEST, real_fixings
from fx_assets.testing.gate.faults import FAULTS
from fx_assets.testing.gate.kinds import KINDS, NOW, Kind, honest

QUIET = {"jumps"}
"""Checks whose warning is no finding: honest prices jump."""


@dataclass
class Tally:
    """What became of one kind of bars."""

    found: int = 0
    missed: list[str] = field(default_factory=list)
    passed: int = 0
    held: list[str] = field(default_factory=list)
    unknowable: int = 0

    @property
    def planted(self) -> int:
        return self.found + len(self.missed)

    @property
    def honest(self) -> int:
        return self.passed + len(self.held)


def judged(
    spec: FeedSpec, bars: pd.DataFrame, base: pd.DataFrame, arrives: int, *, revises: bool
) -> GateReport:
    """The gate's verdict on bars that arrive at once, as the newest few, or as revisions."""
    rejected = pd.DataFrame(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
    stored, batch = bars.iloc[:0], bars
    if revises:
        stored, batch = base, new_rows(base, bars, NOW)
    elif arrives:
        stored, batch = bars.iloc[:-arrives], bars.iloc[-arrives:].reset_index(drop=True)
    return inspect(stored, batch, rejected, spec, spec.market, NOW)


def measure(kind: Kind, seeds: int, tally: Tally) -> None:
    """Plant every fault that suits a kind, and let every honest extreme arrive."""
    for seed in range(seeds):
        base = honest(kind, seed)
        for fault in FAULTS:
            if not fault.suits(kind):
                continue
            if fault.unknowable:
                tally.unknowable += 1
                continue
            rng = np.random.default_rng(seed)
            bars = fault.plant(base, kind, rng)
            report = judged(kind.spec, bars, base, fault.arrives, revises=fault.revises)
            if {f.check for f in report.findings if not f.passed} - QUIET:
                tally.found += 1
            else:
                tally.missed.append(fault.name)
        for extreme in HONEST:
            if not extreme.suits(kind):
                continue
            rng = np.random.default_rng(seed)
            bars = extreme.change(base, kind, rng)
            spec = kind.alone if extreme.alone else kind.spec
            report = judged(spec, bars, base, extreme.arrives, revises=extreme.revises)
            if report.passed and report.quarantined.empty:
                tally.passed += 1
            else:
                blocked = [
                    f.check for f in report.findings if not f.passed and f.severity == "block"
                ]
                tally.held.append(f"{extreme.name} ({', '.join(blocked) or 'quarantine'})")


def measured(seeds: int, kinds: tuple[Kind, ...] = KINDS) -> dict[str, Tally]:
    """A tally for each kind of bars, and one for the ECB's real fixings."""
    tallies = {kind.name: Tally() for kind in kinds}
    for kind in kinds:
        measure(kind, seeds, tallies[kind.name])
    real = tallies["real fixings of 41 currencies"] = Tally()
    for code, spec, bars in real_fixings():
        report = judged(spec, bars, bars, 0, revises=False)
        if report.passed:
            real.passed += 1
        else:
            real.held.append(code)
    return tallies


def measured_files(seeds: int, exports: Sequence[Export] = EXPORTS) -> dict[str, Tally]:
    """A tally for the files of each vendor at each frequency."""
    tallies: dict[str, Tally] = {}

    def took(export: str, fault: str, report: GateReport) -> None:
        vendor, _, frequency = export.rpartition("_")
        tally = tallies.setdefault(f"{vendor}, {frequency}", Tally())
        if fault:
            found = {f.check for f in report.findings if not f.passed} - QUIET
            if found:
                tally.found += 1
            else:
                tally.missed.append(fault)
        elif report.passed and report.quarantined.empty:
            tally.passed += 1
        else:
            tally.held.append(", ".join(f.check for f in report.findings if not f.passed))

    judge_files(took, seeds, exports)
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """The rates as Markdown."""
    lines = ["| bars | faults planted | found | honest | held back |", "|---|---|---|---|---|"]
    for name, tally in tallies.items():
        lines.append(_row(name, tally))
    total = Tally()
    for tally in tallies.values():
        total.found += tally.found
        total.missed += tally.missed
        total.passed += tally.passed
        total.held += tally.held
    return "\n".join([*lines, _row("all", total)])


def _row(name: str, tally: Tally) -> str:
    planted = f"{tally.planted} | {_share(tally.found, tally.planted)}"
    return f"| {name} | {planted} | {tally.honest} | {_share(len(tally.held), tally.honest)} |"


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"


def main() -> None:
    """Print the table, what was missed, what was held, and what nobody can know."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="worlds of each kind")
    seeds = parser.parse_args().seeds
    bars, files = measured(seeds), measured_files(seeds)
    print(table(bars))
    print(table(files).replace("| bars |", "| files |", 1))
    for name, tally in {**bars, **files}.items():
        for word, names in (("missed", tally.missed), ("held back", tally.held)):
            if names:
                print(f"{name}, {word}: {'; '.join(sorted(names))}")
    print("Cannot be known from the bars, not counted:")
    for fault in FAULTS:
        if fault.unknowable:
            print(f"  {fault.name}: {fault.unknowable}")


if __name__ == "__main__":
    main()
