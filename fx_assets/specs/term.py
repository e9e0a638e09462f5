"""A declared forecast of several horizons: one forecast of each, which belong together."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from fx_assets.specs.forecast import ForecastSpec

MOST_HORIZONS = 12


class DeclaredForecast(ForecastSpec):
    """As people write it: ``target.horizon`` is a number, or a list of ascending ones.

    Several horizons are several forecasts, named ``<name>_h<horizon>``, each with a series, a
    ledger, a champion and predictions of its own; all else in the declaration is said of each.
    """

    horizons: tuple[int, ...] = Field(default=(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ours = sorted({"horizons", "term"} & value.keys())
        if ours:
            raise ValueError(
                f"no setting {ours[0]!r}; several horizons are target: {{horizon: [1, 5, 20]}}"
            )
        target = value.get("target")
        if not isinstance(target, dict) or not isinstance(target.get("horizon"), list):
            return value
        asked = target["horizon"]
        whole = all(type(one) is int and one > 0 for one in asked)
        if not (whole and asked == sorted(set(asked)) and 2 <= len(asked) <= MOST_HORIZONS):
            raise ValueError(
                f"target.horizon: {asked} is no list of 2 to {MOST_HORIZONS} ascending numbers of "
                "bars, such as [1, 5, 20, 60]; of one horizon give the number alone"
            )
        return {**value, "target": {**target, "horizon": asked[-1]}, "horizons": tuple(asked)}

    @property
    def members(self) -> list[ForecastSpec]:
        """The forecasts that it declares, by ascending horizon."""
        values = {name: getattr(self, name) for name in self.model_fields_set - {"horizons"}}
        if not self.horizons:
            return [ForecastSpec.model_validate(values)]
        return [
            ForecastSpec.model_validate(
                {
                    **values,
                    "name": f"{self.name}_h{horizon}",
                    "target": {"kind": self.target.kind, "horizon": horizon},
                    "term": self.name,
                }
            )
            for horizon in self.horizons
        ]
