"""A feed: an instrument's bars from one source at one frequency."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

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
    fallback: bool = True
    """Whether the last good download or the packaged snapshot may stand in for the live files."""

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
    limit: float | None = Field(
        default=None, description="The check's threshold, where it has one."
    )

    @field_validator("severity", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare off as false


def _rule(severity: Severity, limit: float | None = None) -> CheckRule:
    return CheckRule(severity=severity, limit=limit)


class GateSpec(Spec):
    """The checks of the quality gate, and where each of them starts.

    ``block``: a finding refuses the whole batch. ``warn``: it is reported and the batch goes on.
    ``off``: it is not looked for. Rows that no table can hold (broken, without a close, not
    positive, ambiguous, in the future) go to quarantine whatever the severity.
    """

    schema_and_types: CheckRule = _rule("block", 0)
    """Most rows whose cells cannot be read, or whose columns have the wrong type."""
    nulls: CheckRule = _rule("block", 0)
    """Most rows of a batch that may lack a close."""
    duplicates: CheckRule = _rule("block", 0)
    """Most rows of a batch that may share their event time with another."""
    non_positive: CheckRule = _rule("block", 0)
    """Most rows of a batch that may have a price of zero or below."""
    future_bars: CheckRule = _rule("block", 0)
    """Most rows of a batch that may close after now."""
    closed_days: CheckRule = _rule("block", 0)
    """Most bars of a batch that may fall on a day on which the calendar is closed."""
    missing_days: CheckRule = _rule("block", 0)
    """Most open days without a bar between the first and the last bar."""
    revisions: CheckRule = _rule("block", 20)
    """Most stored bars that a batch may revise at once."""
    jumps: CheckRule = _rule("warn", 12.0)
    """A log return beyond this many trailing robust standard deviations is a jump."""
    scale_errors: CheckRule = _rule("block", 0.5)
    """A log return beyond this size is an error when it is a power of ten or an inversion, when it
    is undone within five bars, or while no later bar confirms it."""
    date_errors: CheckRule = _rule("block", 1.5)
    """How many times rougher the path may be than with day and month exchanged (real: below 1)."""
    zero_returns: CheckRule = _rule("block", 0.4)
    """Largest share of unchanged closes in the last 250 returns (real: below 0.36; pegs: 1)."""
    ohlc_consistency: CheckRule = _rule("block", 0)
    """Most bars of a batch whose high or low does not contain open and close."""
    stale_close: CheckRule = _rule("block", 0.3)
    """Largest correlation of (high+low)/2/close - 1 with the next return (stale closes: 0.8)."""
    known_bad: list[date] = Field(
        default=[], description="Days an operator has examined; their bars go to quarantine."
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_the_rest_of_a_rule(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        filled = dict(value)
        for name, rule in value.items():
            field = cls.model_fields.get(name)
            if isinstance(rule, dict) and field and isinstance(field.default, CheckRule):
                filled[name] = field.default.model_dump() | rule
        return filled


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
    ingest_cron: str = "10 16,17,19 * * 1-5"
    """When new bars are fetched, in the calendar's time zone: publication can be late."""
    owners: list[str] = Field(default=["team:research"])

    @property
    def instrument(self) -> str:
        return self.source.instrument
