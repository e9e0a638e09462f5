"""What is known at the newest bar of a feed."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Context(Struct):
    """The newest bar, for forecasts from supplied features."""

    event_time: datetime
    as_of: datetime
    close: float
    volatility: float | None
    """EWMA standard deviation per bar."""
    baseline_mean: float | None
    log_returns: list[float] | None = None
    """Of the newest 500 bars, where a distribution is stated or the champion may abstain."""


class Drift(Struct):
    """What the newest drift report says."""

    alarm: bool
    """Whether its verdict is 'drift' or 'broken'."""
    columns: int
    """Columns beyond their thresholds."""


class Live(Struct):
    """What the newest look at live predictions found."""

    skill: float | None
    """Against the baseline, of all live outcomes of the champion; unknown while they are few."""
    lower: float | None
    """Of the confidence sequence."""
    upper: float | None
    outcomes: int
    alarm: bool
