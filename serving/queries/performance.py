"""How good a champion's recipe was: backtest and live apart, each beside the baseline."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fx_assets.bundles.records import Manifest
from fx_assets.bundles.universes import Member
from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.metrics import measure, reliability_bins
from fx_assets.evaluation.rolling_hits import rolling_hits
from fx_assets.evaluation.rolling_skill import rolling_skill
from fx_assets.evaluation.stated import DistributionModel
from fx_assets.lake.reader import Reader
from fx_assets.tables import OUTCOMES
from fx_assets.targets import target_definition
from serving.market import bar_day
from serving.queries.columns import finite, instant, instants, numbers, texts
from serving.queries.history import backtest_rows
from serving.queries.measures import backtest_measures, economics
from serving.queries.own_rows import newest_rows, own_rows
from serving.schemas import (
    Bin,
    Calibration,
    ChampionRef,
    Coverage,
    HitPoint,
    Measure,
    Performance,
    Quantile,
    SkillPoint,
)


def performance(
    reader: Reader,
    manifest: Manifest,
    champion: ChampionRef,
    window: int,
    strategy: str | None,
) -> Performance:
    """Scores, rolling skill, reliability and coverage of the champion in service."""
    live, live_rows, held = _live(reader, manifest)
    rolling, bins, hits = _walked(reader, manifest, window)
    measured = manifest.skill.interval_coverage
    return Performance(
        forecast=manifest.forecast,
        champion=champion,
        backtest=(
            _of_member(reader, manifest)
            if isinstance(manifest, Member)
            else backtest_measures(reader, manifest)
        ),
        live=live,
        live_rows=live_rows,
        window=window,
        rolling=rolling,
        reliability=bins,
        coverage=Coverage(
            nominal=manifest.intervals.coverage,
            backtest=None if measured is None else finite(measured),
            live=held,
            live_rows=live_rows,
        ),
        hits=hits,
        calibration=_calibration(manifest.distribution),
        economics=economics(reader, manifest, strategy),
    )


def _walked(
    reader: Reader, manifest: Manifest, window: int
) -> tuple[list[SkillPoint], list[Bin], list[HitPoint]]:
    table = backtest_rows(reader, manifest)
    if table is None:
        return [], [], []
    times = instants(table, "event_time")
    target, prediction, baseline = (
        numbers(table, name) for name in ("target", "prediction", "baseline")
    )
    known = ~np.isnan(target)
    times, target, prediction, baseline = (
        column[known] for column in (times, target, prediction, baseline)
    )
    if not len(target):
        return [], [], []
    moving = rolling_skill(
        target, prediction, baseline, manifest.target, manifest.horizon, window=window
    )
    points = [
        SkillPoint(
            instant(times[i]),
            bar_day(manifest.calendar, instant(times[i])),
            finite(value),
            finite(lower),
            finite(upper),
        )
        for i, value, lower, upper in zip(
            moving.last, moving.value, moving.lower, moving.upper, strict=True
        )
    ]
    outcome = target_definition(manifest.target).outcome
    sides = rolling_hits(target, prediction, baseline, outcome, manifest.horizon, window=window)
    hits = [
        HitPoint(
            instant(times[i]),
            bar_day(manifest.calendar, instant(times[i])),
            float(rate),
            float(lower),
            float(upper),
            finite(reference),
        )
        for i, rate, lower, upper, reference in zip(
            *(sides.last, sides.rate, sides.lower, sides.upper, sides.baseline), strict=True
        )
    ]
    if outcome != "binary":
        return points, [], hits
    columns = reliability_bins(target, prediction)
    bins = [
        Bin(int(n), float(said), float(came), float(low), float(high))
        for n, said, came, low, high in zip(
            *(columns[c] for c in ("n", "predicted", "observed", "lower", "upper")), strict=True
        )
    ]
    return points, bins, hits


def _live(reader: Reader, manifest: Manifest) -> tuple[list[Measure], int, float | None]:
    """Scores of live predictions, how many have an outcome, and how often intervals held."""
    table = own_rows(reader, manifest, OUTCOMES)
    if table is None:
        return [], 0, None
    live = np.array([mode == "live" for mode in texts(table, "mode")], dtype=bool)
    table = table.filter(pa.array(live))
    rows = newest_rows(OUTCOMES, table)
    if not len(rows):
        return [], 0, None
    inside = [bool(table["inside_interval"][int(i)].as_py()) for i in rows]
    kind, horizon = manifest.target, manifest.horizon
    target, said, reference = (
        numbers(table, name)[rows] for name in ("target", "prediction", "baseline")
    )
    held = float(np.mean(inside)) if target_definition(kind).interval.of_outcomes else None
    return _measures(target, said, reference, kind, horizon), len(rows), held


def _measures(
    target: np.ndarray, said: np.ndarray, reference: np.ndarray, kind: str, horizon: int
) -> list[Measure]:
    """Every metric; none where the rows are too few."""
    try:
        found = measure(target, said, reference, kind=kind, horizon=horizon)
    except NotEnoughDataError:
        return []
    columns = (found.columns[c] for c in ("value", "lower", "upper", "baseline_value"))
    return [
        Measure(name, finite(value), finite(low), finite(high), found.n, finite(base))
        for name, value, low, high, base in zip(found.names, *columns, strict=True)
    ]


def _of_member(reader: Reader, manifest: Manifest) -> list[Measure]:
    """Scores of the walk-forward rows; a universe's table has those of distributions alone."""
    table = backtest_rows(reader, manifest)
    if table is None:
        return []
    target, said, reference = (
        numbers(table, name) for name in ("target", "prediction", "baseline")
    )
    found = _measures(target, said, reference, manifest.target, manifest.horizon)
    known = {one.metric for one in found}
    return [*found, *(m for m in backtest_measures(reader, manifest) if m.metric not in known)]


def _calibration(model: DistributionModel | None) -> Calibration | None:
    """How well the distributions of the backtest were calibrated."""
    found = None if model is None else model.measured
    if model is None or found is None:
        return None
    return Calibration(
        family=model.family,
        rows=found.n,
        histogram=list(found.histogram),
        distance=found.distance,
        p_value=found.p_value,
        below=[Quantile(*pair) for pair in found.below],
    )
