"""Checks of bars that have more than a close."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from fx_assets.quality.confirmed import how_to_confirm
from fx_assets.quality.evidence import KEPT_EXAMPLES, RETURNS, WARM_UP, Evidence, Outcome, listed
from fx_assets.quality.path import Path

SHARE_FROM = timedelta(hours=1)
"""Bars shorter than this close at their open often enough without being stale."""
AROUND = 10
"""Bars on each side whose prices show how many decimals a vendor gives."""
MOST_DECIMALS = 8
MOST_UNITS = 20_000
"""Offending bars up to which the decimals around each are counted."""
ROUNDING = 2e-7
"""Relative error of prices that were kept as 32-bit floats."""


def ohlc_consistency(evidence: Evidence) -> Outcome:
    """Bars whose high is not the highest, or whose low is not the lowest, of their prices.

    Judges what a bar has: an empty open hides nothing. A price may lie outside by one unit of the
    last decimal of the prices around, which is how far a vendor's rounding goes.
    """
    path = evidence.path
    judged = path.new & ~evidence.confirmed
    judged &= ~(np.isnan(path.high) & np.isnan(path.low) & np.isnan(path.open))
    if not judged.any():
        return Outcome(0, "Not applicable: fixings have only a close.")
    top = np.fmax(np.fmax(path.open, path.low), path.close)
    bottom = np.fmin(np.fmin(path.open, path.high), path.close)
    with np.errstate(invalid="ignore"):
        outside = np.fmax(top - path.high, path.low - bottom)
        suspects = np.flatnonzero(judged & (outside > 0))
    slack = np.maximum(1.01 * _units(path, suspects), ROUNDING * path.close[suspects])
    bad = suspects[outside[suspects] > slack]
    texts = [
        f"{path.label(i)}: open {path.open[i]:g} high {path.high[i]:g} low {path.low[i]:g} "
        f"close {path.close[i]:g}"
        for i in bad[:KEPT_EXAMPLES].tolist()
    ]
    rounded = len(suspects) - len(bad)
    tail = f" {rounded} are off by the vendor's rounding." if rounded else ""
    if not texts:
        return Outcome(0, f"High and low contain open and close in all {judged.sum()} bars.{tail}")
    return Outcome(
        len(bad),
        f"{len(bad)} bars have an open or close outside high and low: {listed(texts, len(bad))}."
        f"{tail}{how_to_confirm(path, bad)}",
        tuple(texts),
        path.times[bad],
        "open or close lies outside high and low",
    )


def _units(path: Path, places: np.ndarray) -> np.ndarray:
    """The unit of the last decimal that is in use around each place; 0 without a grid."""
    if not len(places):
        return np.zeros(0)
    if len(places) > MOST_UNITS:
        spread = np.linspace(0, len(path) - 1, MOST_UNITS).astype(int)
        return np.full(len(places), np.max(_units(path, spread)[::AROUND]))
    near = np.clip(places[:, None] + np.arange(-AROUND, AROUND + 1), 0, len(path) - 1)
    prices = np.concatenate([path.open[near], path.high[near], path.low[near], path.close[near]], 1)
    unit = np.zeros(len(places))
    for decimals in range(MOST_DECIMALS, -1, -1):
        shifted = prices * 10.0**decimals
        with np.errstate(invalid="ignore"):
            off = np.abs(shifted - np.rint(shifted)) > np.maximum(1e-6, 1e-7 * shifted)
        unit[~off.any(axis=1)] = 10.0**-decimals
    return unit


def stale_close(evidence: Evidence) -> Outcome:
    """Rank correlation of the middle of the bar, relative to its close, with the next return.

    A close that belongs to the bar before is foretold by its own high and low: the correlation is
    about 0.8 on such bars and below 0.03 on honest ones. Ranks, because one bad low must not hide
    it; window by window over all bars, because it may have been so for a while only, and of minutes
    over the windows with new bars. Of bars of an hour and more also the share of a window that
    closes exactly at the open: 0.73 on such bars and below 0.01 on honest ones that move.
    """
    path = evidence.path
    complete = np.flatnonzero(~np.isnan(path.high) & ~np.isnan(path.low))
    if not len(complete):
        return Outcome(0.0, "Not applicable: fixings have only a close.")
    if len(complete) < WARM_UP:
        return Outcome(0.0, f"Not applicable: fewer than {WARM_UP} bars with high and low.")
    high, low, close = (values[complete] for values in (path.high, path.low, path.close))
    middle = ((high + low) / 2 / close - 1)[:-1]
    following = np.diff(np.log(close))
    size = RETURNS if path.calendar.daily else 4 * RETURNS
    windows = _windows(len(middle), size)
    if path.calendar.bar < SHARE_FROM:
        new = path.new[complete]
        windows = [part for part in windows if new[part].any()] or windows[-1:]
    value, first = _largest_rank_correlation(middle, following, windows)
    last = min(first + size, len(complete) - 1)
    span = f"from {path.label(int(complete[first]))} to {path.label(int(complete[last]))}"
    message = (
        f"The middle of a bar foretells the next return with a rank correlation of {value:.2f} "
        f"{span}; honest closes stay near zero."
    )
    moving = np.flatnonzero((high > low) & ~np.isnan(path.open[complete]))
    if path.calendar.bar < SHARE_FROM or len(moving) < WARM_UP:
        return Outcome(value, message)
    same = (close == path.open[complete])[moving]
    share = max(float(same[part].mean()) for part in _windows(len(same), size))
    return Outcome(
        max(value, share),
        f"{message} At most {100 * share:.0f} % of {size} bars close exactly at their open.",
    )


def _windows(length: int, size: int) -> list[slice]:
    """Windows of a size, one after the other, the last one up to the end."""
    if length <= size:
        return [slice(0, length)]
    starts = [*range(0, length - size, size), length - size]
    return [slice(start, start + size) for start in starts]


def _largest_rank_correlation(
    x: np.ndarray, y: np.ndarray, windows: list[slice]
) -> tuple[float, int]:
    """Spearman's correlation in the window where it is largest, and where that begins."""
    ranks = [pd.DataFrame({w: v[part] for w, part in enumerate(windows)}).rank() for v in (x, y)]
    a, b = (rank.to_numpy() - (rank.shape[0] + 1) / 2 for rank in ranks)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    correlation = (a * b).sum(axis=0) / np.where(norm > 0, norm, np.inf)
    best = int(correlation.argmax())
    return float(correlation[best]), windows[best].start
