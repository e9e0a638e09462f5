"""Base rate: the share of up moves so far. The baseline for direction."""

from __future__ import annotations

from fx_assets.models._baseline import ExpandingMean


class BaseRate(ExpandingMean):
    """Predicts the expanding share of up moves known at the row's time."""

    name = "base_rate"
    targets = ("direction",)
