"""How a candidate's hyper-parameters are searched for, inside each training window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from fx_assets.specs.base import Spec

Value: TypeAlias = bool | int | float | str


class Range(Spec):
    """Numbers from ``low`` to ``high``, both included; whole ones where both are whole."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw evenly on the logarithm, for what is felt in factors, such as a learning rate."""
    step: int | float | None = Field(default=None, gt=0)
    """Only ``low`` plus multiples of this."""

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low}, which must be below high, {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log: true needs a low above 0, not {self.low}")
        if self.log and self.step is not None:
            raise ValueError("give either log: true or a step, not both")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))


Choices: TypeAlias = Annotated[list[Value], Field(min_length=1)]
Dimension: TypeAlias = Range | Choices
"""A list is a list of choices, ``[50, 400]`` those two; a range is written ``{low:, high:}``."""
Space: TypeAlias = Mapping[str, Dimension]
"""What is searched, by hyper-parameter."""


class TuningSpec(Spec):
    """A search with Optuna's TPE sampler on a time-ordered split of the training window."""

    trials: PositiveInt = Field(default=20, le=1000)
    """Settings compared at each tuning."""
    seconds: PositiveFloat | None = None
    """No trial of a tuning begins later than this; then the result depends on the machine."""
    space: dict[str, Dimension] = Field(default={})
    """What is searched, by hyper-parameter; by default, the family's own space."""
    validation: float = Field(default=0.2, ge=0.05, le=0.5)
    """Share of the training window, its newest rows, that trials are judged on."""
    retune_every: PositiveInt = 4
    """Folds that share a tuning, which sees the training window of the oldest of them."""
