"""What brings a universe up to date, step by step, where its instruments are spread over runs."""

from __future__ import annotations

from dataclasses import dataclass

from fx_assets.assets.runs import LARGE, MEDIUM, SMALL, Size
from fx_assets.tables import (
    BACKTEST,
    MEMBERSHIP,
    OUTCOMES,
    PREDICTIONS,
    PRICES,
    RAW_PRICES,
    SKILL,
)

ROUND = "fx_assets/round"
"""Tag of the runs that bring a universe up to date together."""


@dataclass(frozen=True)
class Step:
    """A part of what brings a universe up to date, as a job of its own."""

    name: str
    assets: tuple[str, ...]
    sharded: bool
    """Whether its runs take a shard of the instruments each; else one takes the whole family."""
    size: Size
    must: bool = True
    """Whether nothing goes on without it; else what it brought nothing for stays as it was."""

    def job(self, universe: str) -> str:
        """The name of its job."""
        return f"{universe}_{self.name}"


STEPS = (
    Step("ingest", (RAW_PRICES.name, PRICES.name), sharded=True, size=SMALL, must=False),
    Step("members", (MEMBERSHIP.name,), sharded=False, size=SMALL),
    Step("walk", (BACKTEST.name,), sharded=True, size=MEDIUM),
    Step("decide", (SKILL.name,), sharded=False, size=LARGE),
    Step("predict", (PREDICTIONS.name, OUTCOMES.name, "drift_report"), sharded=True, size=SMALL),
)
"""In order: each begins when every run of the one before it has ended."""
