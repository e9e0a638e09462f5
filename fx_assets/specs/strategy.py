"""What a person would have done with a forecast, and what that would have cost."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from fx_assets.specs.base import Spec, digest

StrategyKind = Literal["none", "sign", "sized", "risk_target"]
_HUNDREDTHS = frozenset({"JPY", "HUF"})
_TEN_THOUSANDTHS = frozenset({
    "AUD", "BGN", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD",
    "ILS", "MXN", "NOK", "NZD", "PLN", "RON", "SEK", "SGD", "TRY", "USD", "ZAR",
})  # fmt: skip


def usual_pip(instrument: str) -> float | None:
    """The size of a pip of a pair of currencies: 0.01 of a yen or forint, else 0.0001.

    ``None`` where there is no custom, as of a coin.
    """
    base, quote = instrument[:3], instrument[3:]
    if base not in _TEN_THOUSANDTHS | _HUNDREDTHS:
        return None
    if quote in _HUNDREDTHS:
        return 0.01
    return 0.0001 if quote in _TEN_THOUSANDTHS else None


class Costs(Spec):
    """What trading an instrument costs; every number is in ``unit``."""

    unit: Literal["pips", "basis_points"]
    """A pip is a step of the price, a basis point a ten-thousandth of it."""
    spread: NonNegativeFloat
    """Between bid and ask; each side of a trade pays half of it."""
    commission: NonNegativeFloat
    """Paid on each side of a trade."""
    swap_long: float
    """Received (or, below zero, paid) for each night in which the base currency is held."""
    swap_short: float
    """The same for each night in which it is owed."""
    pip: PositiveFloat | None = None
    """Size of a pip in the price; unset means the custom of the currencies."""

    @model_validator(mode="after")
    def _trading_costs_something(self) -> Costs:
        if not self.spread and not self.commission:
            raise ValueError("trading costs something: spread and commission are both 0")
        return self

    @property
    def side(self) -> float:
        """What one side of a trade costs, in ``unit``."""
        return self.spread / 2 + self.commission

    def pip_of(self, instrument: str) -> float | None:
        """The size of a pip of the instrument, ``None`` where it is neither said nor customary."""
        return self.pip or usual_pip(instrument)


class StrategySpec(Spec):
    """A simple use of a forecast, which is weighed with its costs and never judged by.

    ``sign``: long or short, one times the capital, by the forecast's sign. ``sized``: as far as
    expected return and variance say at ``risk_aversion`` (Merton, 1969). ``risk_target``: long, so
    much that the predicted volatility of the position is ``target_volatility``.
    """

    kind: StrategyKind = "none"
    costs: Costs | None = None
    """What trading its instrument costs; without them no ``kind`` but ``none`` is weighed."""
    fill: Literal["next_close", "next_open"] = "next_close"
    """The price that positions are taken at: the first close, or open, of a later bar that was
    traded when the decision had been made."""
    limit: PositiveFloat | None = None
    """Largest position in multiples of the capital; unset means 1, and 4 for ``risk_target``."""
    target_volatility: PositiveFloat = 0.1
    """Of a year, for ``risk_target``."""
    risk_aversion: PositiveFloat = 2.0
    """Relative, for ``sized``."""

    @model_validator(mode="before")
    @classmethod
    def _from_kind(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _never_without_costs(self) -> StrategySpec:
        if self.kind != "none" and self.costs is None:
            raise ValueError(
                f"the strategy {self.kind} has no costs, and without them it says nothing: give "
                "costs: {unit: pips, spread: 1.0, commission: 0, swap_long: 0, swap_short: 0} "
                "with the numbers of your broker"
            )
        return self

    @property
    def largest(self) -> float:
        """The largest position in multiples of the capital."""
        return self.limit or (4.0 if self.kind == "risk_target" else 1.0)

    @property
    def id(self) -> str:
        """A short stable hash of everything declared (16 hex digits)."""
        return digest(self.model_dump(mode="json"))

    def refusals(self, outcome: str) -> str:
        """Why it is not for targets whose outcomes are such; empty if it is."""
        wanted = {"risk_target": ("positive",), "none": (outcome,)}.get(
            self.kind, ("binary", "real")
        )
        if outcome in wanted:
            return ""
        other = "risk_target" if outcome == "positive" else "sign or sized"
        return f"the strategy {self.kind} is not for such a target; choose {other}, or none"
