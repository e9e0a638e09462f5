"""Volumes and market capitalisations beside those of the other bars."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fx_assets.quality.confirmed import how_to_confirm
from fx_assets.quality.evidence import KEPT_EXAMPLES, WARM_UP, Evidence, Outcome, listed
from fx_assets.quality.scale_checks import undone
from fx_assets.quality.stuck_checks import by_chance, runs_of

BEYOND_SENSE = 1e18
"""No bar has traded or been worth so much in any unit that is in use."""
SUPPLY = float(np.log(4.0))
"""Log change of capitalisation per price within a bar that is no issue of coins."""
SAME = 60
FEWEST, ENOUGH = 500, 20_000
MORE_CLOSELY = 0.15
"""By how much in rank correlation a volume may follow the range of another bar more closely than
that of its own."""


def volumes(evidence: Evidence) -> Outcome:
    """New bars whose volume or market capitalisation is far beyond those of all bars, or stuck."""
    path, limit = evidence.path, evidence.limit("volumes")
    judged = path.new & ~evidence.confirmed
    wrong = {
        "volume": _beyond(path.volume, limit) & judged,
        "market_cap": (_beyond(path.market_cap, np.inf) | _off_price(evidence)) & judged,
    }
    places = np.flatnonzero(wrong["volume"] | wrong["market_cap"])
    if len(places):
        texts = [
            f"{path.label(i)}: {name} {getattr(path, name)[i]:g}"
            for i in places[:KEPT_EXAMPLES].tolist()
            for name in wrong
            if wrong[name][i]
        ]
        return Outcome(
            len(places) + limit,
            f"{len(places)} bars have a volume or market cap out of all proportion: "
            f"{listed(texts, len(places))}.{how_to_confirm(path, places)}",
            tuple(texts),
            path.times[places],
            "volume or market cap is out of all proportion",
        )
    early = _of_the_bar_after(evidence)
    if early is not None:
        return early
    stuck = _stuck(path.volume, path.returns)
    stuck = [(begin, end) for begin, end in stuck if path.new[begin:end].any()]
    if stuck:
        begin, end = max(stuck, key=lambda run: run[1] - run[0])
        return Outcome(
            limit + 1,
            f"The volume is {path.volume[begin]:g} in {end - begin} bars from {path.label(begin)} "
            f"to {path.label(end - 1)}, while prices move: it says nothing.",
            (path.label(begin),),
            only_warns=True,
        )
    if not (path.volume > 0).any() and not (path.market_cap > 0).any():
        return Outcome(0, "Not applicable: bars without volume.")
    return Outcome(0, f"No volume is beyond {limit:g} times that of one bar in twenty.")


def _beyond(values: np.ndarray, times: float) -> np.ndarray:
    positive = values[values > 0]
    if not len(positive):
        return np.zeros(len(values), dtype=bool)
    most = BEYOND_SENSE
    if len(positive) >= WARM_UP and np.isfinite(times):
        most = min(most, times * float(np.quantile(positive, 0.95)))
    with np.errstate(invalid="ignore"):
        return np.asarray(values > most)


def _off_price(evidence: Evidence) -> np.ndarray:
    """Bars whose capitalisation leaves the price and comes back, or has just left it."""
    path = evidence.path
    found = np.zeros(len(path), dtype=bool)
    known = np.flatnonzero(path.market_cap > 0)
    if len(known) < WARM_UP:
        return found
    supply = np.log(path.market_cap[known]) - path.log_close[known]
    steps = np.diff(supply, prepend=supply[:1])
    away = undone(supply, steps, np.full(len(known), SUPPLY), SUPPLY / 2)
    if known[-1] == len(path) - 1 and not away[-2]:
        away[-1] |= abs(steps[-1]) > SUPPLY
    found[known[away]] = True
    return found


def _of_the_bar_after(evidence: Evidence) -> Outcome | None:
    """Volumes that follow the range of the bar after, or before, more closely than their own."""
    path = evidence.path
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.log(path.high / path.low)
    known = (path.volume > 0) & (spread > 0)
    rows = np.flatnonzero(known[1:-1] & known[:-2] & known[2:]) + 1
    new = np.flatnonzero(path.new[rows]) if len(rows) else rows
    if not len(new):
        return None
    rows = rows[max(0, int(new[0]) - 4 * FEWEST) :]
    rows = rows[:: max(1, len(rows) // ENOUGH)]
    if len(rows) < FEWEST or np.ptp(path.volume[rows]) == 0:
        return None
    volume = pd.Series(path.volume[rows]).rank()
    own, after, before = (
        float(volume.corr(pd.Series(spread[rows + step]).rank())) for step in (0, 1, -1)
    )
    # Four standard errors of a difference between correlations, where there is none.
    if max(after, before) - own <= MORE_CLOSELY + 4 * float(np.sqrt(2 / len(rows))):
        return None
    ahead = after > before
    return Outcome(
        evidence.limit("volumes") + 1,
        f"Volumes follow the range of the bar {'after' if ahead else 'before'} with a rank "
        f"correlation of {max(after, before):.2f}, and that of their own bar with {own:.2f}: they "
        f"are of the bar {'after, and know what comes' if ahead else 'before'}.",
        (path.label(int(rows[0])),),
        only_warns=not ahead,
    )


def _stuck(volume: np.ndarray, returns: np.ndarray) -> list[tuple[int, int]]:
    same = np.zeros(len(volume), dtype=bool)
    same[1:] = (volume[1:] == volume[:-1]) & (volume[1:] > 0)
    runs = runs_of(same, SAME)
    least = by_chance(same, runs)
    return [
        (begin, end)
        for begin, end in runs
        if end - begin > least and (returns[begin:end] != 0).mean() > 1 / 2
    ]
