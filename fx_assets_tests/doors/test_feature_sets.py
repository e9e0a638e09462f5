"""A feature set of a stranger that is not honest is not proved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fx_assets.testing import prove

CODE = """
import numpy as np

from fx_assets.features import Feature, FeatureSetDefinition


def column(bars):
    change = bars.change(1)
    return {column}


class Mine(FeatureSetDefinition):
    "One column."

    name = "{name}"
    reads = ("close",)
    frequencies = ("1d",)

    @classmethod
    def features(cls, bar):
        return (Feature("x", "a change of the close", "log return", 1, column),)
"""


@pytest.mark.parametrize(
    ("name", "column", "checks"),
    [
        ("honest", "change", set()),
        ("ahead", "np.roll(change, -1)", {"no column knows a later price"}),
        (
            "centred",
            "change - np.nansum(change) / len(change)",
            {"no column changes when later bars arrive"},
        ),
        (
            "dice",
            "change + 1e-9 * np.random.default_rng().normal(size=len(change))",
            {"two computations agree to the last bit"},
        ),
        ("short", "change[1:]", {"values are missing in the warm up only"}),
        (
            "scribbler",
            "(bars.close.__setitem__(0, 1.0), change)[1]",
            {"bars are left as they were"},
        ),
    ],
)
def test_a_feature_set_is_proved_if_and_only_if_it_is_honest(
    name: str, column: str, checks: set[str], plugin: Callable[[str], Path]
) -> None:
    plugin(CODE.replace("{column}", column).replace("{name}", name))
    broken = {verdict.check for verdict in prove(name) if not verdict.holds}
    assert broken >= checks
    assert bool(broken) == bool(checks)


def test_a_column_that_is_read_and_not_stated_is_named(plugin: Callable[[str], Path]) -> None:
    plugin(CODE.replace("{column}", "change + bars.volume").replace("{name}", "greedy"))
    (found,) = [verdict.found for verdict in prove("greedy") if not verdict.holds]
    assert "without open, high, low, volume, market_cap, which are not in `reads`" in found
