"""What every feature set must do, each check a sentence about one set and one length of bars."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.doors import FEATURE_SETS
from fx_assets.features import FeatureSet, FeatureSetDefinition, feature_set
from fx_assets.features.frame import feature_frame
from fx_assets.testing.honesty import assert_future_scramble_invariant, assert_prefix_invariant
from fx_assets.testing.markets import bars_of_market, market, usual_calendar
from fx_assets.testing.require import Checks, ContractError, require, require_same_bits

COLUMNS: Final = ("open", "high", "low", "close", "volume", "market_cap")
CHECKS: Final[Checks[FeatureCase]] = Checks()


@dataclass(frozen=True)
class FeatureCase:
    """A feature set and a length of bars."""

    name: str
    frequency: str

    @property
    def calendar(self) -> Calendar:
        """A calendar of such bars, which are known when they close."""
        return market(self.frequency, usual_calendar(self.frequency))

    @property
    def definition(self) -> type[FeatureSetDefinition]:
        """The set as it is declared."""
        found: type[FeatureSetDefinition] = FEATURE_SETS[self.name]
        return found

    @property
    def features(self) -> FeatureSet:
        """The set for bars of this length."""
        return feature_set(self.name, self.calendar.bar)

    @property
    def rows(self) -> int:
        """Bars of a world that is well past the set's warm-up."""
        return self.features.warm_up + 700

    def build(self, bars: pd.DataFrame) -> pd.DataFrame:
        """The columns of the set, one row a bar."""
        if "market_cap" in bars:  # moves with what is scrambled
            bars = bars.assign(market_cap=bars["market_cap"] * bars["close"])
        return feature_frame(bars, self.features, self.calendar)[list(self.features.columns)]

    def __str__(self) -> str:
        return f"{self.name}-{self.frequency}"


def cases_of(name: str) -> list[FeatureCase]:
    """A feature set with its shortest and longest bars and, where it has them, hours."""
    able = FEATURE_SETS[name].frequencies
    chosen = dict.fromkeys([able[0], *(f for f in able if f == "1h"), able[-1]])
    return [FeatureCase(name, frequency) for frequency in chosen]


@cache
def _world(case: FeatureCase, seed: int = 1) -> pd.DataFrame:
    return bars_of_market(case.calendar, case.rows, seed)


@CHECKS.add
def columns_are_named_explained_and_have_units(case: FeatureCase) -> None:
    """Each column can be read by a person."""
    names = case.features.columns
    require(len(set(names)) == len(names) > 0, f"columns named twice, or none: {names}")
    for feature in case.features.features:
        for what in ("name", "meaning", "unit"):
            require(bool(str(getattr(feature, what)).strip()), f"{feature.name} has no {what}")
    require(bool((case.definition.__doc__ or "").strip()), "the class has no docstring")


@CHECKS.add
def values_are_missing_in_the_warm_up_only(case: FeatureCase) -> None:
    """From its ``warm_up`` on each column is finite, and before it NaN."""
    frame = case.build(_world(case))
    for feature in case.features.features:
        column = frame[feature.name].to_numpy()
        finite = np.isfinite(column)
        require(
            not finite[: feature.warm_up].any(),
            f"{feature.name} has a value in its warm-up of {feature.warm_up} bars",
        )
        late = np.flatnonzero(~finite[feature.warm_up :]) + feature.warm_up
        bar = int(late[0]) if len(late) else -1
        require(
            not len(late),
            f"{feature.name} has no value in bar {bar}, after its warm-up of {feature.warm_up}",
        )


@CHECKS.add
def no_column_changes_when_later_bars_arrive(case: FeatureCase) -> None:
    """Prefix invariance, to the last bit."""
    end = case.rows
    cuts = (1, case.features.warm_up + 1, case.features.warm_up + 251, end - 97, end - 1)
    assert_prefix_invariant(case.build, _world(case), cuts)


@CHECKS.add
def no_column_knows_a_later_price(case: FeatureCase) -> None:
    """A scrambled future changes no earlier row."""
    for cut in (case.features.warm_up + 100, case.rows - 13):
        assert_future_scramble_invariant(case.build, _world(case), cut, seed=cut)


@CHECKS.add
def a_world_with_holes_does_not_look_ahead(case: FeatureCase) -> None:
    """Missing bars and missing cells change nothing of that."""
    bars = bars_of_market(case.calendar, case.rows, seed=2)
    rng = np.random.default_rng(2)
    for column in set(COLUMNS) - {"close"}:
        bars[column] = bars[column].where((rng.random(len(bars)) > 0.1) | (bars.index == 0))
    bars = bars[rng.random(len(bars)) >= 0.05].reset_index(drop=True)
    cut = len(bars) - 150
    assert_prefix_invariant(case.build, bars, [cut])
    assert_future_scramble_invariant(case.build, bars, cut, seed=3)


@CHECKS.add
def two_computations_agree_to_the_last_bit(case: FeatureCase) -> None:
    """Determinism."""
    bars = _world(case)
    one, two = (case.build(bars).to_numpy() for _ in range(2))
    require_same_bits(one, two, "the second time")


@CHECKS.add
def bars_are_left_as_they_were(case: FeatureCase) -> None:
    """The upstream frame is not changed in place."""
    bars = _world(case).copy()
    before = bars.copy(deep=True)
    case.build(bars)
    require(bars.equals(before), "computing the features changed the bars")


@CHECKS.add
def nothing_is_read_beyond_what_is_stated(case: FeatureCase) -> None:
    """The columns in ``reads`` are enough, and the others change nothing."""
    bars = _world(case)
    unread = [name for name in COLUMNS if name not in {*case.definition.reads, "close"}]
    expected = feature_frame(bars, case.features, case.calendar)
    try:
        found = feature_frame(bars.drop(columns=unread), case.features, case.calendar)
    except Exception as error:
        raise ContractError(
            f"it cannot be computed from bars without {', '.join(unread)}, which are not in "
            f"`reads` ({type(error).__name__}: {error})"
        ) from error
    for name in case.features.columns:
        require_same_bits(
            expected[name].to_numpy(), found[name].to_numpy(), f"in {name} without {unread}"
        )


@CHECKS.add
def prices_that_stand_still_or_leap_give_no_infinity(case: FeatureCase) -> None:
    """Pegs, and moves of a half: rows are finite or NaN."""
    still = bars_of_market(case.calendar, case.rows, seed=4)
    for name in ("open", "high", "low", "close"):
        still[name] = 1.0
    wild = bars_of_market(case.calendar, case.rows, seed=5, vol=0.3)
    for bars, what in ((still, "a price that stands still"), (wild, "a price that leaps")):
        values = feature_frame(bars, case.features, case.calendar)[list(case.features.columns)]
        infinite = np.isinf(values.to_numpy(dtype=float)).any(axis=0)
        names = [n for n, bad in zip(values.columns, infinite, strict=True) if bad]
        require(not names, f"{what} makes {', '.join(names)} infinite")
