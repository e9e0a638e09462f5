"""What a bar looks like in every frame and table."""

from __future__ import annotations

BAR_DTYPES: dict[str, str] = {
    "event_time": "datetime64[us, UTC]",
    "available_at": "datetime64[us, UTC]",
    "open": "float64",
    "high": "float64",
    "low": "float64",
    "close": "float64",
    "volume": "float64",
    "market_cap": "float64",
    "source": "object",
    "ingested_at": "datetime64[us, UTC]",
    "payload": "object",
}
"""The columns of a bar, in order, with their pandas dtypes; a fixing has a close only.

``source`` names the provider, ``payload`` is the sha256 of what the provider sent, and the three
instants are: when the bar closed, when it could first be known, and when this platform got it.
"""

PRICE_COLUMNS: tuple[str, ...] = ("open", "high", "low", "close", "volume", "market_cap")
"""The columns that a revision may change."""

REJECTED_DTYPES: dict[str, str] = {
    "event_date": "object",
    "column": "object",
    "value": "object",
    "check": "object",
    "reason": "object",
    "source": "object",
    "ingested_at": "datetime64[us, UTC]",
    "payload": "object",
}
"""A row that a parser could not turn into a bar: its raw texts, the check it fails, and why."""
