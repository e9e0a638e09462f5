"""A feed beside other histories of its instrument: inverted, scaled, shifted or strange."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fx_assets.quality.evidence import KEPT_EXAMPLES, RETURNS, Evidence, Outcome, listed
from fx_assets.quality.path import Path, windows_of
from fx_assets.quality.references import Reference
from fx_assets.quality.stuck_checks import PEG_SIGMA

FOLLOWS = 0.5
"""Rank correlation of returns from which two histories are of one thing."""
LENIENT = 0.1
"""By how much less it may be where another lag follows clearly better."""
STRANGE = 0.15
LEVEL = 0.1
"""Log difference of levels, in the median of a window, that is another unit."""
FEWEST = 25
SURE_FROM, SURER = 120, 0.7
"""Below so many bars, the rank correlation from which two histories are of one thing."""
ODD, ODD_SIGMAS = 0.03, 12.0
HOURS = 26
CLOSER = 0.5
_DAY, _HOUR = np.timedelta64(1, "D"), np.timedelta64(1, "h")


@dataclass(frozen=True)
class _Verdict:
    """What is wrong in a stretch of bars, and how sure that is."""

    worst: float
    text: str
    first: np.datetime64
    last: np.datetime64
    warns: bool = False


def references(evidence: Evidence) -> Outcome:
    """The feed's closes beside those of other feeds of the instrument, and the ECB's fixings.

    Window by window: returns that follow the other's negatively are inverted; those that follow
    the other's next or last return more closely than its own are shifted by a bar; those that
    follow and lie elsewhere are in another unit. Bars of an intraday feed are compared at the
    instants of the reference, an hour earlier, an hour later, and so on: its clock is where they
    agree best. Where nothing follows, that is a warning.
    """
    path, limit = evidence.path, evidence.limit("references")
    if not evidence.references:
        return Outcome(0.0, "Not applicable: no other prices of the instrument are known.")
    if len(path) < FEWEST or path.annual_sigma < PEG_SIGMA:
        return Outcome(0.0, "Not applicable: too few bars that move.")
    touched = path.times[path.new]
    found, compared = [], []
    for reference in evidence.references:
        times, x, y = _common(path, reference)
        if len(x) < FEWEST:
            continue
        compared.append(f"{reference.name} ({len(x)} bars)")
        found += [
            (reference.name, verdict)
            for verdict in _verdicts(path, reference, times, x, y, limit)
            if len(touched) and touched[0] <= verdict.last and touched[-1] >= verdict.first
        ]
    if not compared:
        return Outcome(0.0, "Not applicable: no other prices of these days are known.")
    if not found:
        return Outcome(0.0, f"Closes agree with {' and '.join(compared)}.")
    surest = [(name, v) for name, v in found if not v.warns] or found
    texts = [
        f"{path.label_of(v.first)} to {path.label_of(v.last)} {v.text} of {name}"
        for name, v in surest
    ]
    blamed = np.zeros(len(path), dtype=bool)
    for _, v in surest:
        blamed |= (path.times >= v.first) & (path.times <= v.last)
    return Outcome(
        max(limit * 2, *(v.worst for _, v in surest)),
        f"Closes disagree with another history of the instrument: {listed(texts)}.",
        tuple(texts[:KEPT_EXAMPLES]),
        path.times[blamed & path.new],
        "another history of the instrument says otherwise",
        only_warns=all(v.warns for _, v in surest),
    )


def _common(path: Path, reference: Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Instants of the feed at which both have a price, and the two log prices."""
    if path.calendar.daily and reference.daily:
        _, i, j = np.intersect1d(path.days, reference.days, return_indices=True)
        return path.times[i], path.log_close[i], reference.log_close[j]
    if reference.daily:
        y, known = reference.log_close, reference.times
        x, fresh = _sampled(path.times, path.log_close, known)
        return known[fresh], x[fresh], y[fresh]
    if path.calendar.daily:
        y, fresh = _sampled(reference.times, reference.log_close, path.times)
        return path.times[fresh], path.log_close[fresh], y[fresh]
    _, i, j = np.intersect1d(path.times, reference.times, return_indices=True)
    return path.times[i], path.log_close[i], reference.log_close[j]


def _sampled(
    times: np.ndarray, values: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The newest value at each instant, and whether it is of the day before it."""
    place = np.searchsorted(times, at, side="right") - 1
    fresh = (place >= 0) & (at - times[np.maximum(place, 0)] < _DAY)
    return values[np.maximum(place, 0)], fresh


def _verdicts(
    path: Path,
    reference: Reference,
    times: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    limit: float,
) -> Iterator[_Verdict]:
    for part in windows_of(len(x), RETURNS):
        span = times[part][0], times[part][-1]
        a, b = x[part], y[part]
        near = {lag: _correlation(a, b, lag) for lag in (-1, 0, 1)}
        follows = FOLLOWS if len(a) >= SURE_FROM else SURER
        own, lag = near[0], max((-1, 1), key=near.__getitem__)
        gap = float(np.median(a - b))
        if own < -follows or (min(near.values()) < -follows and abs(np.median(a + b)) < LEVEL):
            yield _Verdict(2.0, "are the inverse", *span)
        elif near[lag] > follows - LENIENT and near[lag] - own > limit:
            which = "the next bar" if lag > 0 else "the bar before"
            text = f"follow {which} (rank correlation {near[lag]:.2f}, at its own {own:.2f})"
            yield _Verdict(near[lag] - own, text, *span)
        elif own > follows and abs(gap) > LEVEL:
            yield _Verdict(2.0, f"are {np.exp(gap):.4g} times those", *span)
        elif own > follows:
            yield from _odd_bars(times[part], a - b - gap)
    whole = max(abs(_correlation(x, y, lag)) for lag in (-1, 0, 1))
    if whole < STRANGE and len(x) >= RETURNS:
        yield _Verdict(1.0, "do not follow those", times[0], times[-1], warns=True)
    elif reference.daily and not path.calendar.daily:
        yield from _other_clock(path, reference)


def _correlation(x: np.ndarray, y: np.ndarray, lag: int) -> float:
    """Rank correlation of the returns of ``x`` with those of ``y`` that come ``lag`` bars later."""
    r, s = np.diff(x), np.diff(y)
    r, s = (r[:-lag], s[lag:]) if lag > 0 else (r[-lag:], s[: len(s) + lag])
    if np.mean(r == 0) > 1 / 2 or np.mean(s == 0) > 1 / 2:
        return 0.0
    a, b = (pd.Series(values).rank().to_numpy() for values in (r, s))
    return float(np.corrcoef(a, b)[0, 1])


def _odd_bars(times: np.ndarray, difference: np.ndarray) -> Iterator[_Verdict]:
    """Single bars that lie off a history which the others follow."""
    sigma = float(np.median(np.abs(difference))) / 0.6745
    odd = np.flatnonzero(np.abs(difference) > max(ODD, ODD_SIGMAS * sigma))
    for place in odd.tolist():
        text = f"are off by {100 * np.expm1(difference[place]):+.1f} % from those"
        yield _Verdict(1.0, text, times[place], times[place], warns=True)


def _other_clock(path: Path, reference: Reference) -> Iterator[_Verdict]:
    """A feed whose prices agree with the reference at another hour than their own."""
    inside = (reference.times >= path.times[0]) & (reference.times <= path.times[-1])
    known, level = reference.times[inside], reference.log_close[inside]
    for part in windows_of(len(known), RETURNS):
        at, y = known[part], level[part]
        distance = {}
        for hours in range(-HOURS, HOURS + 1):
            x, fresh = _sampled(path.times, path.log_close, at + hours * _HOUR)
            if fresh.sum() < FEWEST:
                continue
            off = (x - y)[fresh]
            distance[hours] = float(np.median(np.abs(off - np.median(off))))
        if 0 not in distance:
            continue
        best = min(distance, key=distance.__getitem__)
        if abs(best) > 1 and distance[best] < CLOSER * distance[0]:
            word = "late" if best > 0 else "early"
            yield _Verdict(1.0, f"come {abs(best)} h {word} beside those", at[0], at[-1])
