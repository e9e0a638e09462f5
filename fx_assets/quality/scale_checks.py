"""Prices in another unit than the rest."""

from __future__ import annotations

import numpy as np

from fx_assets.quality.confirmed import LISTED, how_to_confirm
from fx_assets.quality.evidence import KEPT_EXAMPLES, Evidence, Outcome, listed
from fx_assets.quality.path import SMALLEST_SIGMA, Path
from fx_assets.quality.times import bar_times

UNDONE_WITHIN = 5
LARGEST_POWER = 8
CALM = 0.125
"""Annual volatility up to which the limit counts as it stands; beyond, it grows in proportion."""
COVERED_TO = 2.0
"""Largest log return that a bar's own high and low can vouch for: a factor of seven."""
TURN_SIGMAS, SURE_SIGMAS = 12, 18
MOSTLY = 0.8
_TEN = np.log(10.0)


def scale_errors(evidence: Evidence) -> Outcome:
    """New bars in another unit: off by a power of ten, inverted, undone soon, or unconfirmed.

    A step by a power of ten, or to the inverse, lasts until it is undone; the bars on the side of
    the last stored bar are taken as right, and in a first load the side with more bars. A way that
    the bar's own high and low cover was gone, and is no error; a bar whose range touches neither
    neighbour was not.
    """
    limit = evidence.limit("scale_errors")
    path = evidence.path
    reach = limit * max(1.0, path.annual_sigma / CALM)
    returns = _unexplained(path, evidence.confirmed, limit)
    log_close = path.log_close[:1] + np.cumsum(returns)
    covered = _covered(path, limit)
    level, steps = _level(path, returns, limit, covered)
    wrong = level != _right_level(level, path.new)
    passing = undone(log_close, returns, _farthest(path, limit, reach, covered), limit / 2)
    if len(wrong) > 1 and path.new[-1] and not (wrong | passing)[-2] and not covered[-1]:
        passing[-1] |= abs(returns[-1]) > reach
    rows = evidence.revised
    rescaled = np.abs(np.log(rows["close"].to_numpy() / rows["old"].to_numpy())) > limit
    if rescaled.any():
        passing |= np.isin(path.times, bar_times(rows)[rescaled]) & ~evidence.confirmed
    wrong |= passing
    to_blame = wrong & path.new
    new = np.flatnonzero(to_blame)
    stored = np.flatnonzero(wrong & ~path.new & _beside(path.new))
    texts = [path.describe(int(i)) for i in new[:KEPT_EXAMPLES]]
    texts += [f"{path.describe(int(i))} (already stored)" for i in stored[:KEPT_EXAMPLES]]
    count = len(new) + len(stored)
    if not count:
        return Outcome(0, f"No step beyond {reach:.2g} in log price looks like another unit.")
    events = _entries(log_close, steps | (passing & ~np.append(False, passing[:-1])), limit / 2)
    return Outcome(
        count,
        f"{count} bars look like another unit, an inverse or a typing error (beyond {reach:.2g} "
        f"in log price): {listed(texts, count)}. The newest bar is held back until the next "
        f"confirms it; for stored bars add the day to known_bad.{how_to_confirm(path, events)}",
        tuple(texts[:KEPT_EXAMPLES]),
        path.times[new],
        "the price looks like another unit, an inverse or a typing error",
    )


def _entries(x: np.ndarray, steps: np.ndarray, near: float) -> list[int]:
    """Where the steps lead away; a step that soon leads back needs no word of its own."""
    found: list[int] = []
    for j in np.flatnonzero(steps)[: 2 * LISTED + 2].tolist():
        soon = (i for i in found if 0 < i < j <= i + UNDONE_WITHIN)
        if not any(abs(x[j] - x[i - 1]) < near for i in soon):
            found.append(j)
    return found


def _unexplained(path: Path, confirmed: np.ndarray, limit: float) -> np.ndarray:
    """The returns without those that lead to a confirmed bar, and soon back from it."""
    if not confirmed.any():
        return path.returns
    returns, x = path.returns.copy(), path.log_close
    returns[confirmed] = 0.0
    for i in (np.flatnonzero(confirmed[1:]) + 1).tolist():
        for j in range(i + 1, min(i + 1 + UNDONE_WITHIN, len(path))):
            if abs(x[j] - x[i - 1]) < limit / 2 < abs(path.returns[j]):
                returns[j] = 0.0
                break
    return returns


def _covered(path: Path, limit: float) -> np.ndarray:
    """Bars whose own range reaches back to the close before."""
    size = np.abs(path.returns)
    with np.errstate(invalid="ignore"):
        return np.asarray((path.log_gap < np.maximum(limit / 5, size / 4)) & (size < COVERED_TO))


def _farthest(path: Path, limit: float, reach: float, covered: np.ndarray) -> np.ndarray:
    """How far each bar may go and come back: more with a path, less where its range leaves one."""
    farthest = np.where(np.isnan(path.log_gap), reach, limit / 2)
    farthest[covered] = np.inf
    return farthest


def _beside(new: np.ndarray) -> np.ndarray:
    """Bars that a new one could have exposed as undone."""
    found = new.copy()
    for shift in range(1, UNDONE_WITHIN + 1):
        found[shift:] |= new[:-shift]
        found[:-shift] |= new[shift:]
    return found


def _level(
    path: Path, returns: np.ndarray, limit: float, covered: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which unit each bar is in, relative to the first, and where that changes.

    The unit is a count of steps, 0 for that of the first bar.
    """
    far = (np.abs(returns) > limit) & ~covered
    power = np.rint(returns / _TEN).astype(np.int64)
    step = far & (power != 0) & (np.abs(power) <= LARGEST_POWER)
    step &= np.abs(returns - power * _TEN) < limit / 2
    turn = _turns(path.log_close, returns, far, limit) & ~step
    level = np.asarray(2 * np.cumsum(np.where(step, power, 0)) + np.cumsum(turn) % 2)
    return level, step | turn


def _turns(x: np.ndarray, returns: np.ndarray, far: np.ndarray, limit: float) -> np.ndarray:
    """Where a price gives way to its inverse: the log price changes sign and keeps its size.

    Below the limit, as of EUR/USD, it does so once for good, or there and back, or most often when
    it crosses one.
    """
    if len(x) < 2:
        return np.zeros(len(x), dtype=bool)
    before = np.concatenate([x[:1], x[:-1]])
    unfolded = np.abs(np.abs(x) - np.abs(before))
    moving = unfolded[unfolded > 0]
    sigma = float(np.median(moving)) / 0.6745 if len(moving) else 0.0
    sigma = max(sigma, SMALLEST_SIGMA)
    crossing = (x * before < 0) & (np.abs(returns) > TURN_SIGMAS * max(sigma, 4 * SMALLEST_SIGMA))
    near = crossing & (unfolded < TURN_SIGMAS / 4 * sigma)
    turns = np.flatnonzero(near)
    alternating = len(turns) > UNDONE_WITHIN and len(turns) > MOSTLY * crossing.sum()
    if not alternating and len(turns):
        soon = np.diff(turns) <= UNDONE_WITHIN
        alone = len(turns) == 1
        there_and_back = np.append(soon, False) | np.append(False, soon)
        weak = np.abs(returns[turns]) < SURE_SIGMAS * sigma
        near[turns[weak | ~(there_and_back | alone)]] = False
    return np.asarray((far & (np.abs(returns + 2 * before) < limit / 2)) | near)


def _right_level(level: np.ndarray, new: np.ndarray) -> int:
    if not len(level):
        return 0
    if (~new).any():
        return int(level[~new][-1])
    least = int(level.min())
    return least + int(np.bincount(level - least).argmax())


def undone(
    log_close: np.ndarray, returns: np.ndarray, farthest: np.ndarray, near: float
) -> np.ndarray:
    """Bars of an excursion beyond ``farthest`` that is back within ``near`` in a few bars."""
    size = len(returns)
    begins = np.flatnonzero(np.abs(returns) > farthest)
    edges = np.zeros(size + 1, dtype=np.int64)
    waiting = begins
    for later in range(1, UNDONE_WITHIN + 1):
        waiting = waiting[waiting + later < size]
        back = np.abs(log_close[waiting + later] - log_close[waiting - 1]) < near
        np.add.at(edges, waiting[back], 1)
        np.add.at(edges, waiting[back] + later, -1)
        waiting = waiting[~back]
    return np.asarray(np.cumsum(edges[:size]) > 0)
