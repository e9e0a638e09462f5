"""How often does a universe promote noise, and how long do its champions last?

Families of simulated instruments, of which one or none can be forecast, are decided about by the
universe's own code (``skill_of`` with Holm's correction, and ``decide_family``) at every bar of a
year. Prints two markdown tables, with exact 95 % bounds (Clopper and Pearson, 1934).

Run with ``python -m benchmarks.universe_rates --help``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from multiprocessing import Pool

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.promotion_simulation import (
    IGNORED,
    KINDS,
    NOISE,
    WEEK,
    YEAR,
    Cell,
    Floats,
    Kind,
    World,
    demoted_in_years,
    first_crossing,
    median,
    seeds_of,
    share,
    weekdays,
)
from fx_assets.evaluation.cusum import falls
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.family import decide_family
from fx_assets.evaluation.losses import loss_for
from fx_assets.evaluation.significance import clark_west, clark_west_difference, diebold_mariano
from fx_assets.evaluation.universe_skill import skill_of
from fx_assets.specs.universe import UniverseSpec

NEXT_TO_THE_BASELINE = 0.01
"""As ``NOISE``: a recipe without skill that loses next to nothing by it."""
FAMILIES = {"direction": "logistic_regression", "return": "ridge", "volatility": "log_har"}


@dataclass(frozen=True)
class Family:
    """Members with one recipe each; the first may have a skill, the others add noise."""

    kind: Kind
    members: int
    history: int
    skill: float = 0.0
    noise: float = NOISE


@cache
def spec_of(kind: Kind, members: int) -> UniverseSpec:
    """A universe of so many."""
    letters = [chr(65 + i) for i in range(26)]
    return UniverseSpec.model_validate(
        {
            "name": "simulated",
            "source": {"kind": "ecb"},
            "instruments": [f"EURX{a}{b}" for a in letters for b in letters][:members],
            "targets": [{"kind": kind, "candidates": [FAMILIES[kind]]}],
            "suspicion": IGNORED[kind],
        }
    )


class Members:
    """What is known of the members of one world, and what is said of them."""

    def __init__(self, family: Family, rows: int, seed: int) -> None:
        self.kind, self.spec = family.kind, spec_of(family.kind, family.members)
        (self.target,) = self.spec.targets
        cells = [Cell(family.kind, 1, family.history, noise=family.noise)] * family.members
        if family.skill:
            cells[0] = Cell(family.kind, 1, family.history, skill=family.skill)
        self.worlds = [World(cell, rows, seed + i) for i, cell in enumerate(cells)]
        self.said = [world.recipes()["recipe_0"] for world in self.worlds]
        names = list(self.spec.instruments)
        self.about = {self.spec.series(name, self.target).id: (name, self.target) for name in names}

    def rows(self, member: int, n: int, outcomes: Floats | None = None) -> pd.DataFrame:
        """The first n walk-forward rows of a member."""
        world, times = self.worlds[member], weekdays()[: n + 1]
        series, (name, _) = list(self.about.items())[member]
        (candidate,) = self.spec.forecast(name, self.target).candidates
        target = world.target if outcomes is None else outcomes
        return pd.DataFrame(
            {
                "series": series,
                "instrument": name,
                "kind": self.kind,
                "horizon": 1,
                "candidate": candidate.name,
                "recipe": self.spec.forecast(name, self.target).recipe_hash(candidate),
                "event_time": times[:-1],
                "label_available_at": times[1:],
                "target": target[:n],
                "prediction": self.said[member][:n],
                "baseline": world.baseline[:n],
            }
        )

    def passes(self, member: int, n: int) -> bool:
        """Whether a member passes the first step of Holm's correction on n rows."""
        world, said = self.worlds[member], self.said[member]
        y, base, f = world.target[:n], world.baseline[:n], said[:n]
        loss, needed = loss_for(self.kind), self.spec.significance / len(self.worlds)
        theirs, ours = loss(y, base), loss(y, f)
        return bool(
            1 - ours.mean() / theirs.mean() >= self.spec.min_skill
            and diebold_mariano(theirs, ours, 1).p_value < needed
            and clark_west(self.kind, y, base, f, 1).p_value < needed
        )

    def promising(self, first: int, last: int) -> list[tuple[int, int]]:
        """Rows and members that could pass, by plain t tests of 1.4 times the level."""
        n = np.arange(first, last + 1)
        loss, found = loss_for(self.kind), []
        for member, (world, said) in enumerate(zip(self.worlds, self.said, strict=True)):
            better = loss(world.target, world.baseline) - loss(world.target, said)
            knows = clark_west_difference(self.kind, world.target, world.baseline, said)
            p = np.maximum(_p_values(better, n), _p_values(knows, n))
            able = p < 1.4 * self.spec.significance / len(self.worlds)
            found += [(int(rows), member) for rows in n[able]]
        return sorted(found)

    def decided(self, n: int) -> dict[str, Decision]:
        """What is decided about every member on n rows, without a ledger; by series."""
        judged = pd.concat([self.rows(i, n) for i in range(len(self.worlds))])
        judged = judged.sort_values("event_time", kind="stable", ignore_index=True)
        return self._decided(judged, skill_of(self.spec, judged), {}, n)

    def after(self, first: Decision, n: int, outcomes: Floats) -> Decision:
        """The next decision about the first member, on n rows with these outcomes.

        Its p-value counts for nothing: nobody is demoted for it.
        """
        judged = self.rows(0, n, outcomes)
        skill = skill_of(self.spec, judged).assign(may_predict=False, tests=len(self.worlds))
        made = self._decided(judged, skill, {first.series: [first]}, n)
        return made.get(first.series, first)

    def _decided(
        self,
        judged: pd.DataFrame,
        skill: pd.DataFrame,
        ledgers: dict[str, Sequence[Decision]],
        n: int,
    ) -> dict[str, Decision]:
        now = weekdays()[n].to_pydatetime() + timedelta(hours=2)
        about = {series: self.about[series] for series in judged["series"].unique()}
        return decide_family(self.spec, skill, judged, about, ledgers, (), now)


def _p_values(differences: Floats, n: NDArray[np.int64]) -> Floats:
    """One-sided, that the mean of the first n is above zero."""
    mean, square = np.cumsum(differences)[n - 1] / n, np.cumsum(differences**2)[n - 1] / n
    return np.asarray(ndtr(-mean / np.sqrt(np.maximum(square - mean**2, 1e-30) / n)))


def promoted(family: Family, seed: int) -> int | None:
    """After how many bars of the year any member is promoted, by the universe's own decisions."""
    members, n = Members(family, family.history + YEAR, seed), family.history
    for rows, member in members.promising(n, n + YEAR):
        if members.passes(member, rows):
            made = members.decided(rows).values()
            if any(decision.predicts for decision in made):
                return rows - n
    return None


@dataclass(frozen=True)
class Demotions:
    """Weeks from the promotion to the demotion; ``None`` where there is none in two years."""

    living: int | None
    dead: int | None


def demoted(family: Family, seed: int) -> Demotions | None:
    """What becomes of the skilled member's champion, if it is promoted at the first look."""
    n, days = family.history, 2 * YEAR
    members = Members(family, n + days, seed)
    if not members.passes(0, n):
        return None
    first = members.decided(n)[next(iter(members.about))]
    if not first.predicts or first.fall is None:
        return None
    world, said, loss = members.worlds[0], members.said[0], loss_for(family.kind)
    ended = np.concatenate([world.target[:n], world.outcomes(alive=False)[n:]])
    weeks: list[int | None] = []
    for outcomes in (world.target, ended):
        gains = loss(outcomes, world.baseline) - loss(outcomes, said)
        day = first_crossing(falls(gains[n:], first.fall.head_start) > first.fall.limit)
        if day is not None:
            made = members.after(first, n + day, outcomes)
            assert (made.verdict, made.ground) == ("demote", "fall"), made.sentence
        weeks.append(None if day is None else -(-day // WEEK))
    return Demotions(*weeks)


def promotions_table(results: dict[Family, list[int | None]]) -> str:
    """Shares of worlds in which any member is promoted at the first look, and within a year."""
    lines = [
        "| target | members | rows | noise | worlds | at the first look | at any bar of a year |",
        "|---|---|---|---|---|---|---|",
    ]
    for family, found in results.items():
        n = len(found)
        at_once, ever = found.count(0), n - found.count(None)
        lines.append(
            f"| {family.kind} | {family.members} | {family.history:,} | {family.noise:g} | {n:,} | "
            f"{share(at_once, n)} | {share(ever, n)} |"
        )
    return "\n".join(lines)


def demotions_table(results: dict[Family, list[Demotions]]) -> str:
    """Shares of true champions demoted within a year, and how soon an ended signal is found."""
    lines = [
        "| target | members | rows | skill | champions | demoted in a year | in the second |"
        " weeks to find its end |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for family, found in results.items():
        n = len(found)
        if not n:
            continue
        first, later = demoted_in_years([each.living for each in found])
        lines.append(
            f"| {family.kind} | {family.members} | {family.history:,} | {family.skill:.1%} | "
            f"{n:,} | {share(first, n)} | {share(later, n)} | "
            f"{median([each.dead for each in found])} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400, help="for each line without a signal")
    parser.add_argument("--planted-worlds", type=int, default=400, help="for each other line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a few worlds of a few sorts")
    args = parser.parse_args()
    null = [
        Family(kind, members, 2000, noise=noise)
        for kind in KINDS
        for members in (8, 40)
        for noise in (NOISE, NEXT_TO_THE_BASELINE)
    ]
    planted = [Family("direction", 8, 2000, skill) for skill in (0.005, 0.01, 0.02)]
    worlds, planted_worlds = args.worlds, args.planted_worlds
    if args.quick:
        null, planted, worlds, planted_worlds = null[1:2], planted[2:], 4, 2
    started = time.perf_counter()
    with Pool(args.processes) as pool:
        first = {
            family: pool.map(partial(promoted, family), seeds_of(args.seed, worlds), 8)
            for family in null
        }
        print(promotions_table(first), flush=True)
        second = {}
        for family in planted:
            found = pool.map(partial(demoted, family), seeds_of(args.seed, planted_worlds), 8)
            second[family] = [each for each in found if each is not None]
        print(f"\n{demotions_table(second)}")
    print(f"\n{YEAR} bars in a year; {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
