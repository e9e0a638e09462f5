"""What a bar is made of, with the gaps that vendors leave closed by what was known then."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fx_assets.errors import FxAssetsError
from fx_assets.features.base import Bars, Floats


class Ohlc:
    """Open, high and low of every bar.

    A bar without an open opens at the close before, one without a high or low has that of its open
    and close; high and low always contain both.

    Raises
    ------
    FxAssetsError
        No bar has an open, high or low.
    """

    def __init__(self, bars: Bars) -> None:
        opens, high, low = (known(bars, name) for name in ("open", "high", "low"))
        close = bars.close
        if not np.all((low <= opens) & (low <= close) & (opens <= high) & (close <= high)):
            before = np.concatenate([close[:1], close[:-1]])
            opens = np.where(np.isnan(opens), before, opens)
            high = np.fmax(high, np.maximum(opens, close))
            low = np.fmin(low, np.minimum(opens, close))
        self.open, self.high, self.low = opens, high, low


class Volume:
    """Volume of every bar, and its logarithm.

    An unknown volume counts as the last one that is known, 0 before the first. A bar without volume
    has the logarithm of the last that had some, NaN before the first.

    Raises
    ------
    FxAssetsError
        No bar has a volume.
    """

    def __init__(self, bars: Bars) -> None:
        volume = known(bars, "volume", least=0.0)
        self.value = np.nan_to_num(carried(volume, ~np.isnan(volume)))
        some = self.value > 0
        self.log = carried(np.log(np.where(some, self.value, 1.0)), some)


def log_supply(bars: Bars) -> Floats:
    """Logarithm of market capitalisation over close: the units in circulation.

    Where the capitalisation is unknown or 0, the supply is the last that is known, NaN before the
    first.

    Raises
    ------
    FxAssetsError
        No bar has a market capitalisation.
    """
    cap = known(bars, "market_cap")
    some = ~np.isnan(cap)
    return carried(np.log(np.where(some, cap, 1.0) / bars.close), some)


def known(bars: Bars, name: str, least: float = np.nextafter(0, 1)) -> Floats:
    """A column of the bars with NaN for what cannot be: infinite values and those below ``least``.

    Raises
    ------
    FxAssetsError
        No bar has a value.
    """
    values = getattr(bars, name)
    there = np.zeros(0, bool) if values is None else np.isfinite(values) & (values >= least)
    if not there.any() and (values is None or len(values)):
        feed = f"The feed {bars.feed}" if bars.feed else "The bars' feed"
        raise FxAssetsError(
            f"{feed} has no {name.replace('_', ' ')} in any of {len(bars)} bars, and the feature "
            "set reads it.",
            remedy=f"Choose a feature set without {name.replace('_', ' ')}, or a source with it.",
        )
    out: Floats = values if there.all() else np.where(there, values, np.nan)
    return np.ascontiguousarray(out)


def carried(values: Floats, there: NDArray[np.bool_]) -> Floats:
    """Each value, or the last one before it that is there; NaN before the first."""
    if there.all():
        return values
    last = np.maximum.accumulate(np.where(there, np.arange(len(values)), -1))
    return np.where(last >= 0, values[last], np.nan)
