"""A feed: an instrument's bars from one source at one frequency."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from fx_assets.specs.base import Currency, Name, Spec

Severity = Literal["block", "warn", "off"]


class EcbSource(Spec):
    """Euro foreign exchange reference rates of the European Central Bank.

    The bar is the price of one unit of ``base`` in ``quote``. Where neither is the euro it is the
    cross of two euro rates of the same fixing.
    """

    kind: Literal["ecb"]
    base: Currency = "EUR"
    quote: Currency

    @model_validator(mode="after")
    def _two_currencies(self) -> EcbSource:
        if self.base == self.quote:
            raise ValueError(f"base and quote are both {self.base}; name two currencies")
        return self

    @property
    def instrument(self) -> str:
        return self.base + self.quote


class CheckRule(Spec):
    """One check of the quality gate: what a finding does, and where it starts."""

    severity: Severity = "block"
    limit: float | None = Field(default=None, description="The check's threshold, where it has one.")


def _rule(severity: Severity, limit: float | None = None) -> CheckRule:
    return CheckRule(severity=severity, limit=limit)


class GateSpec(Spec):
    """Thresholds of the quality gate. A ``block`` finding stops everything downstream."""

    schema_and_types: CheckRule = _rule("block")
    nulls: CheckRule = _rule("block", 0)
    """Most rows of a batch that may lack a close."""
    duplicates: CheckRule = _rule("block", 0)
    """Most event times of a batch that may come with two different closes."""
    non_positive: CheckRule = _rule("block", 0)
    """Most rows of a batch that may have a price of zero or below."""
    future_bars: CheckRule = _rule("block", 0)
    """Most rows of a batch that may lie after now."""
    closed_days: CheckRule = _rule("block", 0)
    """Most bars of a batch that may fall on a day on which the calendar is closed."""
    missing_days: CheckRule = _rule("block", 0)
    """Most open days that may be missing between the first and the last bar."""
    jumps: CheckRule = _rule("warn", 12.0)
    """A log return beyond this many trailing robust standard deviations is a jump."""
    scale_errors: CheckRule = _rule("block", 0.5)
    """A log return beyond this size that is undone again, or that follows a known scale factor."""
    date_errors: CheckRule = _rule("block", 3.0)
    """How many times rougher the path may be than with day and month swapped back."""
    zero_returns: CheckRule = _rule("block", 0.2)
    """Largest share of unchanged closes in the trailing year."""
    ohlc_consistency: CheckRule = _rule("block", 0)
    """Most bars of a batch whose high or low does not contain open and close."""
    stale_close: CheckRule = _rule("block", 0.3)
    """Largest correlation of (high+low)/2/close - 1 with the next return (stale closes: 0.8)."""
    known_bad: list[date] = Field(
        default=[], description="Days an operator has examined; their bars go to quarantine."
    )


class FeedSpec(Spec):
    """A declared feed."""

    name: Name
    description: str = ""
    source: EcbSource
    calendar: Literal["target"] = "target"
    frequency: Literal["1d"] = "1d"
    start: date = date(1999, 1, 4)
    """First day that is kept."""
    gate: GateSpec = GateSpec()
    ingest_cron: str = "10 16 * * 1-5"
    """When new bars are fetched, in the time zone of the calendar."""
    owners: list[str] = Field(default=["team:research"])

    @property
    def instrument(self) -> str:
        return self.source.instrument
