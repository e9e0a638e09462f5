"""Features of bars with open, high, low, close and volume, at any frequency."""

from __future__ import annotations

from datetime import timedelta

from fx_assets.features import ohlc
from fx_assets.features.base import Feature
from fx_assets.features.volume_columns import volume_columns, vwap_columns


def features(bar: timedelta) -> tuple[Feature, ...]:
    """The columns for bars of that length: those of ``ohlc``, then those of volume."""
    return (*ohlc.features(bar), *volume_columns(bar), *vwap_columns(bar))
