"""Historical mean: the mean return so far, the benchmark of Goyal and Welch (2008)."""

from __future__ import annotations

from fx_assets.models._baseline import ExpandingMean


class HistoricalMean(ExpandingMean):
    """Predicts the expanding mean of the returns known at the row's time."""

    name = "historical_mean"
    targets = ("real",)
