"""A feature set of one column."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from fx_assets.features import Bars, Feature, FeatureSetDefinition


def momentum(bars: Bars) -> NDArray[np.float64]:
    """(n,) log returns of the last five bars; the first five are NaN."""
    return bars.change(5)


class WeeklyMomentum(FeatureSetDefinition):
    """The log return of five bars."""

    name = "weekly_momentum"
    reads = ("close",)
    frequencies = ("1d",)

    @classmethod
    def features(cls, bar: timedelta) -> tuple[Feature, ...]:  # noqa: ARG003
        """The columns, for bars of a length."""
        return (
            Feature("momentum_5", "log return of the last five bars", "log return", 5, momentum),
        )
