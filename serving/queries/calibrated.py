"""How well the distributions of a backtest were calibrated."""

from __future__ import annotations

from fx_assets.evaluation.stated import DistributionModel
from serving.schemas import Calibration, Quantile


def calibration_of(model: DistributionModel | None) -> Calibration | None:
    """How well the distributions of the backtest were calibrated."""
    found = None if model is None else model.measured
    if model is None or found is None:
        return None
    return Calibration(
        family=model.family,
        rows=found.n,
        histogram=list(found.histogram),
        distance=found.distance,
        p_value=found.p_value,
        below=[Quantile(*pair) for pair in found.below],
    )
