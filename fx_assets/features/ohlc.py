"""Features of bars with open, high, low and close, at any frequency."""

from __future__ import annotations

from datetime import timedelta

from fx_assets.features.base import Feature, FeatureSetDefinition
from fx_assets.features.close_columns import close_columns
from fx_assets.features.range_columns import range_columns
from fx_assets.features.time_columns import time_columns


class OhlcFeatures(FeatureSetDefinition):
    """Features of bars with open, high, low and close, at any frequency."""

    name = "ohlc"
    reads = ("open", "high", "low", "close")

    @classmethod
    def features(cls, bar: timedelta) -> tuple[Feature, ...]:
        """The columns for bars of that length."""
        return (*close_columns(bar, ranges=True), *range_columns(bar), *time_columns(bar))
