"""Forecasts of one target at several horizons, side by side, without contradicting each other.

The variance of more bars is not less: it is a sum over bars. Each horizon is forecast by itself,
so that a longer one may say less. What is shown and served of all of them together is the largest
of the values up to each horizon; what was issued, and is scored, stays beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fx_assets.targets import TargetDefinition


def adds_up(target: TargetDefinition) -> bool:
    """Whether the outcomes of more bars cannot be less: sums over the way that are not negative."""
    return target.path and target.outcome == "positive"


def reconciled(target: TargetDefinition, values: Sequence[float]) -> list[float]:
    """Values by ascending horizon as they are shown: of what adds up, the cumulative maximum."""
    if not adds_up(target) or not values:
        return list(values)
    largest: list[float] = np.maximum.accumulate(np.asarray(values, dtype=np.float64)).tolist()
    return largest


@dataclass(frozen=True)
class TermRow:
    """A horizon's newest prediction: the value that is shown, and the row as it was issued."""

    horizon: int
    forecast: str
    value: float
    row: Mapping[str, Any]

    @property
    def moved(self) -> float:
        """By what the value that was issued is multiplied."""
        issued = float(self.row["prediction"])
        return self.value / issued if self.value != issued else 1.0


def term_rows(target: TargetDefinition, rows: Mapping[str, Mapping[str, Any]]) -> list[TermRow]:
    """What is said of each horizon after the newest bar, by ascending horizon.

    Parameters
    ----------
    rows
        The newest row of ``predictions`` of each horizon's forecast, by its name. Those that have
        said nothing of the newest bar are left out.
    """
    if not rows:
        return []
    newest = max(row["event_time"] for row in rows.values())
    known = [(name, row) for name, row in rows.items() if row["event_time"] == newest]
    known.sort(key=lambda pair: int(pair[1]["horizon"]))
    values = reconciled(target, [float(row["prediction"]) for _, row in known])
    return [
        TermRow(int(row["horizon"]), name, value, row)
        for (name, row), value in zip(known, values, strict=True)
    ]


def term_text(target: TargetDefinition, rows: Sequence[TermRow]) -> str:
    """All horizons in a line, such as ``1 bar: 5.2 % a year, 5 bars: 5.3 % a year``."""
    parts = []
    for one in rows:
        bars = "1 bar" if one.horizon == 1 else f"{one.horizon} bars"
        year = int(one.row["bars_a_year"])
        text = target.shown.text(one.value, one.horizon, year)
        if one.moved != 1.0:
            issued = target.shown.text(float(one.row["prediction"]), one.horizon, year)
            text += f" (issued {issued}, less than of fewer bars)"
        parts.append(f"{bars}: {text}")
    return ", ".join(parts)
