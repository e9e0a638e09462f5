"""Checks of the path that stored and new bars make together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fx_assets.quality.evidence import RETURNS, WARM_UP, Evidence, Outcome, listed

UNDONE_WITHIN = 5
POWERS = np.array([k for k in range(-8, 9) if k])
_TEN = np.log(10.0)


def missing_days(evidence: Evidence) -> Outcome:
    """Open days without a bar between the first and the last; quarantined days are explained."""
    days = evidence.path.days
    if not len(days):
        return Outcome(0, "There are no bars.")
    first, last = days[0].item(), days[-1].item()
    known = set(days.tolist()) | evidence.explained
    absent = [str(d) for d in evidence.calendar.open_days(first, last) if d not in known]
    if not absent:
        return Outcome(0, f"Every open day from {first} to {last} has a bar.")
    return Outcome(
        len(absent),
        f"{len(absent)} open days from {first} to {last} have no bar: {listed(absent)}. If the "
        "provider has none, start the feed later or raise missing_days.limit.",
        tuple(absent[:50]),
    )


def revisions(evidence: Evidence) -> Outcome:
    """Stored bars that the batch would revise."""
    rows = evidence.revised
    texts = [
        f"{day:%Y-%m-%d}: {old:g} to {new:g}"
        for day, old, new in zip(rows["event_time"], rows["old"], rows["close"], strict=True)
    ]
    if not texts:
        return Outcome(0, "No stored bar is revised.")
    return Outcome(
        len(texts),
        f"{len(texts)} of {len(evidence.stored)} stored bars are revised: {listed(texts)}.",
        tuple(texts[:50]),
        frozenset(rows["event_time"]),
        "one of many stored bars revised at once",
    )


def jumps(evidence: Evidence) -> Outcome:
    """Returns of new bars beyond the limit of robust standard deviations of the returns before."""
    limit = evidence.limit("jumps")
    path = evidence.path
    with np.errstate(invalid="ignore"):
        ratio = np.abs(path.returns) / path.sigma
        found = np.flatnonzero(path.new & (ratio > limit))
    largest = sorted(found, key=lambda i: -abs(path.returns[i]))
    texts = [
        f"{path.days[i]}: {100 * path.returns[i]:+.1f} % ({ratio[i]:.0f} sigmas)" for i in largest
    ]
    if not texts:
        return Outcome(0, f"No return lies beyond {limit:g} robust standard deviations.")
    return Outcome(
        len(texts),
        f"{len(texts)} return(s) beyond {limit:g} robust standard deviations of the {RETURNS} "
        f"before: {listed(texts)}.",
        tuple(texts[:50]),
        frozenset(path.bars["event_time"].iloc[found]),
        "the return is a jump",
    )


def scale_errors(evidence: Evidence) -> Outcome:
    """New bars in another unit: off by a power of ten, inverted, undone soon, or unconfirmed.

    A step by a power of ten, or to the inverse, lasts until it is undone; the bars on the side of
    the last stored bar are taken as right, and in a first load the side with more bars.
    """
    limit = evidence.limit("scale_errors")
    path = evidence.path
    level = _level(path.log_close, path.returns, limit)
    right = _right_level(level, path.new)
    wrong = level != right
    wrong |= _undone(path.log_close, path.returns, limit)
    if len(wrong) > 1 and abs(path.returns[-1]) > limit and path.new[-1] and not wrong[-2]:
        wrong[-1] = True
    rows = evidence.revised
    rescaled = np.abs(np.log(rows["close"].to_numpy() / rows["old"].to_numpy())) > limit
    blamed = set(path.bars["event_time"].iloc[np.flatnonzero(wrong & path.new)])
    blamed |= set(rows["event_time"][rescaled])
    times = path.bars["event_time"]
    texts = [path.describe(int(i)) for i in np.flatnonzero(times.isin(blamed).to_numpy())]
    stored = np.flatnonzero(wrong & ~path.new & _beside(path.new))
    texts += [f"{path.describe(int(i))} (already stored)" for i in stored]
    if not texts:
        return Outcome(0, f"No step beyond {limit:g} in log price looks like another unit.")
    return Outcome(
        len(texts),
        f"{len(texts)} bars look like another unit, an inverse or a typing error (beyond {limit:g} "
        f"in log price): {listed(texts)}. The newest bar is held back until the next confirms it; "
        "for stored bars add the day to known_bad.",
        tuple(texts[:50]),
        frozenset(blamed),
        "the price looks like another unit, an inverse or a typing error",
    )


def _beside(new: np.ndarray) -> np.ndarray:
    """Bars that a new one could have exposed as undone."""
    found = np.zeros(len(new), dtype=bool)
    for i in np.flatnonzero(new):
        found[max(0, i - UNDONE_WITHIN) : i + UNDONE_WITHIN + 1] = True
    return found


def _level(log_close: np.ndarray, returns: np.ndarray, limit: float) -> np.ndarray:
    """Which unit each bar is in, relative to the first: a count of steps, 0 for the same unit."""
    level = np.zeros(len(returns), dtype=np.int64)
    current = 0
    inverted = False
    for i in np.flatnonzero(np.abs(returns) > limit):
        power = int(np.rint(returns[i] / _TEN))
        if power in POWERS and abs(returns[i] - power * _TEN) < limit / 2:
            current += power
        elif abs(returns[i] + 2 * log_close[i - 1]) < limit / 2:
            inverted = not inverted
        level[i:] = 2 * current + inverted
    return level


def _right_level(level: np.ndarray, new: np.ndarray) -> int:
    if not len(level):
        return 0
    trusted = level[~new] if (~new).any() else level
    values, counts = np.unique(trusted, return_counts=True)
    return int(level[~new][-1]) if (~new).any() else int(values[counts.argmax()])


def _undone(log_close: np.ndarray, returns: np.ndarray, limit: float) -> np.ndarray:
    """Bars of an excursion beyond ``limit`` that is back within half of it in a few bars."""
    found = np.zeros(len(returns), dtype=bool)
    for i in np.flatnonzero(np.abs(returns) > limit):
        later = log_close[i + 1 : i + 1 + UNDONE_WITHIN]
        back = np.flatnonzero(np.abs(later - log_close[i - 1]) < limit / 2)
        if len(back):
            found[i : i + 1 + back[0]] = True
    return found


def zero_returns(evidence: Evidence) -> Outcome:
    """Share of unchanged closes in the newest returns."""
    recent = evidence.path.returns[1:][-RETURNS:]
    if len(recent) < WARM_UP:
        return Outcome(0.0, f"Not applicable: fewer than {WARM_UP} returns.")
    share = float(np.mean(recent == 0))
    first = evidence.path.days[-len(recent)]
    return Outcome(
        share, f"{100 * share:.0f} % of the {len(recent)} returns since {first} are exactly zero."
    )


def ohlc_consistency(evidence: Evidence) -> Outcome:
    """Bars whose high is not the highest, or whose low is not the lowest, of their prices."""
    bars = evidence.batch.dropna(subset=["open", "high", "low"])
    if bars.empty:
        return Outcome(0, "Not applicable: fixings have only a close.")
    body = bars[["open", "close"]]
    bad = bars[(bars["high"] < body.max(axis=1)) | (bars["low"] > body.min(axis=1))]
    texts = [
        f"{row.event_time:%Y-%m-%d}: open {row.open:g} high {row.high:g} low {row.low:g} "
        f"close {row.close:g}"
        for row in bad.itertuples()
    ]
    if not texts:
        return Outcome(0, f"High and low contain open and close in all {len(bars)} bars.")
    return Outcome(
        len(texts),
        f"{len(texts)} bars have an open or close outside high and low: {listed(texts)}.",
        tuple(texts[:50]),
        frozenset(bad["event_time"]),
        "open or close lies outside high and low",
    )


def stale_close(evidence: Evidence) -> Outcome:
    """Correlation of the middle of the bar, relative to its close, with the next return.

    A close that belongs to the bar before is foretold by its own high and low: the correlation is
    about 0.8 on such bars and below 0.03 on honest ones.
    """
    bars = evidence.path.bars.dropna(subset=["high", "low"]).tail(4 * RETURNS)
    if bars.empty:
        return Outcome(0.0, "Not applicable: fixings have only a close.")
    if len(bars) < WARM_UP:
        return Outcome(0.0, f"Not applicable: fewer than {WARM_UP} bars with high and low.")
    middle = ((bars["high"] + bars["low"]) / 2 / bars["close"] - 1).iloc[:-1]
    following = pd.Series(np.diff(np.log(bars["close"])), index=middle.index)
    if middle.std() == 0 or following.std() == 0:
        return Outcome(0.0, "Not applicable: the bars do not move.")
    value = float(middle.corr(following))
    return Outcome(
        value,
        f"The middle of a bar foretells the next return with a correlation of {value:.2f} in the "
        f"last {len(bars)} bars; honest closes stay near zero.",
    )
