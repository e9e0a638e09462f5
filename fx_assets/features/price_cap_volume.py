"""Features of points with price, market capitalisation and volume, at any frequency."""

from __future__ import annotations

from datetime import timedelta

from fx_assets.features.base import Feature, FeatureSetDefinition
from fx_assets.features.cap_columns import cap_columns
from fx_assets.features.close_columns import close_columns
from fx_assets.features.time_columns import time_columns
from fx_assets.features.volume_columns import volume_columns


class PriceCapVolumeFeatures(FeatureSetDefinition):
    """Features of points with price, market capitalisation and volume, at any frequency."""

    name = "price_cap_volume"
    reads = ("close", "volume", "market_cap")

    @classmethod
    def features(cls, bar: timedelta) -> tuple[Feature, ...]:
        """The columns for bars of that length."""
        return (
            *close_columns(bar),
            *volume_columns(bar),
            *cap_columns(bar),
            *time_columns(bar),
        )
