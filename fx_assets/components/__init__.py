"""Component types: what ``type:`` in a ``defs.yaml`` may name."""

from fx_assets.components.forecast import Forecast
from fx_assets.components.price_feed import PriceFeed

__all__ = ["Forecast", "PriceFeed"]
