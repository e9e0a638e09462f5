"""What is known at the newest bar of a feed."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct


class Context(Struct):
    """The newest bar, for forecasts from supplied features."""

    day: date
    as_of: datetime
    close: float
    volatility: float | None
    """EWMA standard deviation per bar."""
    baseline_mean: float | None


class Drift(Struct):
    """What the newest drift report says."""

    alarm: bool
    """Whether its verdict is 'drift' or 'broken'."""
    columns: int
    """Columns beyond their thresholds."""
