"""How values of a target are shown and said; the API gives these to the page and to clients."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct

Outcome = Literal["binary", "real", "positive"]


class ValueFormat(Struct, frozen=True, kw_only=True):
    """How a value becomes a number for people."""

    digits: Annotated[int, Meta(description="After the decimal point.")] = 1
    percent: Annotated[bool, Meta(description="Times 100, with a per cent sign.")] = True
    signed: Annotated[bool, Meta(description="With a plus sign where it is positive.")] = False
    annualised: Annotated[
        bool,
        Meta(
            description="A variance over the horizon, shown as volatility a year: the root of "
            "value * bars_a_year / horizon."
        ),
    ] = False
    moves_close: Annotated[
        bool, Meta(description="A log return from the newest close, so that it says a level.")
    ] = False

    def share(self, value: float, horizon: int, bars_a_year: int) -> float:
        """The number that is shown, before it is a percentage."""
        return math.sqrt(value * bars_a_year / horizon) if self.annualised else value

    def text(self, value: float, horizon: int, bars_a_year: int) -> str:
        """The value with its unit, such as ``+0.123 %``."""
        number = self.share(value, horizon, bars_a_year)
        sign = "+" if self.signed else ""
        if not self.percent:
            return f"{number:{sign}.{self.digits}f}"
        unit = "% a year" if self.annualised else "%"
        return f"{100 * number:{sign}.{self.digits}f} {unit}"


class Metric(Struct, frozen=True):
    """What a metric is called, and its unit; without one it is a plain number."""

    title: str
    unit: str = ""


class Wording(Struct, frozen=True, kw_only=True):
    """What people read about a kind of target.

    Texts hold fields in braces: ``{value}``, ``{lower}`` and ``{upper}``, ``{coverage}``,
    ``{close}`` and ``{from}`` (the newest close and its bar), ``{level}`` (the close that the value
    leads to), ``{when}`` (the predicted bar) and ``{over}`` (such as "the next 5 bars").
    """

    title: Annotated[str, Meta(description="Such as in EUR/USD direction.")]
    called: Annotated[str, Meta(description="What the value is called.")]
    headline: Annotated[str, Meta(description="The forecast in a sentence.")]
    headline_without_close: Annotated[str, Meta(description="Where the close is not known.")] = ""
    interval: str = "{coverage} interval: {lower} to {upper}."
    interval_of: Annotated[
        str, Meta(description="Follows the nominal coverage where it is not that of outcomes.")
    ] = ""
    past: Annotated[str, Meta(description="What a chart of past forecasts shows.")] = (
        "the forecast for {over}, and what it was"
    )
    axis: Annotated[str, Meta(description="What is measured along an axis.")]
    scale: Annotated[str, Meta(description="The scale on which effects of inputs add up.")]
    outcomes: Annotated[
        tuple[str, str] | None, Meta(description="Of a binary target: what 0 and 1 mean.")
    ] = None
    baseline: Annotated[str, Meta(description="What the baseline says.")] = ""
