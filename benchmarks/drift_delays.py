"""How often the drift report cries wolf, and how soon it finds what is wrong, in days.

Run ``python -m benchmarks.drift_delays`` (about a minute); prints Markdown tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy.stats import chi2

from fx_assets.features import feature_set
from fx_assets.monitoring.broken import faults_of_features, implausible
from fx_assets.monitoring.calibration import calibrate
from fx_assets.monitoring.relation import cusum, cusum_limit
from fx_assets.testing import worlds
from fx_assets.testing.drift_worlds import (
    RULE,
    YEAR,
    Plant,
    Watched,
    doubled_volatility,
    garch_returns,
    level_shift,
    returns_of,
    shuffled_ecb_returns,
    untouched,
    walk_returns,
)

HISTORY = 5000
WORLDS = 24
REAL_YEARS = 20
PROCESSES = 2
SOURCES: dict[str, Callable[[int, int], np.ndarray]] = {
    "random walk": walk_returns,
    "GARCH(1,1)": garch_returns,
    "EUR/USD in shuffled quarters": shuffled_ecb_returns,
}


def tripled_volatility(returns: np.ndarray, _: float) -> np.ndarray:
    """Trebled volatility."""
    return 3 * returns


def half_level(returns: np.ndarray, std: float) -> np.ndarray:
    """The mean return rises by half a standard deviation."""
    return returns + std / 2


PLANTS: dict[str, Plant] = {
    "mean return + 1/2 sd": half_level,
    "mean return + 1 sd": level_shift,
    "volatility doubled": doubled_volatility,
    "volatility trebled": tripled_volatility,
}


def false_alarms(source: str, history: int, seed: int) -> int:
    """Alarms of the columns in two quiet years."""
    live = 2 * YEAR
    return Watched(SOURCES[source](history + live, seed), live, untouched).false_alarms


def real_alarms(first: int) -> int:
    """Alarms of the columns in a year of EUR/USD, with limits from the ``first`` rows before it."""
    returns = returns_of(worlds.ecb_bars())
    return Watched(returns[: first + YEAR], YEAR, untouched).false_alarms


def delay(source: str, plant: str, history: int, seed: int) -> int | None:
    """Days until a planted change is found, or None if it is not within a year."""
    return Watched(SOURCES[source](history + YEAR, 1000 + seed), YEAR, PLANTS[plant]).delay


def relation_delay(said: float, true: float, seed: int) -> int | None:
    """Days until losses show that a model which says 1/2 +- ``said``/2 is right no more."""
    noise = np.random.default_rng(seed)

    def excess(edge: float, n: int) -> np.ndarray:
        side = noise.choice([-1.0, 1.0], n)
        up = noise.random(n) < 0.5 + side * edge / 2
        return np.asarray((up - 0.5 - side * said / 2) ** 2 - 0.25)

    past, now = excess(said, 3000), excess(true, 3 * YEAR)
    mean, std = past.mean(), past.std()
    limit = cusum_limit((past - mean) / std, 1, RULE.relation_alarms_a_year, 0, YEAR)
    above = np.flatnonzero(cusum((now - mean) / std) > limit)
    return int(above[0]) + 1 if len(above) else None


def median_and_found(delays: Sequence[int | None]) -> tuple[str, str, str]:
    """Median delay, its 90 % quantile, and the share found."""
    known = [float("inf") if d is None else d for d in delays]
    texts = []
    for level in (0.5, 0.9):
        value = float(np.quantile(known, level, method="higher"))
        texts.append("not found" if np.isinf(value) else f"{value:.0f}")
    return texts[0], texts[1], f"{100 * np.isfinite(known).mean():.0f} %"


def broken_table(most: int | None) -> list[str]:
    """Days until faults of ``most`` columns are named, with prices at hand and without."""
    world = Watched(garch_returns(3000, 7), 60)
    frame, columns = world.frame, feature_set("fx_close").columns
    faults: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
        "constant": lambda x, before: np.full_like(x, before),
        "scaled x100": lambda x, _: 100 * x,
        "sign flipped": lambda x, _: -x,
        "shuffled": lambda x, _: x[::-1],
        "one day stale": lambda x, before: np.concatenate([[before], x[:-1]]),
    }
    window = RULE.window
    names = _calibrated(world)[::2][:most]
    lines = ["| fault | recomputed from prices | plausibility alone |", "|---|---|---|"]
    for fault, change in faults.items():
        exact: list[int | None] = []
        alone: list[int | None] = []
        for name in names:
            truth = frame[name].to_numpy()
            found_exact = found_alone = None
            for day in range(1, window + 1):
                values = truth.copy()
                start = len(values) - window
                values[start : start + day] = change(
                    truth[start : start + day].copy(), truth[start - 1]
                )
                seen = frame.assign(**{name: values}).iloc[: start + day]
                upto = frame.iloc[: start + day]
                if found_exact is None and faults_of_features(seen, upto, (name,), window):
                    found_exact = day
                newest, past = values[start + day - window : start + day], truth[300:start]
                if found_alone is None and implausible(name, newest, past):
                    found_alone = day
                if found_exact and found_alone:
                    break
            exact.append(found_exact)
            alone.append(found_alone)
        texts = [
            f"median day {m}, {share} of {len(names)} columns"
            for m, _, share in (median_and_found(exact), median_and_found(alone))
        ]
        lines.append(f"| {fault} | {texts[0]} | {texts[1]} |")
    assert set(names) <= set(columns)
    return lines


def _calibrated(world: Watched) -> list[str]:
    """The columns that are tested for drift."""
    reference = world.monitored.iloc[:-60]
    return [c.name for c in calibrate(reference, RULE.window, 1.0, YEAR).columns]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=WORLDS, help="of each kind (%(default)s)")
    parser.add_argument("--history", type=int, default=HISTORY, help="rows before (%(default)s)")
    parser.add_argument("--real-years", type=int, default=REAL_YEARS, help="of EUR/USD")
    parser.add_argument("--columns", type=int, help="that are broken (default: every second)")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="default %(default)s")
    asked = parser.parse_args()
    history, worlds_of_each = asked.history, range(asked.worlds)
    started = time.perf_counter()
    with ProcessPoolExecutor(asked.processes) as pool:
        rates = {
            source: [pool.submit(false_alarms, source, history, seed) for seed in worlds_of_each]
            for source in SOURCES
        }
        real = [pool.submit(real_alarms, 2000 + YEAR * year) for year in range(asked.real_years)]
        delays = {
            (plant, source): [
                pool.submit(delay, source, plant, history, s) for s in worlds_of_each[::2]
            ]
            for plant in PLANTS
            for source in SOURCES
        }
        relations = {
            (said, true): [pool.submit(relation_delay, said, true, s) for s in worlds_of_each]
            for said, true in ((0.3, -0.3), (0.2, -0.2), (0.2, 0.0))
        }
        promised = RULE.column_alarms_a_year
        print(f"| nothing changes | alarms a year (promised {promised:g}) | 95 % interval |")
        print("|---|---|---|")
        quiet = {source: (2 * len(found), found) for source, found in rates.items()}
        quiet["EUR/USD as it was, year by year"] = (len(real), real)
        for source, (years, found) in quiet.items():
            count = sum(future.result() for future in found)
            low = chi2.ppf(0.025, 2 * count) / 2 / years if count else 0.0
            high = chi2.ppf(0.975, 2 * count + 2) / 2 / years
            print(f"| {source} | {count / years:.2f} | {low:.2f} to {high:.2f} |")
        print("\n| change | world | median days | 90 % within | found in a year |")
        print("|---|---|---|---|---|")
        for (plant, source), found in delays.items():
            cells = " | ".join(median_and_found([future.result() for future in found]))
            print(f"| {plant} | {source} | {cells} |")
        for (said, true), found in relations.items():
            m, q, share = median_and_found([future.result() for future in found])
            what = "turns round" if true else "ends"
            print(
                f"| relation of {50 + 50 * said:.0f} % hits {what} | coin | {m} | {q} | "
                f"{share} in three years |"
            )
    print("\n" + "\n".join(broken_table(asked.columns)))
    print(f"\n{time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
