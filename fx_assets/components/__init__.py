"""Component types: what ``type:`` in a ``defs.yaml`` may name."""

from fx_assets.components.forecast import Forecast
from fx_assets.components.price_feed import PriceFeed
from fx_assets.components.universe import Universe

__all__ = ["Forecast", "PriceFeed", "Universe"]
