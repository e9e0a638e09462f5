"""Return: the log return to the close ``horizon`` bars ahead."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx_assets.calendars import Frequency
from fx_assets.targets.base import Floats
from fx_assets.targets.outcomes import Real
from fx_assets.targets.plausible import Measure, hit_rate, share_explained
from fx_assets.targets.shown import ValueFormat, Wording


class LogReturn(Real):
    """The log return to the close ``horizon`` bars ahead, against the random walk's zero."""

    name = "return"
    baseline = "zero"

    def between(self, now: Floats, then: Floats) -> Floats:
        """The logarithm of the closes' ratio."""
        return np.asarray(np.log(then / now), dtype=np.float64)

    def baseline_values(self, mean: Floats) -> Floats:
        """Zero."""
        return np.zeros_like(mean)

    def plausible(self, frequency: Frequency, horizon: int) -> dict[Measure, float]:
        """Share of right signs, and R² against the random walk."""
        return {
            "accuracy": hit_rate(frequency, horizon),
            "skill": share_explained(frequency, horizon),
        }

    def usual_candidates(self, bars_a_day: int) -> list[Any]:  # noqa: ARG002
        """The mean so far, and a regression."""
        return ["historical_mean", "ridge"]

    @property
    def shown(self) -> ValueFormat:
        """In per cent, with its sign; it says a level."""
        return ValueFormat(digits=3, signed=True, moves_close=True)

    @property
    def wording(self) -> Wording:
        """What people read."""
        return Wording(
            title="return",
            called="log return",
            headline="expected to close near {level} on {when}, a change of {value} from {close} "
            "({from}).",
            headline_without_close="a change of {value} is expected by {when}.",
            past="the log return forecast for {over}, and what it was",
            axis="log return",
            scale="log return",
            baseline="no change",
        )
