"""Prices in another unit than the rest."""

from __future__ import annotations

import numpy as np

from fx_assets.quality.evidence import KEPT_EXAMPLES, Evidence, Outcome, listed
from fx_assets.quality.times import bar_times

UNDONE_WITHIN = 5
LARGEST_POWER = 8
_TEN = np.log(10.0)


def scale_errors(evidence: Evidence) -> Outcome:
    """New bars in another unit: off by a power of ten, inverted, undone soon, or unconfirmed.

    A step by a power of ten, or to the inverse, lasts until it is undone; the bars on the side of
    the last stored bar are taken as right, and in a first load the side with more bars.
    """
    limit = evidence.limit("scale_errors")
    path = evidence.path
    level = _level(path.log_close, path.returns, limit)
    wrong = level != _right_level(level, path.new)
    wrong |= _undone(path.log_close, path.returns, limit)
    if len(wrong) > 1 and abs(path.returns[-1]) > limit and path.new[-1] and not wrong[-2]:
        wrong[-1] = True
    rows = evidence.revised
    rescaled = np.abs(np.log(rows["close"].to_numpy() / rows["old"].to_numpy())) > limit
    to_blame = wrong & path.new
    if rescaled.any():
        to_blame |= np.isin(path.times, bar_times(rows)[rescaled])
    new = np.flatnonzero(to_blame)
    stored = np.flatnonzero(wrong & ~path.new & _beside(path.new))
    texts = [path.describe(int(i)) for i in new[:KEPT_EXAMPLES]]
    texts += [f"{path.describe(int(i))} (already stored)" for i in stored[:KEPT_EXAMPLES]]
    count = len(new) + len(stored)
    if not count:
        return Outcome(0, f"No step beyond {limit:g} in log price looks like another unit.")
    return Outcome(
        count,
        f"{count} bars look like another unit, an inverse or a typing error (beyond {limit:g} "
        f"in log price): {listed(texts, count)}. The newest bar is held back until the next "
        "confirms it; for stored bars add the day to known_bad.",
        tuple(texts[:KEPT_EXAMPLES]),
        path.times[new],
        "the price looks like another unit, an inverse or a typing error",
    )


def _beside(new: np.ndarray) -> np.ndarray:
    """Bars that a new one could have exposed as undone."""
    found = new.copy()
    for shift in range(1, UNDONE_WITHIN + 1):
        found[shift:] |= new[:-shift]
        found[:-shift] |= new[shift:]
    return found


def _level(log_close: np.ndarray, returns: np.ndarray, limit: float) -> np.ndarray:
    """Which unit each bar is in, relative to the first: a count of steps, 0 for the same unit."""
    far = np.abs(returns) > limit
    power = np.rint(returns / _TEN).astype(np.int64)
    step = far & (power != 0) & (np.abs(power) <= LARGEST_POWER)
    step &= np.abs(returns - power * _TEN) < limit / 2
    before = np.concatenate([log_close[:1], log_close[:-1]])
    turn = far & ~step & (np.abs(returns + 2 * before) < limit / 2)
    return np.asarray(2 * np.cumsum(np.where(step, power, 0)) + np.cumsum(turn) % 2)


def _right_level(level: np.ndarray, new: np.ndarray) -> int:
    if not len(level):
        return 0
    if (~new).any():
        return int(level[~new][-1])
    least = int(level.min())
    return least + int(np.bincount(level - least).argmax())


def _undone(log_close: np.ndarray, returns: np.ndarray, limit: float) -> np.ndarray:
    """Bars of an excursion beyond ``limit`` that is back within half of it in a few bars."""
    size = len(returns)
    begins = np.flatnonzero(np.abs(returns) > limit)
    edges = np.zeros(size + 1, dtype=np.int64)
    waiting = begins
    for later in range(1, UNDONE_WITHIN + 1):
        waiting = waiting[waiting + later < size]
        back = np.abs(log_close[waiting + later] - log_close[waiting - 1]) < limit / 2
        np.add.at(edges, waiting[back], 1)
        np.add.at(edges, waiting[back] + later, -1)
        waiting = waiting[~back]
    return np.asarray(np.cumsum(edges[:size]) > 0)
