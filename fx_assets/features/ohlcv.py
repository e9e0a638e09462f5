"""Features of bars with open, high, low, close and volume, at any frequency."""

from __future__ import annotations

from datetime import timedelta

from fx_assets.features.base import Feature, FeatureSetDefinition
from fx_assets.features.ohlc import OhlcFeatures
from fx_assets.features.volume_columns import volume_columns, vwap_columns


class OhlcvFeatures(FeatureSetDefinition):
    """Features of bars with open, high, low, close and volume, at any frequency."""

    name = "ohlcv"
    reads = (*OhlcFeatures.reads, "volume")

    @classmethod
    def features(cls, bar: timedelta) -> tuple[Feature, ...]:
        """The columns for bars of that length: those of ``ohlc``, then those of volume."""
        return (*OhlcFeatures.features(bar), *volume_columns(bar), *vwap_columns(bar))
