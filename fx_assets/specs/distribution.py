"""Which quantiles a forecast states beside its value, and what its distribution is made of."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal, TypeAlias

from fx_assets.specs.base import Record
from fx_assets.targets import TargetDefinition

DistributionName: TypeAlias = Literal[
    "conformal", "garch_t", "quantile_lightgbm", "quantile_xgboost"
]
LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
FARTHEST: Final = 0.001


class DistributionSpec(Record):
    """A predictive distribution.

    ``conformal``: quantiles of what happened out of sample after earlier predictions, of any
    family. ``garch_t``: Student's t around the prediction, its variance from GARCH(1,1).
    ``quantile_xgboost``, ``quantile_lightgbm``: as ``conformal``, but quantiles depend on the
    features, by boosted trees.
    """

    family: DistributionName
    quantiles: tuple[float, ...]


def distribution_of(
    asked: bool | DistributionName,
    levels: tuple[float, ...] | None,
    target: TargetDefinition,
) -> DistributionSpec | None:
    """What a declaration asks for; ``None`` where it asks for nothing.

    Raises
    ------
    ValueError
        The kind of target has no such distribution, or the levels are not ascending.
    """
    if asked is False and levels is None:
        return None
    if target.outcome == "binary":
        raise ValueError(
            f"the forecast of a {target.name} is a probability, which is its whole distribution; "
            "leave out quantiles and distribution, or predict a return or volatility"
        )
    if asked == "garch_t" and target.name != "return":
        raise ValueError(
            f"distribution: garch_t is of a return, not of a {target.name}; choose conformal, "
            "quantile_xgboost or quantile_lightgbm"
        )
    chosen = LEVELS if levels is None else levels
    if not chosen or any(a >= b for a, b in pairwise(chosen)):
        raise ValueError(f"quantiles are ascending levels, such as {list(LEVELS)}")
    if not FARTHEST <= chosen[0] <= chosen[-1] <= 1 - FARTHEST:
        raise ValueError(f"quantiles lie between {FARTHEST} and {1 - FARTHEST}")
    usual: DistributionName = "garch_t" if target.name == "return" else "conformal"
    family = usual if isinstance(asked, bool) else asked
    return DistributionSpec(family=family, quantiles=chosen)
