"""Checks of the path that stored and new bars make together."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.plural import counted
from fx_assets.quality.confirmed import how_to_confirm
from fx_assets.quality.evidence import KEPT_EXAMPLES, RETURNS, WARM_UP, Evidence, Outcome, listed
from fx_assets.quality.path import SMALLEST_SIGMA
from fx_assets.quality.times import bar_times

FEWEST_ALIKE, SHARE_ALIKE = 3, 0.9
EXACTLY = 0.05
"""Share of a shift by which revisions of one factor differ, rounding included."""
SHIFT_SIGMAS, SMALLEST_SHIFT = 2.0, 0.002
"""Least size of revisions that move together, in sigmas of a return and in log price."""


def revisions(evidence: Evidence) -> Outcome:
    """Stored bars that the batch would revise: too many, or all to one side.

    A vendor corrects bars this way and that way. Revisions of one sign and like size that make the
    path longer than it was are a shift of a part of it.
    """
    rows = evidence.revised
    limit = evidence.limit("revisions")
    if len(rows) and evidence.gate.confirmed:
        certain = evidence.path.times[evidence.confirmed]
        rows = rows[~np.isin(bar_times(rows), certain)]
    count = len(rows)
    if not count:
        return Outcome(0, "No stored bar is revised.")
    some = rows.head(KEPT_EXAMPLES)
    texts = [
        f"{label}: {_change(row)}"
        for label, row in zip(
            evidence.labels(bar_times(some)), some.to_dict("records"), strict=True
        )
    ]
    message = f"{count} of {len(evidence.stored)} stored bars are revised: {listed(texts, count)}."
    shift = _common_shift(evidence, rows)
    if shift:
        path = evidence.path
        places = np.searchsorted(path.times, bar_times(rows))
        message += (
            f" They move together, by {100 * shift:+.1f} %, and make the path rougher."
            f"{how_to_confirm(path, places)}"
        )
    return Outcome(
        max(count, limit + 1) if shift else count,
        message,
        tuple(texts),
        bar_times(rows),
        "one of many stored bars revised at once",
    )


def _change(row: dict[Hashable, Any]) -> str:
    """From what to what a stored bar would be revised; of a price other than the close its name."""
    name = str(row["differs"])
    old, new = (
        "none" if np.isnan(value) else f"{value:g}" for value in (row["differed"], row[name])
    )
    return f"{'' if name == 'close' else f'{name} '}{old} to {new}"


def _common_shift(evidence: Evidence, rows: pd.DataFrame) -> float:
    """The log return by which revised closes move together and off the path, or 0.

    Moves by one factor are a shift unless they clearly mend the path.
    """
    moves = np.log(rows["close"].to_numpy(np.float64) / rows["old"].to_numpy(np.float64))
    shift = float(np.median(moves))
    path = evidence.path
    off = np.abs(moves - shift)
    exactly = float(np.mean(off < EXACTLY * abs(shift))) >= SHARE_ALIKE and len(moves) > 1
    alike = float(np.mean(off < abs(shift) / 2)) >= SHARE_ALIKE
    far = abs(shift) > SHIFT_SIGMAS * path.usual_sigma
    few = len(moves) < FEWEST_ALIKE or abs(shift) < SMALLEST_SHIFT
    if few or not (exactly or (alike and far)):
        return 0.0
    before = path.log_close.copy()
    before[np.searchsorted(path.times, bar_times(rows))] -= moves
    rougher = np.abs(np.diff(path.log_close)).sum() - np.abs(np.diff(before)).sum()
    return shift if rougher > (-abs(shift) if exactly else abs(shift) / 2) else 0.0


def jumps(evidence: Evidence) -> Outcome:
    """Returns of new bars beyond the limit of robust standard deviations of the returns before."""
    limit = evidence.limit("jumps")
    path = evidence.path
    suspects = np.flatnonzero(
        path.new & ~evidence.confirmed & (np.abs(path.returns) > limit * SMALLEST_SIGMA)
    )
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
        f"{counted(len(found), 'return')} beyond {limit:g} robust standard deviations of the "
        f"{RETURNS} before: {listed(texts, len(found))}.",
        tuple(texts),
        path.times[found],
        "the return is a jump",
    )


def zero_returns(evidence: Evidence) -> Outcome:
    """Share of unchanged closes in the newest returns; of prices that never moved it only warns."""
    path = evidence.path
    returns = path.returns[1:]
    recent = returns[-evidence.window :]
    if len(recent) < WARM_UP:
        return Outcome(0.0, f"Not applicable: fewer than {WARM_UP} returns.")
    share, usual = float(np.mean(recent == 0)), float(np.mean(returns == 0))
    first = path.label(len(path) - len(recent))
    peg = usual > evidence.limit("zero_returns") or not recent.any()
    return Outcome(
        share,
        f"{100 * share:.0f} % of the {len(recent)} returns since {first} are exactly zero, "
        f"{100 * usual:.0f} % of all {len(returns)}.",
        only_warns=peg and len(returns) > evidence.window,
    )
