"""What every distribution must be, each check a sentence about one of them and one kind of target.

They have no door: all are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, get_args

import numpy as np
import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.evaluation.bootstrap import weight_parts
from fx_assets.evaluation.density import (
    Judged,
    calibration,
    fit_distribution,
    walk_distributions,
)
from fx_assets.evaluation.intervals import ewma_volatility
from fx_assets.evaluation.stated import DistributionModel
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.specs import ForecastSpec
from fx_assets.specs.distribution import DistributionName, DistributionSpec
from fx_assets.targets.metrics import means
from fx_assets.testing import worlds
from fx_assets.testing.require import require, require_same_bits

BARS, CUT = 2600, 2000
LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
CENTRES: Final = {"return": "zero", "volatility": "ewma"}
SLACK: Final = 4.0
"""Standard errors that a share of outcomes may be from its level."""


@dataclass(frozen=True)
class DistributionCase:
    """A distribution around what a simple family says."""

    family: DistributionName
    kind: str

    def __str__(self) -> str:
        return f"{self.family}-{self.kind}"


def cases_of(name: str) -> list[DistributionCase]:
    """Each kind of target that the distribution is of."""
    (family,) = (known for known in get_args(DistributionName) if known == name)
    kinds = ["return"] if family == "garch_t" else [*CENTRES]
    return [DistributionCase(family, kind) for kind in kinds]


@dataclass(frozen=True, eq=False)
class Walked:
    """What came of a case."""

    study: Study
    asked: DistributionSpec
    rows: pd.DataFrame
    volatility: pd.Series[float]
    judged: Judged


@cache
def walked(case: DistributionCase, bars: int) -> Walked:
    """A world of changing volatility, walked forward."""
    spec = ForecastSpec.model_validate(
        {
            "name": "tried",
            "feed": "world",
            "target": {"kind": case.kind},
            "candidates": [CENTRES[case.kind]],
            "walk_forward": {"first_test": "1990-01-01", "min_train": 500, "refit_every": 500},
            "quantiles": LEVELS,
            "distribution": case.family,
        }
    )
    return walk(spec, worlds.garch_world(BARS, 17)[:bars])


def walk(spec: ForecastSpec, bars: pd.DataFrame) -> Walked:
    """What the first candidate of a forecast says of daily bars, with its distributions."""
    frame = labelled_frame(bars, spec, calendar("target"))
    study, asked = Study(spec, frame), spec.density
    rows = study.walk_forward(spec.candidates[0]).predictions
    times = pd.DatetimeIndex(frame["event_time"])
    volatility = pd.Series(ewma_volatility(frame["log_return"]), index=times)
    require(asked is not None, "the forecast states nothing")
    assert asked is not None
    judged = walk_distributions(study, asked, rows, volatility)
    require(judged is not None, f"{len(rows)} rows are too few for it")
    assert judged is not None
    return Walked(study, asked, rows, volatility, judged)


def a_row_is_given_the_same_distribution_whatever_comes_later(case: DistributionCase) -> None:
    """Quantiles and transforms, to the last bit."""
    whole, part = (walked(case, bars).judged for bars in (BARS, CUT))
    n = len(part.event_time)
    require(0 < n < len(whole.event_time), f"{n} of {len(whole.event_time)} rows were judged")
    require_same_bits(part.quantiles, whole.quantiles[:n], "once later bars are known")
    require_same_bits(part.below, whole.below[:n], "once later bars are known")


def quantiles_ascend_and_hold_as_often_as_they_say(case: DistributionCase) -> None:
    """Of outcomes that came after they were said."""
    judged = walked(case, BARS).judged
    require((np.diff(judged.quantiles, axis=1) > 0).all(), "quantiles cross or coincide")
    for level, share in calibration(judged, LEVELS, 1).below:
        chance = np.sqrt(level * (1 - level) / len(judged.below))
        require(
            abs(share - level) <= SLACK * chance,
            f"{share:.1%} of outcomes are below the quantile of {level:.0%}",
        )


def it_is_better_than_the_distribution_without_skill(case: DistributionCase) -> None:
    """Where volatility changes: 95 % of the interval of the gain in CRPS lies above zero."""
    judged = walked(case, BARS).judged
    gained = judged.baseline_crps - judged.crps
    draws = [means(weights, gained)[0] for weights in weight_parts(len(gained), 1, 500, 0)]
    lower = float(np.quantile(np.concatenate(draws), 0.025))
    require(lower > 0, f"the gain's 95 % interval begins at {lower:.3g}")


def what_is_published_states_the_same_after_it_was_stored(case: DistributionCase) -> None:
    """As JSON, from the newest 500 returns."""
    found = walked(case, BARS)
    frame, said = found.study.frame, float(found.rows["prediction"].iloc[-1])
    model = fit_distribution(found.study, found.asked, found.rows, found.volatility)
    stored = DistributionModel.model_validate_json(model.model_dump_json())
    features = frame[found.study.columns].to_numpy(dtype=np.float64)[-1]
    made = model.of(said, frame["log_return"], features)
    again = stored.of(said, frame["log_return"].iloc[-500:], features)
    require(made is not None and made == again, f"{again} instead of {made}")
    assert made is not None
    values = made.quantiles(LEVELS)
    require(sorted(set(values)) == [*values], f"quantiles are {values}")


CHECKS: Final[list[Callable[[DistributionCase], None]]] = [
    a_row_is_given_the_same_distribution_whatever_comes_later,
    quantiles_ascend_and_hold_as_often_as_they_say,
    it_is_better_than_the_distribution_without_skill,
    what_is_published_states_the_same_after_it_was_stored,
]
