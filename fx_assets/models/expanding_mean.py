"""Expanding mean: the mean variance so far. The baseline for volatility."""

from __future__ import annotations

from fx_assets.models._baseline import ExpandingMean


class ExpandingMeanVariance(ExpandingMean):
    """Predicts the expanding mean of the variances known at the row's time."""

    name = "expanding_mean"
    targets = ("volatility",)
