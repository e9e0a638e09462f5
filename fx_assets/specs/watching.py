"""How a forecast is watched: when drift, performance and lateness become alarms."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from fx_assets.specs.base import Spec


class DriftRule(Spec):
    """When a drift report raises an alarm."""

    window: PositiveInt = Field(default=30, ge=10)
    """Newest rows that are compared with the training reference."""
    alarms_a_year: PositiveFloat = 1.0
    """False alarms that the whole report, with all its columns, may raise in a year."""
    relation_share: float = Field(default=0.25, gt=0, lt=1)
    """The share of them that is left to the test of the relation between inputs and label."""

    @property
    def column_alarms_a_year(self) -> float:
        """False alarms of the distances of all columns together."""
        return self.alarms_a_year * (1 - self.relation_share)

    @property
    def relation_alarms_a_year(self) -> float:
        """False alarms of the relation's test."""
        return self.alarms_a_year * self.relation_share


class PerformanceRule(Spec):
    """When live predictions count as bad."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the confidence sequence of the skill, over all looks together."""
    min_rows: PositiveInt = Field(default=30, ge=10)
    """Outcomes before anything is said; for overlapping targets, times the horizon."""
    window: PositiveInt = 60
    """Newest outcomes in the sliding mean absolute error."""
    mae_limit: PositiveFloat | None = None
    """Largest mean absolute error, in units of the target; unset for no such limit."""
    mae_ratio_limit: PositiveFloat | None = 1.25
    """Largest mean absolute error as a multiple of the baseline's; unset for no such limit."""


class FreshnessRule(Spec):
    """How late a bar or a prediction may be."""

    grace_minutes: NonNegativeInt = 120
    """Minutes after publication in which a bar or prediction may still be on its way."""
    error_bars: PositiveInt | None = None
    """Bars that the present lacks, the first of them for twice the grace, from which the check is
    an error rather than a warning; ``null``: it stays a warning."""


class WatchingSpec(Spec):
    """How a forecast is watched."""

    drift: DriftRule = DriftRule()
    performance: PerformanceRule = PerformanceRule()
    freshness: FreshnessRule = FreshnessRule()
    page: bool = True
    """Whether each drift report has Evidently's verdicts and page, which takes about a second."""
    review_cool_down_days: PositiveInt = 28
    """Days between two retrains that drift or performance asks for."""
