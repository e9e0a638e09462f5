"""Declared feeds of one instrument say whether they agree."""

from __future__ import annotations

from pathlib import Path

from fx_assets.calendars import BAR_LENGTHS
from fx_assets.errors import FxAssetsError
from fx_assets.lake import Lake
from fx_assets.quality import Reference, reference_of
from fx_assets.specs import FeedSpec
from fx_assets.specs.files import load_declared
from fx_assets.tables import PRICES

THEMSELVES = frozenset({"ecb", "frankfurter", "simulated"})
"""Sources that are the reference, or are artificial."""
SHORTEST = BAR_LENGTHS["1h"]
"""Shorter bars say nothing more, and take long to read."""


def sibling_references(lake: Lake, spec: FeedSpec, declared: Path) -> list[Reference]:
    """The stored prices of the other declared feeds of a feed's instrument, or of its inverse.

    Parameters
    ----------
    declared
        The deployment's folder of declared feeds and forecasts.
    """
    if spec.source.kind in THEMSELVES:
        return []
    try:
        feeds = load_declared(declared).feeds.values()
    except FxAssetsError:
        return []
    found = []
    for other in feeds:
        inverse = other.instrument == _inverse(spec.instrument)
        if (
            other.name == spec.name
            or not (inverse or other.instrument == spec.instrument)
            or other.source.kind == "simulated"
            or other.market.bar < SHORTEST
            or not lake.exists(PRICES.name, other.name)
        ):
            continue
        bars = lake.read(PRICES.name, other.name, columns=["event_time", "close"])
        found.append(reference_of(f"the feed {other.name}", bars, other.market, inverse=inverse))
    return found


def _inverse(instrument: str) -> str:
    """``USDEUR`` for ``EURUSD``; of other names, nothing."""
    size = len(instrument)
    return instrument[size // 2 :] + instrument[: size // 2] if size == 6 else ""
