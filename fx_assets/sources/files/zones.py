"""From local times to UTC, where the clocks of a zone change twice a year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from fx_assets.specs.sources import shifted_zone


@dataclass(frozen=True)
class Instants:
    """UTC instants, NaT where a local time has none or cannot be decided.

    Parameters
    ----------
    utc
        ``datetime64[us]``.
    skipped
        Local times that the zone's clocks jump over.
    undecided
        Local times that come twice, where the order of the rows does not tell which is meant.
    """

    utc: np.ndarray
    skipped: np.ndarray
    undecided: np.ndarray


def to_utc(local: np.ndarray, zone: str) -> Instants:
    """UTC instants of local times in the order of a file, oldest or newest first.

    A time that comes twice, when clocks are set back, is read by the order of the rows: those
    before the clock steps back are in daylight saving time, those after it are not.

    Parameters
    ----------
    local
        ``datetime64[us]`` in the order of the rows; NaT stays NaT.
    zone
        An IANA name, or one with a shift; see ``FilesSource.timezone``.
    """
    where, shift = shifted_zone(zone)
    clocks = local - np.timedelta64(shift)
    known = clocks[~np.isnat(clocks)]
    if not len(known):
        nowhere = np.zeros(len(local), dtype=bool)
        return Instants(clocks, nowhere, nowhere)
    years = [int(str(value)[:4]) for value in (known.min(), known.max())]
    changes, offsets = _changes(where, years[0] - 1, years[1] + 1)
    begun = np.searchsorted(changes + offsets[1:], clocks, side="right")
    ended = np.searchsorted(changes + offsets[:-1], clocks, side="right")
    skipped, twice = ended > begun, ended < begun
    summer, winter = clocks - offsets[ended], clocks - offsets[begun]
    is_winter, undecided = _by_order(local, twice, summer)
    utc = np.where(is_winter, winter, summer)
    utc[undecided | skipped] = np.datetime64("NaT")
    return Instants(utc, skipped & ~np.isnat(clocks), undecided)


def offsets_of(utc: np.ndarray, zone: str) -> np.ndarray:
    """How far the clocks of a zone are ahead of UTC at some instants; NaT where those are NaT."""
    where, shift = shifted_zone(zone)
    known = utc[~np.isnat(utc)]
    offsets = np.full(len(utc), np.timedelta64("NaT"), dtype="timedelta64[us]")
    if len(known):
        years = [int(str(value)[:4]) for value in (known.min(), known.max())]
        changes, distances = _changes(where, years[0] - 1, years[1] + 1)
        place = np.searchsorted(changes, known, side="right")
        offsets[~np.isnat(utc)] = distances[place] + np.timedelta64(shift)
    return offsets


@lru_cache(maxsize=32)
def _changes(zone: ZoneInfo, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """When the zone's clocks change (UTC), and their offsets before, between and after."""

    def offset(at: datetime) -> timedelta:
        return at.astimezone(zone).utcoffset() or timedelta()

    changes: list[datetime] = []
    day = datetime(first, 1, 1, tzinfo=UTC)
    offsets = [offset(day)]
    while day.year <= last:
        after = day + timedelta(days=1)
        if offset(after) != offsets[-1]:
            low, high = 0, 86_400
            while high - low > 1:
                middle = (low + high) // 2
                same = offset(day + timedelta(seconds=middle)) == offsets[-1]
                low, high = (middle, high) if same else (low, middle)
            changes.append(day + timedelta(seconds=high))
            offsets.append(offset(after))
        day = after
    naive = [change.replace(tzinfo=None) for change in changes]
    return np.array(naive, dtype="datetime64[us]"), np.array(offsets, dtype="timedelta64[us]")


def _by_order(
    local: np.ndarray, twice: np.ndarray, summer: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the times that come twice are the second, and which cannot be decided."""
    is_winter, undecided = np.zeros(len(local), dtype=bool), np.zeros(len(local), dtype=bool)
    rows = np.flatnonzero(twice)
    if not len(rows):
        return is_winter, undecided
    steps = np.diff(summer[~np.isnat(summer)]).astype(np.int64)
    descending = (steps < 0).sum() > (steps > 0).sum()
    day = local[rows].astype("datetime64[D]")
    breaks = (np.diff(rows) > 1) | (np.diff(day) != np.timedelta64(0))
    groups = np.split(rows, np.flatnonzero(breaks) + 1)
    for group in groups:
        order = group[::-1] if descending else group
        back = np.flatnonzero(np.diff(local[order]) <= np.timedelta64(0))
        if len(back) == 1:
            is_winter[order[back[0] + 1 :]] = True
        else:
            undecided[order] = True
    return is_winter, undecided
