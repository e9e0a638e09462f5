"""Highs, lows and opens beside the rest of the bar and beside the bars around."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from fx_assets.calendars import DAY
from fx_assets.quality.confirmed import how_to_confirm
from fx_assets.quality.evidence import KEPT_EXAMPLES, Evidence, Outcome, listed
from fx_assets.quality.ohlc_checks import price_grid
from fx_assets.quality.path import Path

CALM = 0.0625
"""Annual volatility up to which the limit of ``price_ranges`` counts as it stands."""
WILDEST = 6.4
"""How far it grows at most: at its default, to a factor of five."""
LONG_WICKS = 5.0
"""How many times the length of one wick in a hundred another must have to be out of the usual."""
HOUR = timedelta(hours=1)
SHORT = timedelta(minutes=5)
"""Longest bars that are held against hours: of longer ones an hour has too few."""
WEEK = 5
WINDOW_DAYS = 60
FEWEST_WIDE = 8
OFTEN, TIMES_OTHERS = 0.03, 25.0
"""Share of one time of day over the whole history, and how many times that of other times, from
which wide bars are none of chance."""
FEWEST_A_DAY = 12
WIDER = 2.0
"""How many times the usual range around it a bar must have that is of a day."""
STEPS = {1: 30_000, 2: 300}
"""Steps between prices that a bar spans whose high, low or both come again by no chance."""
VOLUME = 0.8
"""Share of the volume of all bars after it that a single bar may not have day after day."""
_EPOCH = np.datetime64("1970-01-01", "us")


def price_ranges(evidence: Evidence) -> Outcome:
    """New bars whose high, low or open lies far outside of what the rest of the bar says.

    How far a wick may reach follows from the volatility of a year, at every frequency alike: a
    coin may halve within a bar and come back, EUR/USD may not. Half as far is a warning, and so is
    one that is as many standard deviations of a return long as ``jumps`` warns of.
    """
    path = evidence.path
    if np.isnan(path.high).all() and np.isnan(path.low).all() and np.isnan(path.open).all():
        return Outcome(0, "Not applicable: fixings have only a close.")
    wilder = min(max(1.0, path.annual_sigma / CALM), WILDEST)
    limit = evidence.limit("price_ranges") * wilder
    with np.errstate(invalid="ignore"):
        away = {"high": _upper(path), "low": _lower(path), "open": _off_both(path)}
    judged = path.new & ~evidence.confirmed
    worst = np.fmax(np.fmax(away["high"], away["low"]), away["open"])
    with np.errstate(invalid="ignore"):
        far, odd = judged & (worst > limit), judged & (worst > limit / 2)
    odd |= _long_beside_returns(path, worst, judged, evidence.limit("jumps"))
    if not odd.any():
        return Outcome(0, f"No high, low or open lies {limit:.2g} in log price off its bar.")
    chosen = far if far.any() else odd
    bad = np.flatnonzero(chosen)
    least = 100 * np.expm1(float(worst[bad].min()))
    texts = [_described(path, i, away) for i in bad[:KEPT_EXAMPLES].tolist()]
    return Outcome(
        len(bad),
        f"{len(bad)} bars have a high, low or open that lies {least:.2g} % and more "
        f"off the rest of the bar: {listed(texts, len(bad))}.{how_to_confirm(path, bad)}",
        tuple(texts),
        path.times[bad],
        "high, low or open lies far off the rest of the bar",
        only_warns=not far.any(),
    )


def _long_beside_returns(
    path: Path, away: np.ndarray, judged: np.ndarray, sigmas: float
) -> np.ndarray:
    """Which bars lie further away than returns before them ever go."""
    long = np.zeros(len(path), dtype=bool)
    with np.errstate(invalid="ignore"):
        places = np.flatnonzero(judged & (away > sigmas * path.usual_sigma / 4))
    if len(places):
        sigma = path.sigma_at(places)
        sigma = np.where(np.isnan(sigma), path.usual_sigma, sigma)
        # The bar after a weekend has a weekend's news in it.
        bar = np.timedelta64(path.calendar.bar)
        steps = np.diff(path.times, prepend=path.times[:1] - bar)[places] / bar
        sigma = sigma * np.sqrt(np.clip(steps, 1.0, float(DAY / path.calendar.bar)))
        usual = LONG_WICKS * float(np.nanquantile(away, 0.99))
        long[places] = away[places] > np.fmax(sigmas * np.fmax(sigma, path.usual_sigma / 4), usual)
    return long


def _upper(path: Path) -> np.ndarray:
    return np.asarray(np.log(path.high / np.fmax(path.open, path.close)))


def _lower(path: Path) -> np.ndarray:
    return np.asarray(np.log(np.fmin(path.open, path.close) / path.low))


def _off_both(path: Path) -> np.ndarray:
    """How far an open lies to one side of the close before and of its own close."""
    if not len(path):
        return np.zeros(0)
    before = np.concatenate([path.close[:1], path.close[:-1]])
    own, previous = np.log(path.open / path.close), np.log(path.open / before)
    return np.where(own * previous > 0, np.fmin(np.abs(own), np.abs(previous)), 0.0)


def _described(path: Path, place: int, away: dict[str, np.ndarray]) -> str:
    name = max(away, key=lambda column: np.nan_to_num(away[column][place], nan=-1.0))
    return (
        f"{path.label(place)}: {name} {getattr(path, name)[place]:g}, close {path.close[place]:g}"
    )


def wide_bars(evidence: Evidence) -> Outcome:
    """Share of one time of day, in a window of 60 days, whose bars span a longer bar's range.

    A bar that contains all bars of the day after it, or before it, happens; one that does so at
    the same hour day after day carries the day's own high, low or volume, and what is to come with
    them. So does a single one whose high and low are to the last decimal those of the bars after
    it. Daily bars are held against weeks, minutes against hours as well.
    """
    path = evidence.path
    found = Outcome(0.0, "Not applicable: fixings have only a close.")
    known = ~np.isnan(path.high) & ~np.isnan(path.low)
    if not known.any() or not path.new.any():
        return found
    part = _around(path)
    for span, bars in _spans(part):
        for name, contains in _containing(part, bars).items():
            outcome = _recurring(evidence, part, contains, span, name)
            found = outcome if outcome.count >= found.count else found
    limit = evidence.limit("wide_bars")
    return found if found.count > limit or part.calendar.daily else _copied(evidence, part, found)


def _copied(evidence: Evidence, path: Path, otherwise: Outcome) -> Outcome:
    """Single bars whose high and low are exactly those of a day's bars after or before them."""
    a_day = int(DAY / path.calendar.bar)
    high, low = np.nan_to_num(path.high, nan=-np.inf), np.nan_to_num(path.low, nan=np.inf)
    ties = np.zeros(len(path), dtype=np.int64)
    # A day of the market has an hour less or more, and ends earlier on Fridays.
    for reach in dict.fromkeys((a_day - 1, a_day - a_day // 12, a_day - a_day // 6)):
        if a_day < FEWEST_A_DAY or len(path) <= reach + 1:
            continue
        top, bottom = _highest(high, reach), -_highest(-low, reach)
        size = len(path) - reach
        for bars, others, near in (
            (slice(0, size), slice(1, None), path.close),
            (slice(reach, None), slice(0, size), path.open),
        ):
            above, below = high[bars], low[bars]
            holds = (above >= top[others]) & (below <= bottom[others])
            # The bar beside it begins where this one ends: that is no tie.
            same_top = (above == top[others]) & (near[bars] != above)
            same_bottom = (below == bottom[others]) & (near[bars] != below)
            count = same_top.astype(np.int64) + same_bottom
            ties[bars] = np.maximum(ties[bars], np.where(holds, count, 0))
    confirmed = evidence.confirmed[np.searchsorted(evidence.path.times, path.times)]
    suspects = np.flatnonzero((ties > 0) & (high > low) & path.new & ~confirmed)
    # Of a few steps between prices chance makes ties; where there is no grid there is no chance.
    bad = np.array(
        [
            i
            for i in suspects.tolist()
            if high[i] - low[i] > STEPS[ties[i]] * price_grid(path, i)
            and high[i] - low[i] > WIDER * _usual_range(path, i, a_day)
        ],
        dtype=np.int64,
    )
    if not len(bad):
        return otherwise
    texts = [path.label(place) for place in bad[:KEPT_EXAMPLES].tolist()]
    return Outcome(
        max(1.0, otherwise.count),
        f"{len(bad)} bars have exactly the high and low of all bars of a day beside them: "
        f"{listed(texts, len(bad))}. Such bars know what comes after them; the source mixes bars "
        f"of two lengths.{how_to_confirm(path, bad)}",
        tuple(texts),
        path.times[bad],
        "the bar has the high and low of a whole day",
        # Calm or coarsely kept prices touch exactly now and then; only what recurs is no chance.
        only_warns=otherwise.count <= evidence.limit("wide_bars"),
    )


def _usual_range(path: Path, place: int, reach: int) -> float:
    near = slice(max(0, place - reach), place + reach + 1)
    return float(np.nanmedian(path.high[near] - path.low[near]))


def _around(path: Path) -> Path:
    """The bars that share a window with new ones, and as many more as a bar could span."""
    if path.calendar.daily:
        return path
    places = np.flatnonzero(path.new)
    reach = np.timedelta64(WINDOW_DAYS * 2, "D")
    begin, end = path.times[places[0]] - reach, path.times[places[-1]] + reach
    chosen = slice(*np.searchsorted(path.times, [begin, end]).tolist())
    return path if chosen == slice(0, len(path)) else path.part(chosen)


def _spans(path: Path) -> list[tuple[str, int]]:
    """The longer bars that are looked for, and how many bars after the first they hold."""
    bar = path.calendar.bar
    if bar >= DAY:
        return [("week", WEEK - 1)]
    a_day = DAY // bar
    spans = [("day", a_day - (2 if a_day > 6 else 1))]
    return spans if bar > SHORT else [*spans, ("hour", HOUR // bar - 1)]


def _containing(path: Path, bars: int) -> dict[str, np.ndarray]:
    """Which bars hold the range, or the volume, of the ``bars`` after them or before them."""
    if len(path) <= bars + 1:
        return {}
    high, low = np.nan_to_num(path.high, nan=-np.inf), np.nan_to_num(path.low, nan=np.inf)
    top, bottom = _highest(high, bars), -_highest(-low, bars)
    ahead = np.zeros(len(path), dtype=bool)
    behind = ahead.copy()
    size = len(path) - bars
    ahead[:size] = (high[:size] >= top[1:]) & (low[:size] <= bottom[1:])
    behind[bars:] = (high[bars:] >= top[:size]) & (low[bars:] <= bottom[:size])
    moves = high > low
    found = {"the range of": (ahead | behind) & moves}
    if (path.volume > 0).any():
        volume = np.nan_to_num(path.volume)
        total = np.concatenate([[0.0], np.cumsum(volume)])
        after = total[bars + 1 :] - total[1:-bars]
        heavy = np.zeros(len(path), dtype=bool)
        heavy[: len(after)] = (volume[: len(after)] > VOLUME * after) & (after > 0)
        found["the volume of"] = heavy
    return found


def _highest(values: np.ndarray, length: int) -> np.ndarray:
    """The highest of ``length`` values from each place on, by doubling."""
    top, have = values, 1
    while 2 * have <= length:
        top, have = np.maximum(top[:-have], top[have:]), 2 * have
    rest = length - have
    return np.asarray(np.maximum(top[: len(top) - rest], top[rest:]) if rest else top)


def _recurring(
    evidence: Evidence, path: Path, contains: np.ndarray, span: str, what: str
) -> Outcome:
    bar = np.timedelta64(path.calendar.bar)
    since = path.times - _EPOCH
    period = np.timedelta64(1, "h") if span == "hour" else np.timedelta64(1, "D")
    if path.calendar.daily:
        slot, slots = (path.days.astype(np.int64) + 3) % 7, 7
        window = path.days.astype(np.int64) // 365
    else:
        slots = int(period / bar)
        slot = (since % period // bar).astype(np.int64)
        window = (since // np.timedelta64(WINDOW_DAYS, "D")).astype(np.int64)
    key = (window - window[0]) * slots + slot
    size = int(key.max()) + 1
    bars, wide = np.bincount(key, minlength=size), np.bincount(key[contains], minlength=size)
    touched = np.zeros(size, dtype=bool)
    touched[key[path.new]] = True
    share = np.where(touched & (wide >= FEWEST_WIDE), wide / np.maximum(bars, 1), 0.0)
    limit = evidence.limit("wide_bars")
    if not path.calendar.daily:
        # The bar after a weekend holds what happened since, and comes at one time of day.
        follows = np.diff(path.times, prepend=path.times[:1] - bar) == bar
        often = _more_often_than_others(slot, contains & follows, slots)
        share[np.isin(np.arange(size) % slots, often) & touched & (wide > 0)] = 1.0
    bad = np.flatnonzero(contains & path.new & (share[key] > limit))
    worst = float(share.max()) if len(bad) else min(float(share.max()), limit)
    if not len(bad):
        return Outcome(worst, f"No bar spans {what} a longer one at the same time day after day.")
    texts = [path.label(place) for place in bad[:KEPT_EXAMPLES].tolist()]
    return Outcome(
        worst,
        f"{len(bad)} bars hold {what} a whole {span}, up to {100 * worst:.0f} % of those at one "
        f"time: {listed(texts, len(bad))}. Such bars know what comes after them; the source mixes "
        "bars of two lengths.",
        tuple(texts),
        path.times[bad],
        f"the bar holds {what} a whole {span}",
    )


def _more_often_than_others(slot: np.ndarray, wide: np.ndarray, slots: int) -> np.ndarray:
    """The times of day at which wide bars come far more often than at all others."""
    bars = np.bincount(slot, minlength=slots)
    found = np.bincount(slot[wide], minlength=slots)
    share = found / np.maximum(bars, 1)
    others = (found.sum() - found + 1) / np.maximum(len(slot) - bars, 1)
    return np.flatnonzero(
        (found >= FEWEST_WIDE) & (share > OFTEN) & (share > TIMES_OTHERS * others)
    )
