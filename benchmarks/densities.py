"""How much distributions of EUR/USD returns and variances gain on those without skill.

Run ``python -m benchmarks.densities`` (some three minutes); ``--quick`` takes one forecast of the
newest years. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache, partial

import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.evaluation.density import (
    Judged,
    calibration,
    density_scores,
    walk_distributions,
)
from fx_assets.evaluation.intervals import ewma_volatility
from fx_assets.evaluation.metrics import skill_interval
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.specs import ForecastSpec
from fx_assets.specs.distribution import LEVELS, DistributionName, DistributionSpec
from fx_assets.testing import worlds

FORECASTS: tuple[tuple[str, int, str, DistributionName], ...] = (
    ("return", 1, "zero", "garch_t"),
    ("return", 1, "zero", "conformal"),
    ("return", 1, "zero", "quantile_xgboost"),
    ("return", 5, "zero", "garch_t"),
    ("return", 20, "zero", "garch_t"),
    ("volatility", 1, "garch", "conformal"),
    ("volatility", 1, "garch", "quantile_xgboost"),
    ("volatility", 1, "garch", "quantile_lightgbm"),
    ("volatility", 20, "garch", "conformal"),
    ("volatility", 20, "garch", "quantile_xgboost"),
)
QUICK_BARS = 2600


class Walked:
    """What a family says of a forecast, walked forward, and the distributions around it."""

    def __init__(self, bars: pd.DataFrame, kind: str, horizon: int, centre: str) -> None:
        self.spec = ForecastSpec.model_validate(
            {
                "name": "density",
                "feed": "ecb_eurusd",
                "target": {"kind": kind, "horizon": horizon},
                "candidates": [centre],
                "distribution": "conformal",
            }
        )
        frame = labelled_frame(bars, self.spec, calendar("target"))
        self.study = Study(self.spec, frame)
        self.rows = self.study.walk_forward(self.spec.candidates[0]).predictions
        times = pd.DatetimeIndex(frame["event_time"])
        self.volatility = pd.Series(ewma_volatility(frame["log_return"]), index=times)
        self.conformal = self.judged("conformal")

    def judged(self, family: DistributionName) -> Judged | None:
        """The distributions of one family."""
        asked = DistributionSpec(family=family, quantiles=LEVELS)
        return walk_distributions(self.study, asked, self.rows, self.volatility)

    def row(self, family: DistributionName) -> str:
        """The scores of one family as a row of the table."""
        target, centre = self.spec.target, self.spec.candidates[0].name
        first = f"| {target.kind}, {target.horizon} | {family} around {centre} |"
        judged = self.conformal if family == "conformal" else self.judged(family)
        if judged is None or self.conformal is None:
            return f"{first} too few rows | | | | | |"
        found = calibration(judged, LEVELS, target.horizon)
        scores = {str(s[0]): s[1:4] for s in density_scores(judged, found, target.horizon)}
        gained = "{:+.3f} ({:+.3f} to {:+.3f})".format(*scores["log_score_gain"])
        better = "{:+.1%} ({:+.1%} to {:+.1%})".format(*scores["crps_skill"])
        lost = skill_interval(judged.pinball, self.conformal.pinball, target.horizon)
        beside = "" if family == "conformal" else "{:+.2%} ({:+.2%} to {:+.2%})".format(*lost)
        shares = ", ".join(f"{share:.1%}" for _, share in (found.below[0], found.below[-1]))
        return (
            f"{first} {gained} | {better} | {beside} | {shares} | "
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
        "quantile loss gained on conformal | below the 5 % and 95 % quantiles | PIT distance | "
        "rows |\n|---|---|---|---|---|---|---|---|"
    )
    walked = cache(partial(Walked, bars))
    for kind, horizon, centre, family in FORECASTS[:1] if quick else FORECASTS:
        print(walked(kind, horizon, centre).row(family), flush=True)


if __name__ == "__main__":
    main()
