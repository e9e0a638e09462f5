"""Direction: whether the close ``horizon`` bars ahead is above today's."""

from __future__ import annotations

from typing import Any

from fx_assets.calendars import Frequency
from fx_assets.targets.base import Floats
from fx_assets.targets.outcomes import Binary
from fx_assets.targets.plausible import Measure, hit_rate, share_explained
from fx_assets.targets.shown import Wording


class Direction(Binary):
    """Whether the close ``horizon`` bars ahead is above today's (1) or not (0)."""

    name = "direction"

    def between(self, now: Floats, then: Floats) -> Floats:
        """1 where the later close is above."""
        return (then > now).astype(float)

    def plausible(self, frequency: Frequency, horizon: int) -> dict[Measure, float]:
        """Share of right directions, area under the ROC curve, and Brier skill."""
        hits = hit_rate(frequency, horizon)
        return {"accuracy": hits, "roc_auc": hits, "skill": share_explained(frequency, horizon)}

    def usual_candidates(self, bars_a_day: int) -> list[Any]:  # noqa: ARG002
        """The last direction, and a regression."""
        return ["persistence", "logistic_regression"]

    def described(self, instrument: str, over: str) -> str:
        """In a sentence."""
        return f"Whether {instrument} is higher at the end of {over}."

    @property
    def unit(self) -> str:
        """A probability."""
        return "probability that the close is above"

    @property
    def wording(self) -> Wording:
        """What people read."""
        return Wording(
            title="direction",
            called="P(up)",
            headline="{value} chance of closing above {close} ({from}) on {when}.",
            headline_without_close="{value} chance of closing above its close ({from}) on {when}.",
            interval="When it said about this before, the close was above in {lower} to {upper} of "
            "cases ({coverage} interval).",
            interval_of=" of the share of ups when it said about this",
            past="the probability of a higher close over {over}; below that, whether it went up "
            "or down",
            axis="share of ups",
            scale="log-odds of a rise",
            outcomes=("not up", "up"),
            baseline="the share of ups so far",
        )
