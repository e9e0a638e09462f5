"""Single events that an operator has confirmed by day and value."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fx_assets.quality.path import Path
from fx_assets.specs.feed import Confirmed

AGREES = 1e-5
"""Relative difference up to which a close is the confirmed one."""
LISTED = 20


def confirmed_bars(path: Path, confirmed: Iterable[Confirmed]) -> np.ndarray:
    """Which bars of a path somebody has confirmed."""
    found = np.zeros(len(path), dtype=bool)
    for event in confirmed:
        same = np.abs(path.close / event.close - 1) < AGREES
        found |= same & (path.days == np.datetime64(event.day))
    return found


def how_to_confirm(path: Path, places: Iterable[int], what: str = "If it is real") -> str:
    """The lines of YAML that confirm the bars at these places, as a sentence for a message."""
    chosen = list(dict.fromkeys(int(place) for place in places))
    if not chosen or len(chosen) > LISTED:
        return ""
    events = ", ".join(
        f"{{day: {path.days[place]}, close: {path.close[place]:.10g}, reason: why}}"
        for place in chosen
    )
    return f" {what}, confirm it in the feed's YAML: gate: {{confirmed: [{events}]}}"
