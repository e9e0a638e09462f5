"""Thresholds for drift that keep a promise: so many false alarms a year, all columns together.

Every window of the reference is compared with the rest of it, which shows how far the windows of
autocorrelated columns stray when nothing is wrong. Two things are measured: Wasserstein distance
of the window, which sees every kind of change, and the shift of its mean, which sees a change of
level where volatility comes and goes. Each is put on a common scale by its own median and 95 %
quantile; the report's statistic is the largest of all; and its limit is the lowest that the
reference itself exceeded no more often than promised. One limit for the maximum accounts for the
number of columns and for how they move together.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, Field

from fx_assets.errors import FxAssetsError, NotEnoughDataError
from fx_assets.monitoring.windows import (
    Floats,
    distances,
    leave_one_out,
    quantile_grid,
    shifts,
)
from fx_assets.specs.base import Spec

if TYPE_CHECKING:
    from fx_assets.bundles.records import Blobs

MIN_YEARS = 2
LEAST_SPREAD = 0.02
"""A column whose windows hardly differ still has this spread, in standard deviations."""
FLAT = 1e-12
FORMAT = 2


class Usual(Spec):
    """What is usual for a measure of one column's windows, in standard deviations of the column."""

    median: float
    spread: float
    """From the median to the 95 % quantile."""

    @classmethod
    def of(cls, measured: Floats) -> Usual:
        """What is usual in these measurements."""
        median, high = np.quantile(measured, [0.5, 0.95])
        return cls(median=float(median), spread=float(max(high - median, LEAST_SPREAD)))

    def score(self, measured: Floats) -> Floats:
        """Measurements on the scale that all share: 0 is the median, 1 the 95 % quantile."""
        return (measured - self.median) / self.spread

    def threshold(self, limit: float) -> float:
        """The measurement whose score is ``limit``."""
        return self.median + limit * self.spread


class ColumnScale(Spec):
    """One column of the reference, and what is usual for its windows."""

    name: str
    mean: float
    std: float
    """Of the reference, in the column's unit."""
    distance: Usual
    shift: Usual

    def standardised(self, values: Floats) -> Floats:
        """Values in the reference's standard deviations from its mean."""
        return (values - self.mean) / self.std


class Calibration(Spec):
    """The limit, and the history it comes from; serialise it with ``model_dump_json``."""

    format: int = FORMAT
    window: int
    alarms_a_year: float
    """What was promised, for all columns together."""
    limit: float
    """Score above which a report is an alarm."""
    alarms: int
    """Alarms that the reference itself would have raised."""
    years: float
    columns: tuple[ColumnScale, ...]
    untested: dict[str, str] = Field(default_factory=dict)
    """Columns that have no distance, and why."""
    first_row: AwareDatetime
    last_row: AwareDatetime
    data_hash: str
    """Of the reference and the settings."""


def calibrate(
    reference: pd.DataFrame, window: int, alarms_a_year: float, bars_a_year: int
) -> Calibration:
    """Find the limit from the reference's own windows.

    Parameters
    ----------
    reference
        ``event_time`` (UTC, ascending) and float columns; NaN where a value is not known.
    window
        Rows of a window.
    alarms_a_year
        Alarms expected in a year where nothing changes. Alarms less than a window apart are one.
    bars_a_year
        Rows of a year.

    Raises
    ------
    NotEnoughDataError
        Fewer than two years of rows: a rate of alarms a year cannot be measured.
    """
    n, needed = len(reference), MIN_YEARS * bars_a_year
    if n < needed:
        raise NotEnoughDataError(
            f"Drift thresholds need {needed} rows of reference, there are {n}.",
            remedy="Start the feed earlier, or wait.",
        )
    scales, untested, statistic = [], {}, np.full(n, -np.inf)
    for name in (c for c in reference.columns if c != "event_time"):
        values = reference[name].to_numpy(dtype=np.float64)
        known = np.flatnonzero(np.isfinite(values))
        values = values[known]
        if len(values) < needed:
            untested[name] = f"{len(values)} values known, {needed} needed"
            continue
        mean, std = float(values.mean()), float(values.std())
        if std <= FLAT * max(1.0, abs(mean)):
            untested[name] = f"constant at {mean:g}"
            continue
        distance, shift = _measured(((values - mean) / std).tobytes(), window)
        scale = ColumnScale(
            name=name, mean=mean, std=std, distance=Usual.of(distance), shift=Usual.of(shift)
        )
        scales.append(scale)
        at = known[window - 1 :]
        score = np.maximum(scale.distance.score(distance), scale.shift.score(shift))
        statistic[at] = np.maximum(statistic[at], score)
    if not scales:
        raise NotEnoughDataError(
            f"No column can be tested for drift: {untested}.", remedy="Look at the columns."
        )
    judged = statistic[np.isfinite(statistic)]
    years = len(judged) / bars_a_year
    # Where k of n were above a limit, the next one is with probability (k + 1) / (n + 1).
    limit = limit_for(judged, window, alarms_a_year * years - 1)
    times = reference["event_time"]
    return Calibration(
        window=window,
        alarms_a_year=alarms_a_year,
        limit=limit,
        alarms=alarms(judged, limit, window),
        years=years,
        columns=tuple(scales),
        untested=untested,
        first_row=times.iloc[0].to_pydatetime(),
        last_row=times.iloc[-1].to_pydatetime(),
        data_hash=reference_hash(reference, window, alarms_a_year, bars_a_year),
    )


@lru_cache(maxsize=64)
def _measured(standardised: bytes, window: int) -> tuple[Floats, Floats]:
    """Distance and shift of a column's windows; targets of one instrument share its features."""
    values = np.frombuffer(standardised)
    rest = leave_one_out(len(values), window)
    distance = rest * distances(values, quantile_grid(values, window))
    return distance, rest * shifts(values, window)


def alarms(statistic: Floats, limit: float, window: int) -> int:
    """Alarms in a daily series: rows above the limit, those within a window of another once."""
    above = np.flatnonzero(statistic > limit)
    return int(len(above) > 0) + int((np.diff(above) > window).sum())


def limit_for(statistic: Floats, window: int, budget: float) -> float:
    """The lowest limit down to which a series raises no more than ``budget`` alarms."""
    candidates = np.unique(statistic)[::-1]
    limit = float(candidates[0])
    for candidate in candidates:
        if alarms(statistic, float(candidate), window) > budget:
            break
        limit = float(candidate)
    return limit


def score_windows(
    calibration: Calibration, reference: pd.DataFrame, current: pd.DataFrame
) -> pd.DataFrame:
    """Score of every window of ``current`` against the reference: a row a window, a column each.

    Columns that the calibration does not test are left out; ``current`` has no NaN in the others.
    """
    scores = {}
    for scale in calibration.columns:
        distance, shift = measure(scale, reference, current, calibration.window)
        scores[scale.name] = np.maximum(scale.distance.score(distance), scale.shift.score(shift))
    return pd.DataFrame(scores)


def measure(
    scale: ColumnScale, reference: pd.DataFrame, current: pd.DataFrame, window: int
) -> tuple[Floats, Floats]:
    """Distance and shift of one column's windows in ``current``, in standard deviations."""
    ours, theirs = (
        scale.standardised(frame[scale.name].dropna().to_numpy(dtype=np.float64))
        for frame in (current, reference)
    )
    return distances(ours, quantile_grid(theirs, window)), shifts(ours - theirs.mean(), window)


def reference_hash(
    reference: pd.DataFrame, window: int, alarms_a_year: float, bars_a_year: int
) -> str:
    """Identifies a reference and what is asked of it (16 hex digits)."""
    asked = [FORMAT, window, alarms_a_year, bars_a_year, list(reference.columns)]
    content = hashlib.sha256(json.dumps(asked).encode())
    content.update(reference["event_time"].astype("int64").to_numpy().tobytes())
    values = reference.drop(columns="event_time").to_numpy(dtype=np.float64)
    content.update(np.ascontiguousarray(values).tobytes())
    return content.hexdigest()[:16]


def cached_calibration(
    blobs: Blobs,
    forecast: str,
    reference: pd.DataFrame,
    window: int,
    alarms_a_year: float,
    bars_a_year: int,
) -> Calibration:
    """:func:`calibrate`, kept in a blob of the forecast until the reference changes."""
    path = f"monitoring/{forecast}/calibration.json"
    wanted = reference_hash(reference, window, alarms_a_year, bars_a_year)
    try:
        stored = Calibration.model_validate_json(blobs.read_blob(path))
    except (FxAssetsError, ValueError):
        stored = None
    if stored is not None and stored.data_hash == wanted:
        return stored
    made = calibrate(reference, window, alarms_a_year, bars_a_year)
    blobs.write_blob(path, made.model_dump_json(indent=1).encode())
    return made
