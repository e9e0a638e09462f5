"""Checks of the path that stored and new bars make together."""

from __future__ import annotations

import numpy as np

from fx_assets.quality.evidence import KEPT_EXAMPLES, RETURNS, WARM_UP, Evidence, Outcome, listed
from fx_assets.quality.path import SMALLEST_SIGMA
from fx_assets.quality.times import bar_times


def revisions(evidence: Evidence) -> Outcome:
    """Stored bars that the batch would revise."""
    rows = evidence.revised
    count = len(rows)
    if not count:
        return Outcome(0, "No stored bar is revised.")
    some = rows.head(KEPT_EXAMPLES)
    texts = [
        f"{label}: {old:g} to {new:g}"
        for label, old, new in zip(
            evidence.labels(bar_times(some)), some["old"], some["close"], strict=True
        )
    ]
    return Outcome(
        count,
        f"{count} of {len(evidence.stored)} stored bars are revised: {listed(texts, count)}.",
        tuple(texts),
        bar_times(rows),
        "one of many stored bars revised at once",
    )


def jumps(evidence: Evidence) -> Outcome:
    """Returns of new bars beyond the limit of robust standard deviations of the returns before."""
    limit = evidence.limit("jumps")
    path = evidence.path
    suspects = np.flatnonzero(path.new & (np.abs(path.returns) > limit * SMALLEST_SIGMA))
    with np.errstate(invalid="ignore"):
        ratios = np.abs(path.returns[suspects]) / path.sigma_at(suspects)
    beyond = ratios > limit
    found, ratios = suspects[beyond], ratios[beyond]
    largest = np.argsort(-np.abs(path.returns[found]), kind="stable")[:KEPT_EXAMPLES]
    texts = [
        f"{path.label(found[k])}: {100 * path.returns[found[k]]:+.1f} % ({ratios[k]:.0f} sigmas)"
        for k in largest
    ]
    if not texts:
        return Outcome(0, f"No return lies beyond {limit:g} robust standard deviations.")
    return Outcome(
        len(found),
        f"{len(found)} return(s) beyond {limit:g} robust standard deviations of the {RETURNS} "
        f"before: {listed(texts, len(found))}.",
        tuple(texts),
        path.times[found],
        "the return is a jump",
    )


def zero_returns(evidence: Evidence) -> Outcome:
    """Share of unchanged closes in the newest returns."""
    path = evidence.path
    recent = path.returns[1:][-evidence.window :]
    if len(recent) < WARM_UP:
        return Outcome(0.0, f"Not applicable: fewer than {WARM_UP} returns.")
    share = float(np.mean(recent == 0))
    first = path.label(len(path) - len(recent))
    return Outcome(
        share, f"{100 * share:.0f} % of the {len(recent)} returns since {first} are exactly zero."
    )
