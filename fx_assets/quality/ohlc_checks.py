"""Checks of bars that have more than a close."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from fx_assets.quality.confirmed import how_to_confirm
from fx_assets.quality.evidence import KEPT_EXAMPLES, RETURNS, WARM_UP, Evidence, Outcome, listed
from fx_assets.quality.path import Path, windows_of
from fx_assets.quality.stuck_checks import by_chance, runs_of

SHARE_FROM = timedelta(hours=1)
"""Bars shorter than this close at their open often enough without being stale."""
AROUND = 10
"""Bars on each side whose prices show how many decimals a vendor gives."""
SHORT, SHORT_LIMIT = 80, 0.7
"""Length of the windows that tell closes of another bar for some days only, and the correlation
that chance does not reach in any of thousands of them."""
EARLY, EARLY_LIMIT = 4 * RETURNS, 0.3
"""The same of closes of the bar after: about 0.45 on such bars, below 0.15 on honest ones."""
FEWEST_IN_A_ROW = 10
CLOSE_AFTER, MOST_AFTER = 20, 0.9
"""Bars of a stretch, and the share of them whose open has to follow the close before the last."""
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
    slack = np.maximum(1.01 * price_units(path, suspects), ROUNDING * path.close[suspects])
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


def price_units(path: Path, places: np.ndarray) -> np.ndarray:
    """The unit of the last decimal that is in use around each place; 0 without a grid."""
    if not len(places):
        return np.zeros(0)
    if len(places) > MOST_UNITS:
        spread = np.linspace(0, len(path) - 1, MOST_UNITS).astype(int)
        return np.full(len(places), np.max(price_units(path, spread)[::AROUND]))
    near = np.clip(places[:, None] + np.arange(-AROUND, AROUND + 1), 0, len(path) - 1)
    prices = np.concatenate([path.open[near], path.high[near], path.low[near], path.close[near]], 1)
    unit = np.zeros(len(places))
    for decimals in range(MOST_DECIMALS, -1, -1):
        shifted = prices * 10.0**decimals
        with np.errstate(invalid="ignore"):
            off = np.abs(shifted - np.rint(shifted)) > np.maximum(1e-6, 1e-7 * shifted)
        unit[~off.any(axis=1)] = 10.0**-decimals
    return unit


def price_grid(path: Path, place: int) -> float:
    """The step between prices around a place, in hundreds or in quarters as well; 0 without one."""
    unit = float(price_units(path, np.array([place]))[0])
    if not unit:
        return 0.0
    near = slice(max(0, place - AROUND), place + AROUND + 1)
    prices = np.concatenate([path.open[near], path.high[near], path.low[near], path.close[near]])
    steps = np.rint(prices[~np.isnan(prices)] / unit).astype(np.int64)
    return unit * float(np.gcd.reduce(steps))


def stale_close(evidence: Evidence) -> Outcome:
    """Rank correlation of the middle of the bar, relative to its close, with the next return.

    A close that belongs to the bar before is foretold by its own high and low: the correlation is
    about 0.8 on such bars and below 0.03 on honest ones. Ranks, because one bad low must not hide
    it; window by window over all bars, because it may have been so for a while only, and of minutes
    over the windows with new bars. A close of the bar after shows as the same correlation with the
    return before, the other way round. Of bars of an hour and more also the share of a window that
    closes exactly at the open: 0.73 on such bars and below 0.01 on honest ones that move; and
    stretches of it. Where opens follow closes, they tell a close of the bar after, too.
    """
    path = evidence.path
    complete = np.flatnonzero(~np.isnan(path.high) & ~np.isnan(path.low))
    if not len(complete):
        return Outcome(0.0, "Not applicable: fixings have only a close.")
    if len(complete) < WARM_UP:
        return Outcome(0.0, f"Not applicable: fewer than {WARM_UP} bars with high and low.")
    stretch = _stretches(evidence, complete)
    if stretch is not None:
        return stretch
    high, low, close = (values[complete] for values in (path.high, path.low, path.close))
    middle = ((high + low) / 2 / close - 1)[2:-1]
    returns = np.diff(np.log(close))
    long, limit = RETURNS if path.calendar.daily else 4 * RETURNS, evidence.limit("stale_close")
    after, before = returns[2:], returns[:-2]
    looks = [("next", after, long, limit, windows_of(len(middle), long))]
    if path.calendar.bar >= SHARE_FROM:
        halves = [windows_of(len(middle), SHORT, begin) for begin in (0, SHORT // 2)]
        looks.append(("next", after, SHORT, max(limit, SHORT_LIMIT), halves[0] + halves[1]))
    most = EARLY_LIMIT + (2 / np.sqrt(len(middle)) if len(middle) < EARLY else 0)
    looks.append(("last", -before, EARLY, most, windows_of(len(middle), EARLY)))
    value, message = -np.inf, ""
    for when, foretold, size, bound, windows in looks:
        if path.calendar.bar < SHARE_FROM:
            new = path.new[complete[2:-1]]
            windows = [part for part in windows if new[part].any()] or windows[-1:]
        found, first = _largest_rank_correlation(middle, foretold, windows)
        # As a multiple of its own bound, so that the feed's limit is what counts.
        scaled = found * limit / bound
        if scaled <= value:
            continue
        last = min(first + 2 + size, len(complete) - 1)
        span = f"from {path.label(int(complete[first + 2]))} to {path.label(int(complete[last]))}"
        value, message = (
            scaled,
            (
                f"The middle of a bar foretells the {when} return with a rank correlation of "
                f"{found if when == 'next' else -found:.2f} {span}; honest closes stay near zero."
            ),
        )
    moving = np.flatnonzero((high > low) & ~np.isnan(path.open[complete]))
    if path.calendar.bar < SHARE_FROM or len(moving) < WARM_UP:
        return Outcome(value, message)
    same = (close == path.open[complete])[moving]
    share = max(float(same[part].mean()) for part in windows_of(len(same), long))
    return Outcome(
        max(value, share),
        f"{message} At most {100 * share:.0f} % of {long} bars close exactly at their open.",
    )


def _stretches(evidence: Evidence, complete: np.ndarray) -> Outcome | None:
    """Stretches of closes that are the open of their bar, or that of the bar after the next."""
    path = evidence.path
    open_, close = path.open[complete], path.close[complete]
    judged = path.new[complete] & ~evidence.confirmed[complete]
    found = {}
    if path.calendar.bar >= SHARE_FROM:
        same = (close == open_) & (path.high > path.low)[complete]
        runs = runs_of(same, FEWEST_IN_A_ROW)
        least = by_chance(same, runs)
        found["close exactly at their open, as a close of the bar before does"] = [
            run for run in runs if run[1] - run[0] >= least
        ]
    new = np.flatnonzero(judged)
    since = max(0, int(new[0]) - 2 * CLOSE_AFTER) if len(new) else len(close)
    after = _closes_of_the_bar_after(open_[since:], close[since:])
    ahead = [(since + begin, since + end) for begin, end in after]
    found[
        "have a close that the open of the bar after the next one follows, as it does that of "
        "the bar after"
    ] = ahead
    for what, runs in found.items():
        runs = [(begin, end) for begin, end in runs if judged[begin:end].any()]
        if not runs:
            continue
        texts = [
            f"{path.label(int(complete[begin]))} to {path.label(int(complete[end - 1]))} "
            f"({end - begin} bars)"
            for begin, end in runs[:KEPT_EXAMPLES]
        ]
        places = complete[np.concatenate([np.arange(begin, end) for begin, end in runs])]
        places = places[path.new[places]]
        return Outcome(
            1.0,
            f"Bars {what}: {listed(texts, len(runs))}."
            f"{how_to_confirm(path, places[:1], 'If they are real')}",
            tuple(texts),
            path.times[places],
            "the close is that of another bar",
        )
    return None


def _closes_of_the_bar_after(open_: np.ndarray, close: np.ndarray) -> list[tuple[int, int]]:
    """Stretches in which each open follows the last close but one more closely than the last."""
    if len(close) < 2 * CLOSE_AFTER:
        return []
    with np.errstate(invalid="ignore"):
        after = np.abs(np.log(open_[2:] / close[1:-1]))
        before = np.abs(np.log(open_[2:] / close[:-2]))
        clear = np.flatnonzero(np.abs(after - before) > 1e-9)
    early = (before < after)[clear]
    if len(early) < CLOSE_AFTER:
        return []
    count = np.convolve(early, np.ones(CLOSE_AFTER), "valid")
    inside = np.zeros(len(early), dtype=bool)
    for start in np.flatnonzero(count >= CLOSE_AFTER * MOST_AFTER):
        inside[start : start + CLOSE_AFTER] = True
    return [
        (int(clear[begin]) + 1, int(clear[end - 1]) + 2)
        for begin, end in runs_of(inside, CLOSE_AFTER)
    ]


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
