"""How often do promotion rules err, and how soon do they find skill, and its end?

Simulated worlds whose skill is known are judged for a year by the forecast's own rule
(``fx_assets.evaluation.promotion.decide``), ``sequential`` beside ``fixed``. Prints two markdown
tables, with exact 95 % bounds (Clopper and Pearson, 1934).

Run with ``python -m benchmarks.promotion_simulation --help``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from multiprocessing import Pool
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri

from fx_assets.evaluation.cusum import FallLimit, choice_bias, fall_limit, falls
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.losses import loss_for
from fx_assets.evaluation.promotion import decide
from fx_assets.evaluation.significance import clark_west_difference
from fx_assets.specs import ForecastSpec

Floats = NDArray[np.float64]
Kind = Literal["direction", "return", "volatility"]
Recipes = Literal["the same", "new ones at each look", "best of five"]
Rule = Literal["sequential", "fixed"]

KINDS: tuple[Kind, ...] = ("direction", "return", "volatility")
WEEK, LOOK, LOOKS, YEAR = 5, 20, 14, 260
NOISE = 0.06
"""Standard deviation of what a recipe without skill adds to the baseline, in standard deviations of
the target (of a variance: in its logarithm)."""
PRIOR_ROWS = 1000
TRIED = 5
IGNORED = {
    "direction": {"accuracy": 1, "roc_auc": 1, "skill": 1},
    "return": {"accuracy": 1, "skill": 1},
    "volatility": {"qlike": 0, "log_correlation": 1},
}
"""Simulated skill is not a leak."""


@dataclass(frozen=True)
class Cell:
    """Worlds of one sort: the first recipe has the skill, the others add noise to the baseline."""

    kind: Kind
    candidates: int
    history: int
    recipes: Recipes = "the same"
    skill: float = 0.0
    noise: float = NOISE


@cache
def weekdays() -> pd.DatetimeIndex:
    """Times of enough rows."""
    return pd.bdate_range("1990-01-01", periods=8000, tz="UTC").as_unit("us")


@cache
def spec_of(kind: Kind, rule: Rule) -> ForecastSpec:
    """A forecast with that rule."""
    family = {"direction": "logistic_regression", "return": "ridge", "volatility": "garch"}[kind]
    return ForecastSpec.model_validate(
        {
            "name": "simulated",
            "feed": "simulated",
            "target": {"kind": kind, "horizon": 1},
            "candidates": [family],
            "suspicion": IGNORED[kind],
            "promotion": {"rule": rule},
        }
    )


class World:
    """Targets, what the baseline says, and what the recipes say."""

    def __init__(self, cell: Cell, rows: int, seed: int) -> None:
        self.cell, self.rows = cell, rows
        self.rng = np.random.default_rng(seed)
        self.sign = self.rng.choice([-1.0, 1.0], rows)
        self.target = self.outcomes(alive=True)
        before = np.arange(rows)
        start = {"direction": 0.5, "return": 0.0, "volatility": 1.0}[cell.kind]
        mean = (np.cumsum(self.target) - self.target + start * PRIOR_ROWS) / (before + PRIOR_ROWS)
        self.baseline = np.zeros(rows) if cell.kind == "return" else mean

    @property
    def edge(self) -> float:
        """What the skilled recipe knows, so that its skill is the cell's."""
        skill = self.cell.skill
        if self.cell.kind == "direction":
            return 0.5 * float(np.sqrt(skill))
        if self.cell.kind == "return":
            return float(np.sqrt(skill / (1 - skill)))
        return float(np.arccosh(np.exp(1.27 * skill)))

    def outcomes(self, alive: bool) -> Floats:
        """Targets of all rows, with or without what the skilled recipe knows."""
        edge = self.edge * self.sign * alive
        if self.cell.kind == "direction":
            return (self.rng.uniform(size=self.rows) < 0.5 + edge).astype(np.float64)
        if self.cell.kind == "return":
            return edge + self.rng.standard_t(5, self.rows) * np.sqrt(3 / 5)
        level = np.exp(edge) / np.cosh(self.edge * alive)
        return np.asarray(level * self.rng.chisquare(1, self.rows), dtype=np.float64)

    def skilled(self) -> Floats:
        """What the first recipe says where there is skill."""
        if self.cell.kind == "volatility":
            scale = np.exp(self.edge * self.sign) / np.cosh(self.edge)
            return np.asarray(self.baseline * scale, dtype=np.float64)
        return self.baseline + self.edge * self.sign

    def noise(self) -> Floats:
        """What a recipe without skill says."""
        draws = self.cell.noise * self.rng.standard_normal(self.rows)
        if self.cell.kind == "volatility":
            return np.asarray(self.baseline * np.exp(draws), dtype=np.float64)
        return self.baseline + draws * (0.5 if self.cell.kind == "direction" else 1.0)

    def recipes(self) -> dict[str, Floats]:
        """What the recipes of one look say."""
        cell = self.cell
        if cell.recipes == "best of five":
            loss, seen = loss_for(cell.kind), slice(cell.history)

            def best() -> Floats:
                tried = [self.noise() for _ in range(TRIED)]
                return min(tried, key=lambda f: float(loss(self.target[seen], f[seen]).mean()))

            return {f"recipe_{index}": best() for index in range(cell.candidates)}
        said = {f"recipe_{index}": self.noise() for index in range(cell.candidates)}
        return said | ({"recipe_0": self.skilled()} if cell.skill else {})

    def promising(self, said: Floats) -> bool:
        """Whether a recipe could pass a look of the year; others need not be judged in full."""
        d = clark_west_difference(self.cell.kind, self.target, self.baseline, said)
        n = self.cell.history + LOOK * np.arange(LOOKS)
        mean, square = np.cumsum(d)[n - 1] / n, np.cumsum(d * d)[n - 1] / n
        z = mean / np.sqrt(np.maximum(square - mean**2, 1e-30) / n)
        return bool((ndtr(-z) < 1.4 * 0.05 / self.cell.candidates).any())


def promotion_week(world: World, said: list[dict[str, Floats]], rule: Rule) -> int | None:
    """The week of the first promotion, by the product's own decisions at the year's looks."""
    cell, ledger = world.cell, list[Decision]()
    for look in range(LOOKS):
        ledger += decided(world, said[look], ledger, cell.history + look * LOOK, rule)
        if ledger[-1].verdict == "replace":
            return look * LOOK // WEEK
    return None


def decided(
    world: World, said: dict[str, Floats], ledger: list[Decision], n: int, rule: Rule
) -> list[Decision]:
    """The decisions on the first n rows."""
    spec, times = spec_of(world.cell.kind, rule), weekdays()[: n + 1]
    rows = pd.DataFrame(
        {
            "event_time": times[:-1],
            "target": world.target[:n],
            "baseline": world.baseline[:n],
            "label_available_at": times[1:],
        }
    )
    trials = TRIED if world.cell.recipes == "best of five" else 1
    evidence = [Evidence(spec.baseline.name, "baseline", rows.assign(prediction=rows["baseline"]))]
    evidence += [
        Evidence(name, name, rows.assign(prediction=values[:n]), None, trials)
        for name, values in said.items()
    ]
    as_of = times[-1].to_pydatetime()
    return decide(spec, ledger, evidence, as_of + timedelta(hours=2), as_of)


def promoted(cell: Cell, seed: int) -> tuple[int | None, int | None]:
    """Weeks of the first promotion in a world, by the sequential and by the fixed rule."""
    world = World(cell, cell.history + LOOKS * LOOK, seed)
    if cell.recipes == "new ones at each look":
        said = [
            {f"{name}_of_look_{look}": values for name, values in world.recipes().items()}
            for look in range(LOOKS)
        ]
    else:
        said = [world.recipes()] * LOOKS
    streams = {id(values): values for each in said for values in each.values()}
    if not any(world.promising(values) for values in streams.values()):
        return None, None
    return promotion_week(world, said, "sequential"), promotion_week(world, said, "fixed")


@dataclass(frozen=True)
class Demotions:
    """Weeks from the promotion to the demotion; ``None`` where there is none in two years."""

    living: int | None
    dead: int | None
    living_fixed: int | None
    dead_fixed: int | None


def demoted(cell: Cell, seed: int) -> Demotions | None:
    """What becomes of the skilled recipe after a promotion at the first look, if there is one."""
    n, weeks = cell.history, 2 * YEAR // WEEK
    world = World(cell, n + weeks * WEEK, seed)
    said = world.recipes()
    if not world.promising(said["recipe_0"]):
        return None
    look = decided(world, said, [], n, "sequential")[-1]
    if look.champion != "recipe_0":
        return None
    fixed: list[int | None] = []
    sequential: list[int | None] = []
    lasting, loss = world.target, loss_for(cell.kind)
    ended = np.concatenate([lasting[:n], world.outcomes(alive=False)[n:]])
    limit: FallLimit | None = None
    for target in (lasting, ended):
        gains = loss(target, world.baseline) - loss(target, said["recipe_0"])
        limit = limit or limit_after(gains[:n], look)
        fall = falls(gains[n:], limit.head_start)[WEEK - 1 :: WEEK]
        sequential.append(first_crossing(fall > limit.limit))
        total = np.cumsum(gains)
        trailing = total[n + WEEK - 1 :: WEEK] - total[n + WEEK - 501 : -500 : WEEK]
        fixed.append(first_crossing(trailing < 0))
    return Demotions(*sequential, *fixed)


def limit_after(gains: Floats, look: Decision) -> FallLimit:
    """The limit of the champion that a look chose, whose history has these gains."""
    figures = look.statistics_of(look.champion)
    assert figures is not None
    p, needed = float(figures.clark_west_p or 0.0), float(figures.needed_p or 0.0)
    limit = fall_limit(
        gains,
        rows_a_year=YEAR,
        horizon=1,
        rate=0.05,
        seed=look.rows,
        bias=choice_bias(-float(ndtri(p)), -float(ndtri(needed))),
    )
    assert limit is not None
    return limit


def first_crossing(crossed: NDArray[np.bool_]) -> int | None:
    """The number of the first true value, from one; ``None`` where there is none."""
    return int(crossed.argmax()) + 1 if crossed.any() else None


def demoted_in_years(weeks: Sequence[int | None]) -> tuple[int, int]:
    """How many were demoted in the first year, and how many after it."""
    first = sum(week is not None and week <= YEAR // WEEK for week in weeks)
    return first, len(weeks) - weeks.count(None) - first


def seeds_of(first: int, worlds: int) -> list[int]:
    """A seed for each world."""
    return [first + 1000 * i for i in range(worlds)]


def share(count: int, n: int) -> str:
    """A share with its two one-sided 95 % bounds."""
    lower = betaincinv(count, n - count + 1, 0.05) if count else 0.0
    upper = betaincinv(count + 1, n - count, 0.95) if count < n else 1.0
    return f"{100 * count / n:.1f} % ({100 * lower:.1f}–{100 * upper:.1f})"


def median(weeks: list[int | None]) -> str:
    """Of the weeks, where at least half of the worlds have one."""
    middle = sorted(week if week is not None else 10**6 for week in weeks)[len(weeks) // 2]
    return str(middle) if middle < 10**6 else "more than two years"


def promotions_table(results: dict[Cell, list[tuple[int | None, int | None]]]) -> str:
    """Shares of worlds with a promotion within a year."""
    lines = [
        "| target | recipes | K | rows | skill | worlds | sequential | fixed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell, found in results.items():
        n = len(found)
        counts = [n - [each[rule] for each in found].count(None) for rule in (0, 1)]
        skill = f"{cell.skill:.2%}" if cell.skill else "none"
        lines.append(
            f"| {cell.kind} | {cell.recipes} | {cell.candidates} | {cell.history:,} | {skill} | "
            f"{n:,} | {share(counts[0], n)} | {share(counts[1], n)} |"
        )
    return "\n".join(lines)


def demotions_table(results: dict[Cell, list[Demotions]]) -> str:
    """Shares of true champions demoted within a year, and how soon an ended signal is found."""
    lines = [
        "| target | rows | skill | champions | demoted, sequential | in the second year | fixed |"
        " weeks to find its end, sequential | fixed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell, found in results.items():
        n = len(found)
        if not n:
            continue
        ours, later = demoted_in_years([each.living for each in found])
        fixed, _ = demoted_in_years([each.living_fixed for each in found])
        lines.append(
            f"| {cell.kind} | {cell.history:,} | {cell.skill:.1%} | {n:,} | {share(ours, n)} | "
            f"{share(later, n)} | {share(fixed, n)} | {median([each.dead for each in found])} | "
            f"{median([each.dead_fixed for each in found])} |"
        )
    return "\n".join(lines)


def promotion_cells(histories: tuple[int, ...], candidates: tuple[int, ...]) -> list[Cell]:
    """Worlds without a signal, and worlds with the skill of an attainable accuracy of 54 %."""
    cells = [
        Cell(kind, k, n, recipes)
        for recipes in get_args(Recipes)
        for kind in KINDS
        for k in candidates
        for n in histories
    ]
    return cells + [
        Cell(kind, k, n, skill=skill)
        for kind in KINDS
        for k in candidates
        for n in histories
        for skill in ((0.0064, 0.005) if kind == "direction" else (0.0064,))
    ]


def demotion_cells(histories: tuple[int, ...]) -> list[Cell]:
    """Worlds whose skill lasts, and ends."""
    return [
        Cell(kind, 4, n, skill=skill)
        for kind in KINDS
        for n in (histories if kind == "direction" else histories[-1:])
        for skill in (0.005, 0.01, 0.02)
    ]


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=500, help="for each line without a signal")
    parser.add_argument("--planted-worlds", type=int, default=200, help="for each other line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a few worlds of a few sorts")
    args = parser.parse_args()
    histories: tuple[int, ...] = (2000,) if args.quick else (2000, 5588)
    promotions = promotion_cells(histories, (4,) if args.quick else (4, 10))
    demotions = demotion_cells(histories)
    null, planted = (4, 2) if args.quick else (args.worlds, args.planted_worlds)
    if args.quick:
        promotions, demotions = promotions[::3], demotions[1:2]
    started = time.perf_counter()
    with Pool(args.processes) as pool:
        first = {}
        for cell in promotions:
            n = null if not cell.skill and cell.recipes == "the same" else planted
            first[cell] = pool.map(partial(promoted, cell), seeds_of(args.seed, n), chunksize=8)
        print(promotions_table(first), flush=True)
        second = {}
        for cell in demotions:
            found = pool.map(partial(demoted, cell), seeds_of(args.seed, planted), chunksize=8)
            second[cell] = [each for each in found if each is not None]
        print(f"\n{demotions_table(second)}")
    print(f"\n{LOOKS} looks in a year; {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
