"""What every check of the gate must do, each check a sentence about one of them and its bars."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from fx_assets.doors import CHECKS as DOOR
from fx_assets.quality import Finding
from fx_assets.quality import inspect as judge
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES
from fx_assets.specs.feed import GateSpec
from fx_assets.testing.markets import bars_of_market, market, usual_calendar
from fx_assets.testing.require import Checks, require

BARS: Final = 1500
FRESH: Final = 100
WORLDS: Final = 5
CHECKS: Final[Checks[CheckCase]] = Checks()


@dataclass(frozen=True)
class CheckCase:
    """A check and a length of bars."""

    name: str
    frequency: str

    @property
    def plugin(self) -> Any:
        """The check's class, or of ours its function."""
        return DOOR[self.name]

    @property
    def feed(self) -> FeedSpec:
        """A feed that the check looks at."""
        ours = self.name in GateSpec.model_fields
        gate = {} if ours else {"own": {self.name: {"severity": "block"}}}
        return FeedSpec.model_validate(
            {
                "name": "proved",
                "source": {"kind": "files", "path": "proved.csv", "instrument": "PROVED"},
                "frequency": self.frequency,
                "calendar": usual_calendar(self.frequency),
                "start": "2021-01-01",
                "gate": gate,
            }
        )

    def world(self, seed: int = 1) -> pd.DataFrame:
        """Bars in which nothing is wrong."""
        grid = market(self.frequency, usual_calendar(self.frequency))
        bars = bars_of_market(grid, BARS, seed)
        bars["source"] = bars["payload"] = "proved"
        bars["ingested_at"] = bars["available_at"]
        return bars[list(BAR_DTYPES)].astype(BAR_DTYPES)

    def found_in(self, bars: pd.DataFrame, stored: int = BARS - FRESH) -> Finding:
        """What the check says of a batch after stored bars."""
        rejected = pd.DataFrame(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
        now = bars["event_time"].max() + pd.Timedelta(1, "h")
        old, new = bars.iloc[:stored], bars.iloc[stored:].reset_index(drop=True)
        feed = self.feed
        report = judge(old, new, rejected, feed, feed.market, now.to_pydatetime())
        return report.finding(self.name)

    def __str__(self) -> str:
        return f"{self.name}-{self.frequency}"


def cases_of(name: str) -> list[CheckCase]:
    """A check with the lengths of bars that it states."""
    return [CheckCase(name, each) for each in getattr(DOOR[name], "frequencies", ("1d", "1h"))]


def _require_it_looked(found: Finding) -> None:
    require(not found.message.startswith("The check itself failed"), found.message)


@CHECKS.add
def it_says_what_it_asserts(case: CheckCase) -> None:
    """The docstring's first line is what people read beside the finding."""
    require(bool((inspect.getdoc(case.plugin) or "").strip()), "there is no docstring")
    limit = getattr(case.plugin, "limit", 0.0)
    require(bool(np.isfinite(limit)), f"the limit is {limit!r}")


@CHECKS.add
def clean_bars_pass(case: CheckCase) -> None:
    """No false alarm in worlds where nothing is wrong."""
    for seed in range(1, WORLDS + 1):
        found = case.found_in(case.world(seed))
        _require_it_looked(found)
        require(
            found.passed, f"{found.count:g} found in clean bars (world {seed}): {found.message}"
        )


@CHECKS.add
def what_is_planted_is_found(case: CheckCase) -> None:
    """The fault that the check is for, and a message that says where."""
    if not hasattr(case.plugin, "planted"):
        return
    clean = case.world()
    spoilt = case.plugin.planted(clean.copy())
    require(not spoilt.equals(clean), "planted changes nothing")
    found = case.found_in(spoilt.astype(BAR_DTYPES))
    _require_it_looked(found)
    require(not found.passed, f"{found.count:g} found, within the limit of {found.limit}")
    require(bool(found.message.strip()), "the finding says nothing")


@CHECKS.add
def two_looks_agree(case: CheckCase) -> None:
    """Determinism."""
    bars = case.world()
    first, again = case.found_in(bars), case.found_in(bars)
    require(first == again, f"{first.count:g} first, {again.count:g} again")


@CHECKS.add
def bars_are_left_as_they_are(case: CheckCase) -> None:
    """A check looks, and changes nothing."""
    bars = case.world()
    before = bars.copy(deep=True)
    case.found_in(bars)
    require(bars.equals(before), "bars were changed")


@CHECKS.add
def a_first_load_and_a_single_bar_can_be_looked_at(case: CheckCase) -> None:
    """Nothing stored, and hardly anything new."""
    for bars in (case.world(), case.world().tail(1).reset_index(drop=True)):
        _require_it_looked(case.found_in(bars, stored=0))
