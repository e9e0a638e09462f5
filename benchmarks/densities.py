"""How much distributions of EUR/USD returns and variances gain on those without skill.

Run ``python -m benchmarks.densities`` (about a minute); ``--quick`` takes one forecast of the
newest years. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.evaluation.density import calibration, density_scores, walk_distributions
from fx_assets.evaluation.intervals import ewma_volatility
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.specs import ForecastSpec
from fx_assets.testing import worlds

FORECASTS = (
    ("return", 1, "zero", "garch_t"),
    ("return", 1, "zero", "conformal"),
    ("return", 5, "zero", "garch_t"),
    ("return", 20, "zero", "garch_t"),
    ("volatility", 1, "garch", "conformal"),
    ("volatility", 20, "garch", "conformal"),
)
QUICK_BARS = 2600


def row(bars: pd.DataFrame, kind: str, horizon: int, centre: str, family: str) -> str:
    """The scores of one walk-forward as a row of the table."""
    spec = ForecastSpec.model_validate(
        {
            "name": "density",
            "feed": "ecb_eurusd",
            "target": {"kind": kind, "horizon": horizon},
            "candidates": [centre],
            "distribution": family,
        }
    )
    frame = labelled_frame(bars, spec, calendar("target"))
    study = Study(spec, frame)
    rows = study.walk_forward(spec.candidates[0]).predictions
    times = pd.DatetimeIndex(frame["event_time"])
    volatility = pd.Series(ewma_volatility(frame["log_return"]), index=times)
    asked = spec.density
    judged = None if asked is None else walk_distributions(study, asked, rows, volatility)
    if asked is None or judged is None:
        return f"| {kind}, {horizon} | {family} | too few rows | | | | |"
    found = calibration(judged, asked.quantiles, horizon)
    scores = {str(line[0]): line[1:4] for line in density_scores(judged, found, horizon)}
    gained = "{:+.3f} ({:+.3f} to {:+.3f})".format(*scores["log_score_gain"])
    better = "{:+.1%} ({:+.1%} to {:+.1%})".format(*scores["crps_skill"])
    shares = ", ".join(f"{share:.1%}" for _, share in (found.below[0], found.below[-1]))
    return (
        f"| {kind}, {horizon} | {family} around {centre} | {gained} | {better} | {shares} | "
        f"{found.distance:.3f} (p {found.p_value:.2g}) | {found.n:,} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one forecast of the newest years")
    quick = parser.parse_args(arguments).quick
    bars = worlds.ecb_bars()
    if quick:
        bars = bars.iloc[-QUICK_BARS:].reset_index(drop=True)
    print(
        "| EUR/USD, bars ahead | distribution | log score gained, nats a row | CRPS gained | "
        "below the 5 % and 95 % quantiles | PIT distance | rows |\n|---|---|---|---|---|---|---|"
    )
    for one in FORECASTS[:1] if quick else FORECASTS:
        print(row(bars, *one), flush=True)


if __name__ == "__main__":
    main()
