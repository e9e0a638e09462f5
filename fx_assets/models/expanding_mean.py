"""Expanding mean: the mean size so far. The baseline for volatility and all that is positive."""

from __future__ import annotations

from fx_assets.models._baseline import ExpandingMean


class ExpandingMeanVariance(ExpandingMean):
    """Predicts the expanding mean of the variances, or other sizes, known at the row's time."""

    name = "expanding_mean"
    targets = ("positive",)
