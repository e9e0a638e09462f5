"""How often does ``fx-assets compare`` hold up a change that does no harm, and one that does?

Each world is a pull request that changes some recipes of a forecast. In a null one the recipe after
is as good as the recipe before, and different: as after another seed, or an input that says
nothing. In a harmful one its mean loss is larger by two hundredths: by noise in its predictions, or
by a bias of constant size. What a pull request is told is what the command tells
(``fx_assets.comparing.verdict``). Prints a markdown table with exact 95 % bounds (Clopper and
Pearson).

Run with ``python -m benchmarks.compare_rates --help``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fx_assets.comparing.verdict import difference, words
from fx_assets.evaluation.losses import loss_for

Floats = NDArray[np.float64]
HARM = 0.02
SHARED, OWN = 0.15, 0.05
"""Standard deviation of what both recipes say beside the best forecast, and of what each one says
alone; of variances in logarithms, else in units of 0.3 standard deviations of the outcome."""
PERSISTENCE = 0.9
"""Of both, from row to row."""
Harm = Literal["none", "noise", "bias"]


@dataclass(frozen=True)
class Case:
    """A kind of target, a horizon and how many rows are judged."""

    kind: str
    horizon: int
    rows: int

    @property
    def text(self) -> str:
        return f"{self.kind}, {self.horizon} bar{'s' * (self.horizon > 1)}, {self.rows:,} rows"


HARMS: tuple[Harm, ...] = ("none", "noise", "bias")
CASES = tuple(
    Case(kind, horizon, rows)
    for kind, horizon in (("direction", 1), ("return", 1), ("volatility", 1), ("volatility", 20))
    for rows in (2000, 5588)
)


def blocked(case: Case, harm: Harm, recipes: int, seed: int) -> bool:
    """Whether a pull request is held up that changes ``recipes``, the first with a harm."""
    rng = np.random.default_rng([seed, recipes, case.rows, case.horizon, len(case.kind)])
    target, scale = _outcomes(case, rng)
    found = []
    for k in range(recipes):
        shared = SHARED * _walk(rng, case.rows, PERSISTENCE)
        ours, theirs = (shared + OWN * _walk(rng, case.rows, PERSISTENCE) for _ in range(2))
        before = _said(case, scale, ours)
        if harm != "none" and k == 0:
            loss = float(loss_for(case.kind)(target, before).mean())
            size = np.sqrt(HARM * loss / _cost(case, scale))
            theirs += size * (rng.standard_normal(case.rows) if harm == "noise" else 1.0)
        after = _said(case, scale, theirs)
        found.append(difference(case.kind, case.horizon, target, before, after))
    return "worse" in words(found)


def _outcomes(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """What comes, and the best that could have been said of its size."""
    n = case.rows + case.horizon
    log_level = np.log(1e-4) + _walk(rng, n, 0.98) * 0.5
    returns = np.exp(log_level / 2) * rng.standard_t(6, n) / np.sqrt(1.5)
    if case.kind == "direction":
        return (rng.random(case.rows) < 0.5).astype(float), np.full(case.rows, 0.5)
    if case.kind == "return":
        return returns[: case.rows], np.full(case.rows, float(returns.std()))
    squares = np.concatenate([[0.0], np.cumsum(returns**2)])
    rows = np.arange(case.rows)
    level = np.concatenate([[0.0], np.cumsum(np.exp(log_level))])
    return tuple(sums[rows + case.horizon] - sums[rows] for sums in (squares, level))


def _said(case: Case, scale: Floats, stray: Floats) -> Floats:
    if case.kind == "volatility":
        return scale * np.exp(stray)
    said = (0.5 if case.kind == "direction" else 0.0) + 0.3 * scale * stray
    return np.clip(said, 0.01, 0.99) if case.kind == "direction" else said


def _cost(case: Case, scale: Floats) -> float:
    """What a unit of squared stray adds to the mean loss."""
    return 0.5 if case.kind == "volatility" else float((0.3 * scale).mean() ** 2)


def _walk(rng: np.random.Generator, n: int, persistence: float) -> Floats:
    """A stationary series with mean 0 and variance 1."""
    from scipy.signal import lfilter

    noise = rng.standard_normal(n) * np.sqrt(1 - persistence**2)
    noise[0] = rng.standard_normal()
    return np.asarray(lfilter([1], [1, -persistence], noise), dtype=np.float64)


def _bounds(hits: int, n: int) -> str:
    from scipy.stats import beta

    low = beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    return f"{100 * hits / n:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=500, help="pull requests a cell")
    parser.add_argument("--recipes", type=int, nargs="+", default=[1, 5], help="changed by each")
    options = parser.parse_args()
    began = time.monotonic()
    print(f"Held up, of {options.worlds} simulated pull requests a cell, with 95 % bounds.\n")
    print("| target | recipes changed | no harm | 2 % by noise | 2 % by a bias |")
    print("|---|---|---|---|---|")
    for case in CASES:
        for recipes in options.recipes:
            cells = [
                sum(blocked(case, harm, recipes, seed) for seed in range(options.worlds))
                for harm in HARMS
            ]
            told = " | ".join(_bounds(hits, options.worlds) for hits in cells)
            print(f"| {case.text} | {recipes} | {told} |", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
