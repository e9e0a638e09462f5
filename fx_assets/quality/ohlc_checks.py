"""Checks of bars that have more than a close."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from fx_assets.quality.evidence import KEPT_EXAMPLES, RETURNS, WARM_UP, Evidence, Outcome, listed
from fx_assets.quality.times import bar_times

SHARE_FROM = timedelta(hours=1)
"""Bars shorter than this close at their open often enough without being stale."""


def ohlc_consistency(evidence: Evidence) -> Outcome:
    """Bars whose high is not the highest, or whose low is not the lowest, of their prices."""
    names = ("open", "high", "low", "close")
    open_, high, low, close = (evidence.batch[name].to_numpy(np.float64) for name in names)
    complete = ~np.isnan(open_ + high + low)
    if not complete.any():
        return Outcome(0, "Not applicable: fixings have only a close.")
    with np.errstate(invalid="ignore"):
        outside = (high < np.fmax(open_, close)) | (low > np.fmin(open_, close))
    bad = evidence.batch[outside & complete]
    some = bad.head(KEPT_EXAMPLES)
    texts = [
        f"{label}: open {row.open:g} high {row.high:g} low {row.low:g} close {row.close:g}"
        for label, row in zip(evidence.labels(bar_times(some)), some.itertuples(), strict=True)
    ]
    if not texts:
        return Outcome(0, f"High and low contain open and close in all {complete.sum()} bars.")
    return Outcome(
        len(bad),
        f"{len(bad)} bars have an open or close outside high and low: {listed(texts, len(bad))}.",
        tuple(texts),
        bar_times(bad),
        "open or close lies outside high and low",
    )


def stale_close(evidence: Evidence) -> Outcome:
    """Correlation of the middle of the bar, relative to its close, with the next return.

    A close that belongs to the bar before is foretold by its own high and low: the correlation is
    about 0.8 on such bars and below 0.03 on honest ones. Of bars of an hour and more also the share
    that closes exactly at the open: 0.73 on such bars and below 0.01 on honest ones that move.
    """
    path = evidence.path
    complete = np.flatnonzero(~np.isnan(path.high) & ~np.isnan(path.low))[-4 * RETURNS :]
    if not len(complete):
        return Outcome(0.0, "Not applicable: fixings have only a close.")
    if len(complete) < WARM_UP:
        return Outcome(0.0, f"Not applicable: fewer than {WARM_UP} bars with high and low.")
    open_, high, low = (values[complete] for values in (path.open, path.high, path.low))
    close = path.close[complete]
    middle = ((high + low) / 2 / close - 1)[:-1]
    following = np.diff(np.log(close))
    if middle.std() == 0 or following.std() == 0:
        return Outcome(0.0, "Not applicable: the bars do not move.")
    value = float(np.corrcoef(middle, following)[0, 1])
    message = (
        f"The middle of a bar foretells the next return with a correlation of {value:.2f} in the "
        f"last {len(complete)} bars; honest closes stay near zero."
    )
    moving = (high > low) & ~np.isnan(open_)
    if path.calendar.bar < SHARE_FROM or moving.sum() < WARM_UP:
        return Outcome(value, message)
    share = float((close == open_)[moving].mean())
    return Outcome(
        max(value, share), f"{message} {100 * share:.0f} % of them close exactly at their open."
    )
