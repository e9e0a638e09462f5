"""Which rows of a table are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Window:
    """Days included, newest rows first, at most so many."""

    start: date | None
    to: date | None
    before: datetime | None
    limit: int

    def select(self, times: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, bool]:
        """Indices of the rows, and whether older ones follow.

        Parameters
        ----------
        times
            (n,) microseconds since 1970.
        chosen
            (n,) which rows count at all.
        """
        low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        if self.start is not None:
            low = _midnight(self.start)
        if self.to is not None:
            high = _midnight(self.to) + _DAY
        if self.before is not None:
            high = min(high, microseconds(self.before))
        inside = np.flatnonzero(chosen & (times >= low) & (times < high))
        within = times[inside]
        if (within[1:] > within[:-1]).all():
            order = inside[::-1]
        else:
            order = inside[np.argsort(-within, kind="stable")]
        return order[: self.limit], len(order) > self.limit


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _midnight(day: date) -> int:
    return microseconds(datetime.combine(day, datetime.min.time(), UTC))
