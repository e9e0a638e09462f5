"""Kinds of target: what each is, how it is judged and how it is said, in one class each.

Ours are modules of this package, and come through the same door as other people's
(:mod:`fx_assets.doors`): an entry point of the group ``fx_assets.targets``, or a class in a
project's plug-in folder. NumPy only.
"""

from __future__ import annotations

from functools import lru_cache

from fx_assets.doors import TARGETS
from fx_assets.targets.base import Floats, Reference, TargetDefinition
from fx_assets.targets.intervals import IntervalRule, Ratios, Residuals, Shares
from fx_assets.targets.outcomes import Binary, Positive, Real
from fx_assets.targets.shown import Metric, ValueFormat, Wording

__all__ = [
    "Binary",
    "Floats",
    "IntervalRule",
    "Metric",
    "Positive",
    "Ratios",
    "Real",
    "Reference",
    "Residuals",
    "Shares",
    "TargetDefinition",
    "ValueFormat",
    "Wording",
    "target_definition",
]


def target_definition(kind: str) -> TargetDefinition:
    """What a kind of target is.

    Raises
    ------
    SpecError
        There is no such kind; the message names those that are.
    """
    return _made(TARGETS[kind])


@lru_cache(maxsize=64)
def _made(definition: type[TargetDefinition]) -> TargetDefinition:
    return definition()
