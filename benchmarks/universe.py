"""How long a universe takes by its number of instruments, and how often it claims too much.

Instruments are simulated random walks on TARGET days, through the same functions as the real
universe: membership, walk-forward, skill with corrected p-values, newest predictions. Read the
processor seconds an instrument; machines differ. ``--worlds`` repeats the 40 with other seeds and
counts the worlds in which any skill was claimed; the truth is none.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.components.declared import declared
from fx_assets.evaluation.universe import walk_universe
from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import judgeable_rows, skill_of
from fx_assets.lake import Lake
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.panel_decide import decide_panel
from fx_assets.stages.panel_issue import issue_panel

FIRST, LAST = "2010-01-04", "2022-12-30"
LOAD = """
import time
started = time.perf_counter()
from fx_assets.definitions import defs
found = defs()
keys = len(found.resolve_asset_graph().get_all_asset_keys())
print(time.perf_counter() - started, keys)
"""


def simulated(spec: UniverseSpec, instruments: int, bars: int, seed: int) -> pd.DataFrame:
    """Random walks with a volatility of 0.3 to 1.2 % a day, as a table of prices."""
    market, rng = calendar("target"), np.random.default_rng(seed)
    closes = market.closes(pd.Timestamp(FIRST).date(), pd.Timestamp(LAST).date())[:bars]
    times = pd.DatetimeIndex(closes).tz_localize("UTC")
    known = pd.DatetimeIndex(market.published(closes)).tz_localize("UTC")
    steps = rng.standard_normal((bars, instruments)) * np.geomspace(0.003, 0.012, instruments)
    prices = np.exp(np.cumsum(steps, axis=0))
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "instrument": spec.instrument(currency(i)),
                    "event_time": times,
                    "available_at": known,
                    "close": prices[:, i],
                }
            )
            for i in range(instruments)
        ],
        ignore_index=True,
    )


def currency(number: int) -> str:
    """Three letters that no currency has."""
    return f"X{chr(65 + number // 26)}{chr(65 + number % 26)}"


def cpu_seconds() -> float:
    """Processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def run(spec: UniverseSpec, prices: pd.DataFrame) -> tuple[list[float], pd.DataFrame]:
    """Wall seconds of walk-forward, skill and predictions, and of nothing new; the skill table."""
    marks = [time.perf_counter()]
    members = membership(prices, spec.membership, spec.market)
    rows = walk_universe(spec, prices, members, pd.DataFrame())
    marks.append(time.perf_counter())
    judged = judgeable_rows(spec, rows, members)
    skill = skill_of(spec, judged)
    marks.append(time.perf_counter())
    newest = prices["available_at"].max().to_pydatetime()
    with TemporaryDirectory() as folder:
        lake = Lake(folder)
        tables = {"prices": prices, "universe": members, "backtest": rows, "skill": skill}
        for name, table in tables.items():
            lake.replace(name, spec.name, table)
        decide_panel(spec, lake, skill, judged, newest)
        issue_panel(spec, lake, sorted(prices["instrument"].unique()), newest)
    marks.append(time.perf_counter())
    assert walk_universe(spec, prices, members, rows).empty
    marks.append(time.perf_counter())
    return np.diff(marks).tolist(), skill


def loading() -> str:
    """How long the definitions take to load in a fresh process, and how many assets they have."""
    environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "yes"}
    command = [sys.executable, "-c", LOAD]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seconds, assets = answer.stdout.split()[-2:]
    return f"{float(seconds):.2f} s, {assets} assets"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 40, 160, 500])
    parser.add_argument("--bars", type=int, default=2500)
    parser.add_argument("--worlds", type=int, default=0)
    options = parser.parse_args(arguments)
    spec = next(iter(declared().universes.values()))
    print(f"definitions: {loading()}, whatever the number of instruments\n")
    print("| instruments | walk-forward s | skill s | predictions s | nothing new s | CPU s each |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        prices, before = simulated(spec, size, options.bars, seed=size), cpu_seconds()
        seconds, _ = run(spec, prices)
        each = (cpu_seconds() - before) / size
        print(f"| {size} | " + " | ".join(f"{s:.1f}" for s in seconds) + f" | {each:.2f} |")
    if options.worlds:
        claims = knowing = 0
        for seed in range(options.worlds):
            _, skill = run(spec, simulated(spec, 40, options.bars, seed=1000 + seed))
            claims += bool(skill["skill_demonstrated"].any())
            knowing += bool((skill["p_holm_clark_west"] < spec.significance).any())
        print(
            f"\n{options.worlds} worlds of 40 random walks, {int(skill['tests'].max())} tests each:"
            f" skill claimed in {claims}, Clark-West alone below 5 % after correction in {knowing}"
        )


if __name__ == "__main__":
    main()
