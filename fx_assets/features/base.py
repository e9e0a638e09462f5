"""What a feature and a feature set are. NumPy only, so that a server can use it without pandas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from fx_assets.calendars import BAR_LENGTHS
from fx_assets.doors import FEATURE_SETS
from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.features.rolling import Moments, rolling_moments
from fx_assets.features.spans import DAY

Floats = NDArray[np.float64]
Days = NDArray[np.int64]
Microseconds = NDArray[np.int64]
T = TypeVar("T")


_OPTIONAL = ("open", "high", "low", "volume", "market_cap", "event_time")


def _unwritable(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers, which no feature can change for the others."""
    view = values.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Bars:
    """Consecutive bars of one feed, oldest first, as the features see them.

    Parameters
    ----------
    close
        (n,) closes, positive and finite.
    day
        (n,) local dates of the market, in days since 1970-01-01.
    next_day
        (n,) the calendar's next open day after each bar's day, which is known in advance; in days
        since 1970-01-01.
    open, high, low, volume, market_cap
        (n,) further facts of each bar, NaN where a bar lacks one; ``None`` where all do.
    event_time
        (n,) closes in microseconds since 1970 (UTC); intraday features need it.
    bar
        Length of a bar.
    feed
        Whose bars they are, for error messages.

    Raises
    ------
    FxAssetsError
        A close is not a positive number, or the arrays differ in length.
    """

    close: Floats
    day: Days
    next_day: Days
    open: Floats | None = field(default=None, kw_only=True)
    high: Floats | None = field(default=None, kw_only=True)
    low: Floats | None = field(default=None, kw_only=True)
    volume: Floats | None = field(default=None, kw_only=True)
    market_cap: Floats | None = field(default=None, kw_only=True)
    event_time: Microseconds | None = field(default=None, kw_only=True)
    bar: timedelta = field(default=DAY, kw_only=True)
    feed: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not len(self.close) == len(self.day) == len(self.next_day):
            raise FxAssetsError(
                f"close, day and next_day have {len(self.close)}, {len(self.day)} and "
                f"{len(self.next_day)} entries; they describe the same bars.",
                remedy="Give one entry of each for every bar.",
            )
        for name in _OPTIONAL:
            values = getattr(self, name)
            if values is not None and len(values) != len(self.close):
                raise FxAssetsError(
                    f"{name} has {len(values)} entries, close {len(self.close)}; they describe "
                    "the same bars.",
                    remedy="Give one entry of each for every bar.",
                )
        bad = np.flatnonzero(~(np.isfinite(self.close) & (self.close > 0)))
        if len(bad):
            raise FxAssetsError(
                f"The close of bar {bad[0]} (of {len(self.close)}) is {self.close[bad[0]]}; "
                "features need positive numbers.",
                remedy="Leave the bar out, or correct it.",
            )
        for name in ("close", "day", "next_day", *_OPTIONAL):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, _unwritable(values))

    def __len__(self) -> int:
        return len(self.close)

    @cached_property
    def log_close(self) -> Floats:
        """Natural logarithm of the close."""
        return _unwritable(np.log(self.close))

    @cached_property
    def log_return(self) -> Floats:
        """log(close[t] / close[t-1]); NaN for the first bar."""
        return _unwritable(self.change(1))

    def change(self, bars: int) -> Floats:
        """log(close[t] / close[t - bars]); NaN for the first ``bars`` bars."""
        out = np.full(len(self.close), np.nan)
        out[bars:] = self.log_close[bars:] - self.log_close[:-bars]
        return out

    def moments(self, series: str, window: int) -> Moments:
        """Moments of ``log_close`` or ``log_return`` over the last ``window`` bars, cached."""
        key = (series, window)
        if key not in self._moments:
            self._moments[key] = rolling_moments(getattr(self, series), window)
        return self._moments[key]

    @property
    def closes(self) -> Microseconds:
        """When each bar closed, in microseconds since 1970 (UTC).

        Raises
        ------
        FxAssetsError
            The bars came without.
        """
        if self.event_time is None:
            raise FxAssetsError(
                f"It takes the time at which each of the {len(self)} bars closed.",
                remedy="Give event_time with the bars.",
            )
        return self.event_time

    def derived(self, make: Callable[[Bars], T]) -> T:
        """What ``make`` makes of these bars, made once."""
        if make not in self._derived:
            self._derived[make] = make(self)
        made: T = self._derived[make]
        return made

    @cached_property
    def _derived(self) -> dict[Callable[[Bars], Any], Any]:
        return {}

    @cached_property
    def columns(self) -> dict[str, Floats]:
        """The columns of a set that are computed already, while it is being computed."""
        return {}

    @cached_property
    def _moments(self) -> dict[tuple[str, int], Moments]:
        return {}


Compute = Callable[[Bars], Floats | Iterable[Floats]]
"""Makes a column: all of it, or consecutive pieces."""


@dataclass(frozen=True)
class Feature:
    """One column: what it means and how it is computed from bars up to its own."""

    name: str
    meaning: str
    """One line."""
    unit: str
    warm_up: int
    """Bars at the start that have no value (NaN)."""
    compute: Compute
    """(n,) values; finite from bar ``warm_up`` on."""
    calendar: bool = False
    """Whether it follows from the times of the bars alone, so that no price can change it."""


@dataclass(frozen=True)
class FeatureSet:
    """A named tuple of features: the columns of a model's input, in order."""

    name: str
    features: tuple[Feature, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def calendar_columns(self) -> frozenset[str]:
        """The columns that no price can change."""
        return frozenset(feature.name for feature in self.features if feature.calendar)

    @property
    def warm_up(self) -> int:
        """Bars at the start for which some column is NaN."""
        return max(feature.warm_up for feature in self.features)

    def compute(self, bars: Bars) -> Floats:
        """The features of every bar: an (n, p) float64 matrix with NaN in the warm-up only.

        Columns lie one after the other in memory (Fortran order).

        Raises
        ------
        FxAssetsError
            The bars lack what the set reads, such as volumes, or a feature has not a value a bar.
        """
        out = np.empty((len(bars), len(self.features)), order="F")
        for column, feature in zip(out.T, self.features, strict=True):
            values = feature.compute(bars)
            start = 0
            for piece in [values] if isinstance(values, np.ndarray) else values:
                part = column[start : start + len(piece)]
                part[:] = piece
                # The sign bit of a NaN depends on which vector lane computed it.
                part[np.isnan(part)] = np.nan
                start += len(piece)
            if start != len(bars):
                raise FxAssetsError(
                    f"The feature {feature.name} of {self.name} has {start} values for {len(bars)} "
                    "bars.",
                    remedy="Let it give a value for each bar, NaN where there is none yet.",
                )
            bars.columns[feature.name] = column
        bars.columns.clear()
        return out


class FeatureSetDefinition(ABC):
    """A feature set as it is declared, once for all lengths of bars; its docstring is its page.

    A subclass comes in through the door of feature sets (:mod:`fx_assets.doors`). It may import
    NumPy and what of ours does, so that the server can compute it as well.
    """

    door: ClassVar[str] = "fx_assets.feature_sets"
    name: ClassVar[str]
    """What a forecast's ``features`` says."""
    reads: ClassVar[tuple[str, ...]]
    """The columns of bars that it reads; a feed without one of them cannot have the set."""
    frequencies: ClassVar[tuple[str, ...]] = tuple(BAR_LENGTHS)
    """The lengths of bars that it is for."""

    @classmethod
    @abstractmethod
    def features(cls, bar: timedelta) -> tuple[Feature, ...]:
        """The columns for bars of a length that is among ``frequencies``."""


@lru_cache(maxsize=64)
def feature_set(name: str, bar: timedelta = DAY) -> FeatureSet:
    """The feature set of that name for bars of that length; its module is imported on first use.

    Raises
    ------
    SpecError
        No feature set has that name, or it is not for bars of that length.
    """
    found: type[FeatureSetDefinition] = FEATURE_SETS[name]
    if bar not in (BAR_LENGTHS[frequency] for frequency in found.frequencies):
        able = sorted(
            n for n, o in FEATURE_SETS.items() if bar in map(BAR_LENGTHS.get, o.frequencies)
        )
        raise SpecError(
            f"The feature set {name} is for bars of {', '.join(found.frequencies)}, and these are "
            f"of {bar}.",
            remedy=f"Choose features: {', '.join(able)}.",
        )
    return FeatureSet(name, found.features(bar))
