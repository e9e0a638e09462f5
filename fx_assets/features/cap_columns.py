"""Columns of market capitalisation: the supply behind it, and how much of it changes hands.

Capitalisation is price times supply, so that its change is a return and a change of supply; a
column of its own would be their sum. Volume and capitalisation are in the same currency.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from fx_assets.features.base import Bars, Feature, Floats
from fx_assets.features.close_columns import shifted, zscore
from fx_assets.features.prices import Volume, log_supply
from fx_assets.features.spans import used
from fx_assets.features.windows import Pieces, known_from, slices

SUPPLY = ("24h", "7d", "30d", "90d")
TURNOVER = ("24h", "7d", "30d", "90d")


def cap_columns(bar: timedelta) -> list[Feature]:
    """The features of bars with market capitalisation and volume, of length ``bar``."""
    return [
        _supply_change(
            "supply_change_1", "log change of capitalisation over price since the bar before", 1
        ),
        *(
            _supply_change(
                f"supply_change_{span}", f"log change of capitalisation over price over {span}", n
            )
            for span, n in used(SUPPLY, bar)
        ),
        Feature(
            "log_turnover",
            "logarithm of volume over capitalisation",
            "log ratio",
            0,
            lambda b: known_from((_log_turnover(b, rows) for rows in slices(len(b))), 0),
        ),
        *(
            zscore("turnover_zscore", "turnover", span, n, lambda b: partial(_log_turnover, b))
            for span, n in used(TURNOVER, bar)
        ),
    ]


def _supply_change(name: str, meaning: str, n: int) -> Feature:
    def compute(b: Bars) -> Pieces:
        supply = b.derived(log_supply)
        return known_from((supply[rows] - shifted(supply, n, rows) for rows in slices(len(b))), n)

    return Feature(name, meaning, "log ratio", n, compute)


def _log_turnover(b: Bars, rows: slice) -> Floats:
    return b.derived(Volume).log[rows] - (b.derived(log_supply)[rows] + b.log_close[rows])
