"""What pools gain on their best member, and how often intervals held, of the five ECB forecasts.

Run ``python -m benchmarks.pools`` (about a minute of CPU); ``--quick`` takes the newest years and
one pool of each kind. Prints two Markdown tables. Members of directions are calibrated.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.evaluation.coverage import coverage_scores
from fx_assets.evaluation.intervals import ewma_volatility, learn_intervals
from fx_assets.evaluation.metrics import skill_interval
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.specs import ForecastSpec
from fx_assets.testing import worlds

WEIGHTS = ("equal", "trailing", "stacked", "hedged")
POOLS = (
    ("EURUSD", "volatility", 20, ("garch", "xgboost")),
    ("EURUSD", "volatility", 1, ("garch", "xgboost")),
    ("EURUSD", "return", 1, ("zero", "historical_mean", "ridge")),
    ("EURUSD", "direction", 1, ("base_rate", "logistic_regression", "xgboost")),
    ("GBPUSD", "direction", 1, ("base_rate", "logistic_regression", "xgboost")),
)
QUICK_POOLS = (
    ("EURUSD", "volatility", 20, ("garch", "ewma")),
    ("GBPUSD", "direction", 1, ("base_rate", "logistic_regression")),
)
QUICK_BARS = 2600


def study_of(
    pair: str, kind: str, horizon: int, members: Sequence[str], newest: int | None = None
) -> Study:
    """A study of these members and of a pool of them for each way to weigh."""
    bars = worlds.ecb_bars(pair[:3], pair[3:])
    if newest is not None:
        bars = bars.iloc[-newest:].reset_index(drop=True)
    pools = [
        {"family": "pool", "name": how, "members": [*members], "weights": how} for how in WEIGHTS
    ]
    spec = ForecastSpec.model_validate(
        {
            "name": pair.lower(),
            "feed": "ecb_eurusd",
            "target": {"kind": kind, "horizon": horizon},
            "candidates": [*members, *pools],
        }
    )
    return Study(spec, labelled_frame(bars, spec, calendar("target")))


def gains(study: Study) -> Iterator[str]:
    """What each pool gains on its best member and on the baseline, with 95 % intervals."""
    target, loss = study.spec.target, study.spec.target.definition.loss
    rows = {c.name: study.walk_forward(c).predictions for c in study.spec.all_candidates}
    lost = {name: loss(table["target"], table["prediction"]) for name, table in rows.items()}
    members = study.spec.candidates[-1].members
    best = min(members, key=lambda name: float(np.mean(lost[name])))
    for how in WEIGHTS:
        on_best, on_baseline = (
            "{:+.2%} ({:+.2%} to {:+.2%})".format(*skill_interval(lost[how], other, target.horizon))
            for other in (lost[best], lost[study.spec.baseline.name])
        )
        yield (
            f"| {_title(study)} | {', '.join(members)} | {how} | {best} | "
            f"{on_best} | {on_baseline} | {len(lost[how]):,} |"
        )


def coverages(study: Study) -> Iterator[str]:
    """How often the intervals of the members and of the equal pool held."""
    spec, frame = study.spec, study.frame
    times = pd.DatetimeIndex(frame["event_time"])
    volatility = pd.Series(ewma_volatility(frame["log_return"]), index=times)
    for candidate in (c for c in spec.all_candidates if c.name not in WEIGHTS[1:]):
        rows = study.walk_forward(candidate).predictions
        learned = learn_intervals(rows, spec.target, spec.coverage, volatility)
        table = coverage_scores(learned, rows, volatility, spec.target.horizon)
        told = table.set_index("metric").to_dict("index")
        if not told:
            continue
        shares = [
            f"{told[name]['value']:.1%}" if name in told else ""
            for name in ("coverage_calm", "coverage_wild", "coverage_2008", "coverage_worst")
        ]
        whole, price = told["coverage"], told["interval_score"]
        yield (
            f"| {_title(study)} | {candidate.name} | "
            f"{'split' if learned.model.levels is None else 'adaptive'} | {whole['value']:.1%} "
            f"({whole['lower']:.1%} to {whole['upper']:.1%}) | {' | '.join(shares)} | "
            f"{price['value'] / price['baseline_value'] - 1:+.1%} | {whole['n']:,} |"
        )


def _title(study: Study) -> str:
    spec = study.spec
    return f"{spec.name.upper()} {spec.target.kind}, {spec.target.horizon}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two pools of the newest years")
    quick = parser.parse_args(arguments).quick
    newest = QUICK_BARS if quick else None
    studies = [study_of(*pool, newest=newest) for pool in (QUICK_POOLS if quick else POOLS)]
    print(
        "| forecast, bars ahead | members | weights | best member | gain on it | skill | rows |\n"
        "|---|---|---|---|---|---|---|"
    )
    for study in studies:
        print(*gains(study), sep="\n", flush=True)
    print(
        "\n| 90 % intervals, bars ahead | of | method | held | calm | wild | 2008 | worst 500 | "
        "interval score on split | rows |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for study in studies:
        for line in coverages(study):
            print(line, flush=True)


if __name__ == "__main__":
    main()
