"""Columns of market capitalisation: the supply behind it, and how much of it changes hands.

Capitalisation is price times supply, so that its change is a return and a change of supply; a
column of its own would be their sum. Volume and capitalisation are in the same currency.
"""

from __future__ import annotations

from datetime import timedelta

from fx_assets.features.base import Bars, Feature, Floats
from fx_assets.features.close_columns import shifted
from fx_assets.features.prices import Volume, log_supply
from fx_assets.features.rolling import ratio
from fx_assets.features.spans import used
from fx_assets.features.volume_columns import known_from
from fx_assets.features.windows import Pieces, rolling_moments, slices

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
        *(_turnover_zscore(span, n) for span, n in used(TURNOVER, bar)),
    ]


def _supply_change(name: str, meaning: str, n: int) -> Feature:
    def compute(b: Bars) -> Pieces:
        supply = b.derived(log_supply)
        return known_from((supply[rows] - shifted(supply, n, rows) for rows in slices(len(b))), n)

    return Feature(name, meaning, "log ratio", n, compute)


def _log_turnover(b: Bars, rows: slice) -> Floats:
    return b.derived(Volume).log[rows] - (b.derived(log_supply)[rows] + b.log_close[rows])


def _turnover_zscore(span: str, n: int) -> Feature:
    def compute(b: Bars) -> Pieces:
        moments = rolling_moments(lambda rows: _log_turnover(b, rows), len(b), n)
        return known_from((ratio(m.distance, m.std) for m in moments), n - 1)

    return Feature(
        f"turnover_zscore_{span}",
        f"distance of the log turnover from its mean over {span}, in standard deviations",
        "standard deviations",
        n - 1,
        compute,
    )
