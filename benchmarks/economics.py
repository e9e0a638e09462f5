"""How often does a backtest without an edge look like one, and is an edge net of its costs found?

Random-walk prices followed by recipes without skill, and prices whose drift has a sign that lasts,
which one recipe of several sees through noise. Each world is weighed by what a forecast is weighed
by: positions one bar late, costs, the best Sharpe ratio, deflated by the number of recipes. Prints
a markdown table.

Run with ``python -m benchmarks.economics --help``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from datetime import date
from functools import cache
from multiprocessing import Pool

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from fx_assets.calendars import calendar
from fx_assets.evaluation.deflation import deflated_sharpe, overfitting, sharpe
from fx_assets.evaluation.strategy import Prices, earn
from fx_assets.specs.strategy import StrategySpec
from fx_assets.targets import target_definition

MARKET = calendar("24x5|1d||0")
SIGMA = 0.0055
REGIME = 60
"""Bars for which a drift keeps its sign in the mean."""
SEEN = 3
"""Bars that the recipe which sees the drift looks back on."""
SURE = 0.95


@dataclass(frozen=True)
class World:
    """``edge``: the drift of a bar, in basis points; ``cost``: of a side of a trade, in these."""

    seed: int
    bars: int
    recipes: int
    kind: str
    edge: float = 0.0
    cost: float = 1e-6


@dataclass(frozen=True)
class Found:
    """Of the best recipe: the probability that its Sharpe ratio is above zero, deflated or not."""

    plain: float
    deflated: float
    overfit: float
    gross: float
    net: float


def simulate(world: World) -> Found:
    """One world."""
    draws = np.random.default_rng(world.seed)
    signs = np.where(np.cumsum(draws.random(world.bars) < 1 / REGIME) % 2, 1.0, -1.0)
    drift = world.edge * 1e-4 * signs
    returns = SIGMA * draws.standard_normal(world.bars) + drift
    times = _times(world.bars)
    at = pd.DatetimeIndex(times).tz_localize("UTC")
    spec = StrategySpec.model_validate(
        {
            "kind": "sign",
            "costs": {
                "unit": "basis_points",
                "spread": 2 * world.cost,
                "commission": 0,
                "swap_long": 0,
                "swap_short": 0,
            },
        }
    )
    bars = pd.DataFrame({"event_time": at, "close": np.exp(np.cumsum(returns))})
    prices = Prices.of(bars, MARKET, spec, "EURUSD")
    definition = target_definition("return")
    earned = []
    for place in range(world.recipes):
        said = _signal(world, place, returns, draws)
        if world.edge and place == 0:
            said = drift + 1.5 * world.edge * 1e-4 * draws.standard_normal(world.bars)
            said = _mean(said, SEEN)
        rows = pd.DataFrame({"event_time": at, "prediction": said})
        earned.append(earn(rows, prices, spec, definition, 1, MARKET.bars_a_year))
    ratios = np.array([sharpe(each.net) for each in earned])
    best = earned[int(np.argmax(ratios))]
    nets = np.column_stack([each.net for each in earned])
    return Found(
        plain=deflated_sharpe(best.net, 1),
        deflated=deflated_sharpe(best.net, world.recipes),
        overfit=overfitting(nets),
        gross=float(earned[0].gross.mean()) * 1e4,
        net=float(earned[0].net.mean()) * 1e4,
    )


def _signal(
    world: World, place: int, returns: NDArray[np.float64], draws: np.random.Generator
) -> NDArray[np.float64]:
    """What a recipe without skill says: of noise, or of one noise that all share, or a trend."""
    if world.kind == "trend":
        return _mean(returns, 5 * 2**place)
    own = draws.standard_normal(world.bars)
    if world.kind == "alike":
        return 3 * np.random.default_rng([world.seed, 1]).standard_normal(world.bars) + own
    return own


def _mean(values: NDArray[np.float64], bars: int) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(values)])
    begin = np.maximum(0, np.arange(1, len(values) + 1) - bars)
    return (total[1:] - total[begin]) / (np.arange(1, len(values) + 1) - begin)


@cache
def _times(bars: int) -> NDArray[np.datetime64]:
    times: NDArray[np.datetime64] = MARKET.closes(date(1999, 1, 4), date(2025, 1, 1))[:bars]
    return times


def _upper(hits: int, n: int) -> float:
    """The one-sided 95 % Clopper-Pearson bound."""
    return 1.0 if hits == n else float(beta.ppf(0.95, hits + 1, n - hits))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=1000, help="without an edge, each row")
    parser.add_argument("--planted", type=int, default=100, help="with one, each row")
    parser.add_argument("--bars", type=int, default=5588)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="20 worlds of 1,200 bars")
    asked = parser.parse_args()
    worlds, planted, bars = (
        (20, 5, 1200) if asked.quick else (asked.worlds, asked.planted, asked.bars)
    )
    started = time.process_time()
    print(f"{worlds} random walks a row: the best of the recipes has a Sharpe ratio above zero\n")
    print("| recipes | bars | probability above 0.95 | deflated | 95 % bound | overfitting |")
    print("|---|---|---|---|---|---|")
    with Pool(asked.processes) as pool:
        for kind, recipes, n in (
            ("noise", 4, 2000),
            ("noise", 4, bars),
            ("noise", 10, bars),
            ("alike", 4, bars),
            ("trend", 6, bars),
        ):
            asks = [World(seed, min(n, bars), recipes, kind) for seed in range(worlds)]
            found = pool.map(simulate, asks, chunksize=10)
            plain = sum(each.plain > SURE for each in found)
            hits = sum(each.deflated > SURE for each in found)
            print(
                f"| {recipes} of {kind} | {min(n, bars):,} | {plain / worlds:.1%} "
                f"| **{hits / worlds:.1%}** | {_upper(hits, worlds):.1%} "
                f"| {np.mean([each.overfit for each in found]):.2f} |"
            )
        print(f"\n{planted} worlds a row with an edge that one of four recipes sees\n")
        print("| edge a bar | cost a side | before costs | after costs | found | overfitting |")
        print("|---|---|---|---|---|---|")
        for edge, cost in ((10.0, 1e-6), (10.0, 1.0), (10.0, 4.0), (10.0, 30.0), (4.0, 1.0)):
            asks = [World(seed, bars, 4, "noise", edge, cost) for seed in range(planted)]
            found = pool.map(simulate, asks, chunksize=5)
            share = np.mean([each.deflated > SURE for each in found])
            gross, net = (np.mean([getattr(each, k) for each in found]) for k in ("gross", "net"))
            print(
                f"| {edge:g} bp | {cost if cost >= 0.1 else 0:g} bp | {gross:+.2f} bp a bar "
                f"| {net:+.2f} bp a bar | {share:.0%} "
                f"| {np.mean([each.overfit for each in found]):.2f} |"
            )
    print(f"\n{time.process_time() - started:.0f} s of CPU beside the worlds'")


if __name__ == "__main__":
    main()
