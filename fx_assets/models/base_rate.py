"""Base rate: the share of ones so far. The baseline for direction and all that is binary."""

from __future__ import annotations

from fx_assets.models._baseline import ExpandingMean


class BaseRate(ExpandingMean):
    """Predicts the share of ones, such as up moves, among the outcomes known at the row's time."""

    name = "base_rate"
    targets = ("binary",)
