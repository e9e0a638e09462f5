"""Prices and volumes that stand still, or come again, where they should move."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from fx_assets.calendars import DAY
from fx_assets.quality.confirmed import how_to_confirm
from fx_assets.quality.evidence import KEPT_EXAMPLES, Evidence, Outcome, listed
from fx_assets.quality.missing import unbroken
from fx_assets.quality.path import Path

PEG_SIGMA = 8e-3
"""Annual volatility below which a price may stand still as long as it likes."""
MANAGED = 0.04
"""Annual volatility below which a central bank may be at work."""
PEG_STEP, FREE_STEP = 3e-4, 5e-5
"""Log return after a standstill that is a peg's and not of a feed that woke up: of a price that is
managed, and of one that moved freely before."""
AWAY = 0.03
"""Share of the way that a price usually goes in so many bars, for one that went nowhere."""
BY_CHANCE, AGAIN_BY_CHANCE = 4.0, 2.5
"""How many times the longest run that chance would make a run has to be."""
FEWEST_AGAIN = 5
FEWEST_COPIED, FEWEST_WITH_VOLUME = 4, 2
"""Whole bars in a row that come again by no chance: of prices alone, and with their volumes."""
MARGIN = 1.5
VOLUMES_THAT_TELL = 100
BODY = 0.2
"""Share of a bar's range between open and close beyond which it cannot come twice in a row."""
AROUND = 250


def stuck_prices(evidence: Evidence) -> Outcome:
    """Longest run of closes that stand still, or of bars that repeat earlier ones.

    Judged by how often closes repeat otherwise: pegs, quiet nights and holidays pass. A standstill
    that ends where it began, or of a price that hardly moves around it, is a peg's. A bar that
    comes twice in a row is a warning.
    """
    path, limit = evidence.path, evidence.limit("stuck_prices")
    found = [run for run in _standing(path, int(limit)) if _suspicious(path, *run)]
    copied, twice = _copied(path)
    certain = evidence.confirmed

    def new(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [
            (begin, end)
            for begin, end in dict.fromkeys(found)
            if path.new[begin:end].any() and not certain[max(begin - 1, 0) : end].any()
        ]

    runs = new([*found, *_again(path), *copied])
    only_warns = not runs
    if only_warns:
        runs = new(twice)
    longest = max((end - begin for begin, end in runs), default=0)
    if not runs:
        return Outcome(0, f"No close stands still for more than {limit:g} bars without reason.")
    texts = [
        f"{path.label(begin)} to {path.label(end - 1)} ({end - begin} bars from "
        f"{path.close[begin]:g})"
        for begin, end in runs[:KEPT_EXAMPLES]
    ]
    places = np.concatenate([np.arange(begin, end) for begin, end in runs])
    places = places[path.new[places]]
    return Outcome(
        max(longest, limit + 1),
        f"Bars stand still or repeat earlier ones: {listed(texts, len(runs))}."
        f"{how_to_confirm(path, [begin for begin, _ in runs], 'If they are real')}",
        tuple(texts),
        path.times[places],
        "the bar stands still or repeats an earlier one",
        only_warns=only_warns,
    )


def runs_of(mask: np.ndarray, least: int) -> list[tuple[int, int]]:
    """Where unbroken runs of at least ``least`` begin, and end before."""
    begins, lengths = unbroken(mask)
    long = lengths >= least
    return list(zip(begins[long].tolist(), (begins + lengths)[long].tolist(), strict=True))


def by_chance(mask: np.ndarray, runs: list[tuple[int, int]], times: float = BY_CHANCE) -> float:
    """The length of a run that chance does not make, by the share outside of these runs."""
    inside = sum(end - begin for begin, end in runs)
    outside = max(len(mask) - inside, 1)
    share = (int(mask.sum()) - inside + 1) / (outside + 2)
    if share <= 0:
        return 1.0
    return times * float(np.log(outside + 2) / -np.log(min(share, 1 - 1e-9)))


def _standing(path: Path, limit: int) -> list[tuple[int, int]]:
    still = path.returns == 0
    still[:1] = False
    runs = runs_of(still, limit + 1)
    least = by_chance(still, runs)
    return [(begin, end) for begin, end in runs if end - begin > least]


def _suspicious(path: Path, begin: int, end: int) -> bool:
    """Whether a standstill is none of a peg."""
    near = np.concatenate(
        [path.returns[max(1, begin - AROUND) : begin], path.returns[end:][:AROUND]]
    )
    moving = np.abs(near[near != 0])
    if not len(moving):
        return False
    a_year = path.calendar.bars_a_year
    sigma = float(np.median(moving)) / 0.6745 * np.sqrt(a_year * len(moving) / len(near))
    if sigma < PEG_SIGMA or end - begin > a_year:
        return False
    if end == len(path):
        return True
    back = PEG_STEP if sigma < MANAGED else FREE_STEP
    woke = AWAY * sigma * np.sqrt((end - begin) / a_year) if sigma < MANAGED else 0.0
    return bool(abs(path.returns[end]) > max(back * min(1.0, 365 / a_year), woke))


def _copied(path: Path) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Stretches of whole bars that came before in the same order, and bars that come twice."""
    prices = [path.open, path.high, path.low, path.close]
    moves = (path.high > path.low) & (path.open != path.close)
    if not moves.any():
        return [], []
    known = path.volume[path.volume > 0]
    telling = len(np.unique(known)) >= VOLUMES_THAT_TELL
    bars = np.column_stack([*prices, path.volume] if telling else prices)
    judged = np.flatnonzero(path.new)
    near = np.unique(np.clip(judged[:, None] + np.arange(-FEWEST_COPIED, 1), 0, None))
    rows = np.flatnonzero(moves & ~np.isnan(bars).any(axis=1))
    if len(near) < len(rows):
        rows = rows[np.isin(path.close[rows], path.close[near])]
    if not len(rows):
        return [], []
    same = pd.util.hash_pandas_object(pd.DataFrame(bars[rows]), index=False).to_numpy()
    often = pd.Series(same).duplicated(keep=False).to_numpy()
    rows, same = rows[often], same[often]
    kind = np.zeros(len(path), dtype=same.dtype)
    kind[rows] = same
    order = np.lexsort((rows, same))
    before = np.full(len(path), -1)
    again = np.flatnonzero(np.diff(same[order]) == 0)
    before[rows[order[again + 1]]] = rows[order[again]]
    lag = np.where(before >= 0, np.arange(len(path)) - before, 0)
    edges = np.flatnonzero(np.diff(lag, prepend=-1, append=-1) != 0)
    runs = [(int(begin), int(end)) for begin, end in pairwise(edges) if lag[begin] > 0]
    body = np.abs(path.open - path.close) / np.fmax(path.high - path.low, 1e-300)
    twice = [(b, e) for b, e in runs if lag[b] == 1 and telling and body[b] > BODY]
    longer = [(b, e) for b, e in runs if lag[b] > 1]
    lengths = np.array([e - b for b, e in longer], dtype=np.int64)
    least = FEWEST_WITH_VOLUME if telling else max(FEWEST_COPIED, _copied_by_chance(lengths))
    copied = [(b, e) for b, e in longer if len(np.unique(kind[b:e])) >= least]
    return copied, twice


def _copied_by_chance(lengths: np.ndarray) -> float:
    """How many different bars in a row chance may repeat.

    A bar that comes again is followed by one that does, too, in a share of cases that the short
    stretches tell: prices with few steps to be on repeat more. Fewer than one stretch in a hundred
    is expected of the length that is returned, before a margin for steps that are fewest somewhere.
    """
    short = lengths[lengths < FEWEST_COPIED]
    share = (float((short - 1).sum()) + 0.5) / (len(lengths) + 10)
    return 1 + MARGIN * float(np.log(100 * max(len(lengths), 1)) / -np.log(share))


def _again(path: Path) -> list[tuple[int, int]]:
    """Runs of closes that move and equal, one by one, those of a day or a week before."""
    a_day = max(1, DAY // path.calendar.bar)
    lags = (5, 7, 20, 21, 22) if path.calendar.daily else (a_day, 5 * a_day, 7 * a_day)
    found = []
    for lag in lags:
        if len(path) <= 2 * lag:
            continue
        same = np.zeros(len(path), dtype=bool)
        same[lag:] = path.close[lag:] == path.close[:-lag]
        runs = runs_of(same, FEWEST_AGAIN)
        least = by_chance(same, [], AGAIN_BY_CHANCE)
        found += [
            (begin, end)
            for begin, end in runs
            if end - begin >= least and (np.diff(path.close[begin:end]) != 0).mean() > 1 / 2
        ]
    return found
