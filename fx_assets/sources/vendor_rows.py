"""From the cells of vendors' answers to prices, with a record of every row that is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.specs.bars import PRICE_COLUMNS

VENDOR_QUIRK = "vendor_quirk"
"""The check that a known and harmless oddity of a vendor is recorded under; it stops nothing."""
UNREADABLE = "schema_and_types"
_NOTHING = ("", "nan", "null", "none", "n/a")


@dataclass
class VendorRows:
    """Collects rows; each becomes a price or a record of why it is none.

    Parameters
    ----------
    market
        Names the day that a rejected row belongs to.
    """

    market: Calendar
    rejected: list[dict[str, str]] = field(default_factory=list)
    """Records of the text columns of ``REJECTED_DTYPES``, without the payload."""
    _times: list[datetime] = field(default_factory=list)
    _cells: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, event_time: datetime, cells: Mapping[str, Any]) -> None:
        """Take a row as a bar, or reject it where a cell is neither a number nor empty.

        Parameters
        ----------
        event_time
            When the bar closes (UTC).
        cells
            Any of ``PRICE_COLUMNS``, as numbers or texts; what is absent or empty is NaN.
        """
        values = []
        for name in PRICE_COLUMNS:
            value = number(cells.get(name))
            if value is None:
                self.reject(
                    self.market.bar_day(event_time).isoformat(),
                    name,
                    cells[name],
                    UNREADABLE,
                    f"{name} is not a number",
                )
                return
            values.append(value)
        self._times.append(event_time)
        self._cells.append(tuple(values))

    def reject(self, day: str, column: str, value: object, check: str, reason: str) -> None:
        """Record a row that is no bar, with its raw text."""
        self.rejected.append(
            {
                "event_date": day[:40],
                "column": column,
                "value": str(value)[:200],
                "check": check,
                "reason": reason,
            }
        )

    @property
    def newest(self) -> datetime | None:
        """Close of the newest bar."""
        return max(self._times, default=None)

    def __len__(self) -> int:
        return len(self._times)

    def prices(self) -> pd.DataFrame:
        """``event_time`` (UTC) and ``PRICE_COLUMNS``, in the order in which the rows came."""
        frame = pd.DataFrame(self._cells, columns=list(PRICE_COLUMNS), dtype="float64")
        times = pd.DatetimeIndex(self._times, dtype="datetime64[us, UTC]")
        frame.insert(0, "event_time", times)
        return frame


def number(cell: Any) -> float | None:
    """A cell as a number, NaN where it is empty, ``None`` where it is neither."""
    if type(cell) is float and not math.isinf(cell):
        return cell
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in _NOTHING):
        return math.nan
    if isinstance(cell, bool) or not isinstance(cell, int | float | str) or "_" in str(cell):
        return None
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        return None
    return None if math.isinf(value) else value
