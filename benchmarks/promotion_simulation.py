"""How often does a promotion rule promote noise, and how soon does it find skill?

Simulated worlds with a weekly retrain of four candidates over a year, and the forecast's real rule
(``fx_assets.evaluation.promotion.decide``) beside "promote if better". Prints a markdown table.

Run with ``python benchmarks/promotion_simulation.py --help``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import Pool

import numpy as np
import pandas as pd

from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.promotion import decide
from fx_assets.specs import ForecastSpec

WEEK = 5
NAIVE_ROWS = 250
NOISE = 0.03
PRIOR_ROWS = 1000
NAMES = ("logistic_regression", "random_forest", "xgboost", "persistence")
SPEC = ForecastSpec.model_validate(
    {
        "name": "simulated",
        "feed": "simulated",
        "target": {"kind": "direction", "horizon": 1},
        "candidates": list(NAMES),
        "suspicion": {"accuracy": 1, "roc_auc": 1, "skill": 1},
    }
)


@dataclass(frozen=True)
class World:
    """A simulated forecast: skill of the first candidate, and whether its signal has stopped.

    The first candidate adds the true edge to the share of ups so far, which gives it about
    ``skill`` against that baseline; the other candidates, and all of them where it is 0, add noise
    of standard deviation ``NOISE``.
    """

    skill: float
    stops: bool
    history: int
    weeks: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """Weeks (from 0) of the first promotion by each rule, and from there to the demotion."""

    ours: int | None
    naive: int | None
    demoted: int | None


def simulate(world: World) -> Outcome:
    """One world, week by week."""
    evidence = streams(world)
    ledger: list[Decision] = []
    for week in range(world.weeks + 1):
        known = world.history + week * WEEK
        seen = [Evidence(e.candidate, e.recipe, e.predictions.iloc[:known]) for e in evidence]
        as_of = seen[0].predictions["label_available_at"].iloc[-1].to_pydatetime()
        ledger += decide(SPEC, ledger, seen, as_of + timedelta(hours=2), as_of)
    promoted = _first(_weeks(ledger, "replace"))
    return Outcome(promoted, naive_promotion(evidence, world), _first(_weeks(ledger, "demote")))


def streams(world: World) -> list[Evidence]:
    """The walk-forward rows of baseline and candidates, for all weeks."""
    rng = np.random.default_rng(world.seed)
    n = world.history + world.weeks * WEEK
    edge = 0.5 * np.sqrt(world.skill) * rng.choice([-1.0, 1.0], n)
    lasting = np.arange(n) < world.history if world.stops else np.ones(n, dtype=bool)
    target = (rng.uniform(size=n) < 0.5 + edge * lasting).astype(np.float64)
    before = np.arange(n)
    baseline = (np.cumsum(target) - target + PRIOR_ROWS / 2) / (before + PRIOR_ROWS)
    times = pd.bdate_range("2000-01-03", periods=n + 1, tz="UTC").as_unit("us")
    rows = pd.DataFrame(
        {
            "event_time": times[:-1],
            "target": target,
            "baseline": baseline,
            "label_available_at": times[1:],
        }
    )
    said = {SPEC.baseline.name: baseline}
    for name in NAMES:
        said[name] = baseline + NOISE * rng.standard_normal(n)
    if world.skill > 0:
        said[NAMES[0]] = baseline + edge
    return [
        Evidence(name, name, rows.assign(prediction=prediction))
        for name, prediction in said.items()
    ]


def naive_promotion(evidence: list[Evidence], world: World) -> int | None:
    """First week in which a candidate's Brier score on the newest rows is below the champion's."""
    loss = np.column_stack(
        [np.square(e.predictions["target"] - e.predictions["prediction"]) for e in evidence]
    )
    for week in range(world.weeks + 1):
        known = world.history + week * WEEK
        if loss[known - NAIVE_ROWS : known].mean(axis=0).argmin() != 0:
            return week
    return None


def _weeks(ledger: list[Decision], verdict: str) -> Iterable[int]:
    first = ledger[0].data_as_of
    return ((d.data_as_of - first).days // 7 for d in ledger if d.verdict == verdict)


def _first(weeks: Iterable[int]) -> int | None:
    return next(iter(weeks), None)


def _share(count: int, n: int) -> str:
    from scipy.special import betaincinv

    lower, upper = (betaincinv(count + 0.5, n - count + 0.5, q) for q in (0.025, 0.975))
    return f"{100 * count / n:.0f} % ({100 * lower:.0f}–{100 * upper:.0f})"


def _median(weeks: list[int | None]) -> str:
    found = sorted(week for week in weeks if week is not None)
    return f"{found[len(found) // 2]}" if found else "–"


def table(groups: dict[str, list[Outcome]]) -> str:
    """The outcomes as markdown; shares with their 95 % Jeffreys interval."""
    lines = [
        "| world | worlds | promote if better: promoted | our rule: promoted | median week |"
        " demoted again | median week |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, outcomes in groups.items():
        n = len(outcomes)
        ours, naive, demoted = (
            [getattr(outcome, key) for outcome in outcomes] for key in ("ours", "naive", "demoted")
        )
        promoted = n - ours.count(None)
        lines.append(
            f"| {name} | {n} | {_share(n - naive.count(None), n)} | {_share(promoted, n)} | "
            f"{_median(ours)} | {_share(n - demoted.count(None), promoted) if promoted else '–'} | "
            f"{_median(demoted)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--null-worlds", type=int, default=120)
    parser.add_argument("--planted-worlds", type=int, default=24, help="for each skill")
    parser.add_argument("--history", type=int, default=2000, help="rows before the first week")
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()

    def worlds(count: int, skill: float, stops: bool = False) -> list[World]:
        weeks = args.weeks * 2 if stops else args.weeks
        return [
            World(skill, stops, args.history, weeks, args.seed + 1000 * index)
            for index in range(count)
        ]

    groups = {"no signal": worlds(args.null_worlds, 0.0)}
    for skill in (0.005, 0.01, 0.02):
        groups[f"skill {skill:.1%}"] = worlds(args.planted_worlds, skill)
    groups["skill 2.0% that stops before week 0, two years"] = worlds(
        args.planted_worlds // 2, 0.02, stops=True
    )
    started = time.perf_counter()
    with Pool(args.processes) as pool:
        found = {name: pool.map(simulate, group, chunksize=4) for name, group in groups.items()}
    print(table(found))
    print(
        f"\n{args.weeks} weekly decisions after {args.history:,} rows of history, "
        f"{len(NAMES)} candidates; {time.perf_counter() - started:.0f} s."
    )


if __name__ == "__main__":
    main()
