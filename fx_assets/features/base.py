"""What a feature and a feature set are. NumPy only, so that a server can use it without pandas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.features.rolling import Moments, rolling_moments
from fx_assets.specs.forecast import FEATURE_SETS

Floats = NDArray[np.float64]
Days = NDArray[np.int64]


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

    Raises
    ------
    FxAssetsError
        A close is not a positive number, or the arrays differ in length.
    """

    close: Floats
    day: Days
    next_day: Days

    def __post_init__(self) -> None:
        if not len(self.close) == len(self.day) == len(self.next_day):
            raise FxAssetsError(
                f"close, day and next_day have {len(self.close)}, {len(self.day)} and "
                f"{len(self.next_day)} entries; they describe the same bars.",
                remedy="Give one entry of each for every bar.",
            )
        bad = np.flatnonzero(~(np.isfinite(self.close) & (self.close > 0)))
        if len(bad):
            raise FxAssetsError(
                f"The close of bar {bad[0]} (of {len(self.close)}) is {self.close[bad[0]]}; "
                "features need positive numbers.",
                remedy="Leave the bar out, or correct it.",
            )

    @cached_property
    def log_close(self) -> Floats:
        """Natural logarithm of the close."""
        return np.log(self.close)

    @cached_property
    def log_return(self) -> Floats:
        """log(close[t] / close[t-1]); NaN for the first bar."""
        return self.change(1)

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

    @cached_property
    def _moments(self) -> dict[tuple[str, int], Moments]:
        return {}


@dataclass(frozen=True)
class Feature:
    """One column: what it means and how it is computed from bars up to its own."""

    name: str
    meaning: str
    """One line."""
    unit: str
    warm_up: int
    """Bars at the start that have no value (NaN)."""
    compute: Callable[[Bars], Floats]
    """(n,) values; finite from bar ``warm_up`` on."""


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
    def warm_up(self) -> int:
        """Bars at the start for which some column is NaN."""
        return max(feature.warm_up for feature in self.features)

    def compute(self, bars: Bars) -> Floats:
        """The features of every bar: an (n, p) float64 matrix with NaN in the warm-up only."""
        out = np.empty((len(bars.close), len(self.features)))
        for column, feature in enumerate(self.features):
            out[:, column] = feature.compute(bars)
        # The sign bit of a NaN depends on which vector lane computed it.
        out[np.isnan(out)] = np.nan
        return out


def feature_set(name: str) -> FeatureSet:
    """The feature set of that name, whose module is imported on first use.

    Raises
    ------
    SpecError
        No feature set has that name.
    """
    if name not in FEATURE_SETS:
        raise SpecError(
            f"No feature set {name!r}.", remedy=f"Choose one of {', '.join(FEATURE_SETS)}."
        )
    return FeatureSet(name, import_module(f"fx_assets.features.{name}").FEATURES)
