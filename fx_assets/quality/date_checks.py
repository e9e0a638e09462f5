"""Dates whose day and month were exchanged."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np

from fx_assets.calendars import DAY
from fx_assets.quality.evidence import Evidence, Outcome, listed
from fx_assets.quality.path import SMALLEST_SIGMA, Path
from fx_assets.quality.times import bar_times, days_of

SMALLEST_YEAR = 40
"""Bars of a year that are needed to judge its path."""
GAP_SIGMAS = 4.0
"""How much farther off its path a bar lies than on its exchanged date, in sigmas."""
FEWEST_TOGETHER = 2
NEAR_DAYS = 10
_REASON = "day and month look exchanged"


def date_errors(evidence: Evidence) -> Outcome:
    """New bars whose date reads better with day and month exchanged.

    Four ways to notice, each on the path of stored and new bars together; the path of intraday
    bars is that of the last bars of days, and whole days are blamed. A calendar year whose
    total variation is more than ``limit`` times that of the year with all its ambiguous dates
    exchanged (real years: 0.2 to 1.0). Two bars on each other's exchanged dates that would lie on
    a path ``limit`` times smoother if their values changed places, and by more than the sigmas of
    the ``jumps`` check. A bar that revises an old one, or lies on a closed day, while its
    exchanged date is an open day after the last stored bar that has none. Open days without a bar,
    where the bars on their exchanged dates would fit and where these do not fit.
    """
    limit, sigmas = evidence.limit("date_errors"), evidence.limit("jumps")
    path = evidence.path.daily
    worst, years = _rough_years(path, limit)
    pairs = _exchanged_pairs(path, limit, sigmas)
    moved = _moved(evidence, path)
    moved += [pair for pair in _into_gaps(evidence, path, limit) if pair not in moved]
    blamed = np.zeros(len(path), dtype=bool)
    texts: list[str] = []
    for year, ratio in years:
        blamed |= _ambiguous(path.days) & (_years(path.days) == year)
        texts.append(f"all ambiguous dates of {year} ({ratio:.1f} times rougher)")
    for i, j, ratio in pairs:
        blamed[[i, j]] = True
        texts.append(f"{path.days[i]} and {path.days[j]} ({ratio:.1f} times rougher)")
        worst = max(worst, ratio)
    for i, meant in moved:
        blamed[i] = True
        texts.append(f"{path.days[i]}, which is probably {meant}")
        worst = max(worst, 2 * limit)
    for day, meant in _waiting(evidence, path):
        texts.append(f"{day}, a closed day, which is probably {meant}")
        worst = max(worst, 2 * limit)
    if not texts:
        return Outcome(worst, "No path is smoother with day and month exchanged.")
    whole = evidence.path
    return Outcome(
        worst,
        f"Day and month look exchanged in {len(texts)} places: {listed(texts)}.",
        tuple(texts[:50]),
        whole.times[whole.new & np.isin(whole.days, path.days[blamed])],
        _REASON,
    )


def exchanged(day: date) -> date | None:
    """The date with day and month exchanged, or ``None`` where that is no other date."""
    return day.replace(month=day.day, day=day.month) if day.day <= 12 != day.month else None


def _years(days: np.ndarray) -> np.ndarray:
    return np.asarray(days.astype("datetime64[Y]").astype(np.int64) + 1970)


def _month_and_day(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    months = days.astype("datetime64[M]")
    return months.astype(np.int64) % 12 + 1, (days - months).astype(np.int64) + 1


def _ambiguous(days: np.ndarray) -> np.ndarray:
    month, day = _month_and_day(days)
    return np.asarray((day <= 12) & (day != month))


def _swapped(days: np.ndarray) -> np.ndarray:
    """Every ambiguous date with day and month exchanged, the others as they are."""
    month, day = _month_and_day(days)
    ambiguous = _ambiguous(days)
    month, day = np.where(ambiguous, day, month), np.where(ambiguous, month, day)
    start = days.astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    return np.asarray(start.astype("datetime64[D]") + (day - 1))


def _rough_years(path: Path, limit: float) -> tuple[float, list[tuple[int, float]]]:
    swapped, years = _swapped(path.days), _years(path.days)
    worst, found = 0.0, []
    for year in np.unique(years[path.new]):
        inside = years == year
        if inside.sum() < SMALLEST_YEAR:
            continue
        values = path.log_close[inside]
        order = np.argsort(swapped[inside], kind="stable")
        variation = np.abs(np.diff(values)).sum()
        ratio = float(variation / max(np.abs(np.diff(values[order])).sum(), SMALLEST_SIGMA))
        worst = max(worst, ratio)
        if ratio > limit:
            found.append((int(year), ratio))
    return worst, found


def _exchanged_pairs(path: Path, limit: float, sigmas: float) -> list[tuple[int, int, float]]:
    swapped = _swapped(path.days)
    place = np.searchsorted(path.days, swapped)
    place[place == len(path.days)] = 0
    i = np.flatnonzero((path.days[place] == swapped) & (swapped > path.days))
    j = place[i]
    last = len(path.days) - 1
    inner = (i > 0) & (j > i + 1) & (path.new[i] | path.new[j])
    i, j = i[inner], j[inner]
    x = path.log_close

    def detour(value: np.ndarray, at: np.ndarray) -> np.ndarray:
        after = np.abs(x[np.minimum(at + 1, last)] - value)
        return np.asarray(np.abs(value - x[at - 1]) + np.where(at < last, after, 0.0))

    now = detour(x[i], i) + detour(x[j], j)
    then = detour(x[j], i) + detour(x[i], j)
    sigma = np.fmax(path.sigma_at(i), path.sigma_at(j))
    sigma = np.where(np.isnan(sigma), path.usual_sigma, sigma)
    ratio = now / np.maximum(then, SMALLEST_SIGMA)
    bad = (ratio > limit) & (now - then > sigmas * sigma)
    return [(int(a), int(b), float(r)) for a, b, r in zip(i[bad], j[bad], ratio[bad], strict=True)]


def _moved(evidence: Evidence, path: Path) -> list[tuple[int, date]]:
    """New days out of place whose exchanged date is an open day that waits for its bars."""
    market, last_stored = evidence.calendar, evidence.last_stored_day
    present = set(path.days.tolist())
    today = market.day_of(evidence.now)
    revised_days = days_of(bar_times(evidence.revised), market).tolist()
    revised = Counter(revised_days)
    revised_from = dict(zip(revised_days, evidence.revised["old"].tolist(), strict=True))
    most = DAY // market.bar / 2
    soon = last_stored is not None and (today - last_stored).days <= NEAR_DAYS
    found = []
    for i in np.flatnonzero(path.new & _ambiguous(path.days)):
        day = path.days[i].item()
        meant = exchanged(day)
        if meant is None or meant in present or meant > today or not market.is_open(meant):
            continue
        late = last_stored is not None and meant > last_stored
        old = last_stored is not None and day <= last_stored
        if not market.daily:
            old = revised[day] >= most
        if late and old and (soon or _left(path, int(i), revised_from.get(day))):
            found.append((int(i), meant))
    return found


def _left(path: Path, place: int, old: float | None) -> bool:
    """Whether a bar is closer to the newest one than to its neighbours and to what it revises."""
    x, value = path.log_close, path.log_close[place]
    newest = x[np.flatnonzero(~path.new)[-1]]
    around = [x[i] for i in (place - 1, place + 1) if 0 <= i < len(x)]
    around += [] if old is None else [float(np.log(old))]
    return bool(abs(value - newest) < min(abs(value - near) for near in around))


def _into_gaps(evidence: Evidence, path: Path, limit: float) -> list[tuple[int, date]]:
    """New bars that lie off the path, and on it on their exchanged date, which has no bar.

    One has to lie off by several standard deviations; where most of a few candidates do at least
    as well as they may, all of them moved together.
    """
    candidates = _candidates(evidence, path)
    if not candidates:
        return []
    scored = [(place, meant, *_detours(path, place, meant)) for place, meant in candidates]
    surely = {
        (place, meant): (here - there) / sigma
        for place, meant, here, there, sigma in scored
        if here > limit * max(there, sigma) and here - there > GAP_SIGMAS * sigma
    }
    certain = list(surely)
    if len(certain) < FEWEST_TOGETHER:
        return [pair for pair in certain if surely[pair] > 2 * GAP_SIGMAS]
    if 2 * len(certain) < len(scored):
        return certain
    return [(place, meant) for place, meant, here, there, _ in scored if here > there]


def _candidates(evidence: Evidence, path: Path) -> list[tuple[int, date]]:
    """New bars whose exchanged date is an open day, among the others, that has no bar."""
    if len(path) < SMALLEST_YEAR:
        return []
    market = evidence.calendar
    places = np.flatnonzero(path.new & _ambiguous(path.days))
    meant = _swapped(path.days[places])
    free = ~np.isin(meant, path.days) & (meant > path.days[0])
    free &= meant <= np.datetime64(market.day_of(evidence.now))
    pairs = zip(places[free].tolist(), meant[free].tolist(), strict=True)
    return [
        (place, day)
        for place, day in pairs
        if market.is_open(day) and not market.quiet(day) and _surrounded(path, day)
    ]


def _surrounded(path: Path, day: date) -> bool:
    """Whether bars lie close to a day on both sides."""
    at = np.datetime64(day)
    place = int(np.searchsorted(path.days, at))
    reach = np.timedelta64(NEAR_DAYS, "D")
    return 0 < place < len(path) and max(at - path.days[place - 1], path.days[place] - at) <= reach


def _detours(path: Path, place: int, meant: date) -> tuple[float, float, float]:
    """How far the path goes out of its way to a bar, here and on another day, and a sigma."""
    x, at = path.log_close, int(np.searchsorted(path.days, np.datetime64(meant)))
    sigma = float(path.sigma_at(np.array([place]))[0])
    sigma = path.usual_sigma if np.isnan(sigma) else max(sigma, path.usual_sigma)
    before, after = x[max(place - 1, 0)], x[min(place + 1, len(x) - 1)]
    value, left, right = x[place], x[at - 1], x[at]
    here = abs(value - before) + abs(after - value) - abs(after - before)
    if place in (0, len(x) - 1):
        here = abs(value - before) + abs(after - value)
    there = abs(value - left) + abs(right - value) - abs(right - left)
    return float(here), float(there), sigma


def _waiting(evidence: Evidence, path: Path) -> list[tuple[date, date]]:
    """Closed days of the batch whose price fits an open day without a bar, the exchanged date."""
    if evidence.closed.empty or not len(path):
        return []
    market, last_stored = evidence.calendar, evidence.last_stored_day
    today = market.day_of(evidence.now)
    present = set(path.days.tolist())
    found = {}
    x = np.log(evidence.closed["close"].to_numpy(np.float64))
    for value, at in zip(x, days_of(bar_times(evidence.closed), market), strict=True):
        day = at.item()
        meant = exchanged(day)
        if meant is None or meant in present or meant > today or not market.is_open(meant):
            continue
        inside = path.days[0] < np.datetime64(meant) < path.days[-1]
        late = last_stored is not None and meant > last_stored
        if (inside or late) and _distance(path, meant, value) < _distance(path, day, value):
            found[day] = meant
    return list(found.items())


def _distance(path: Path, day: date, value: float) -> float:
    """How far a log price lies from those of the bars around a day."""
    place = int(np.searchsorted(path.days, np.datetime64(day)))
    around = path.log_close[max(0, place - 1) : place + 1]
    return float(np.abs(around - value).max())
