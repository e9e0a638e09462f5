"""A forecast's distribution: made from rows that came before, walked forward, and judged.

Whatever is learned for a row is learned from outcomes known when it was said, as for intervals
(:mod:`fx_assets.evaluation.intervals`). It stands beside the distribution of who claims no skill:
the normal distribution with the variance of all outcomes so far, or for sizes all outcomes so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation import boosted
from fx_assets.evaluation.bootstrap import weight_parts
from fx_assets.evaluation.distribution import Shape, empirical, parametric
from fx_assets.evaluation.folds import Positions
from fx_assets.evaluation.intervals import MIN_ROWS
from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.metrics import skill_interval
from fx_assets.evaluation.spread import fit_spread, walk_spreads
from fx_assets.evaluation.stated import Calibration, DistributionModel
from fx_assets.models._quantile_trees import quantile_loss
from fx_assets.specs.distribution import DistributionSpec
from fx_assets.targets import TargetDefinition
from fx_assets.targets.losses import VARIANCE_FLOOR
from fx_assets.targets.metrics import means

if TYPE_CHECKING:
    import pandas as pd

    from fx_assets.evaluation.study_frame import StudyFrame

START = 500
BLOCKS = 250, 200
"""A block of so many rows learns anew; it grows with the rows before it, a 200th of these at
least."""
BOOSTED_BLOCKS = 500, 8
"""The same of boosted quantiles, which are dear to learn."""
BINS = 20
"""Of the histogram of probability integral transforms."""


@dataclass(frozen=True)
class Judged:
    """Scores of (n,) rows in order of time, each beside the baseline's distribution."""

    event_time: pd.Series[pd.Timestamp]
    quantiles: Floats
    """(n, levels), in units of the target."""
    below: Floats
    """Probability integral transforms: the probability that was given to at most what came."""
    crps: Floats
    log_score: Floats
    """Minus the logarithm of the density (nats); smaller is better."""
    pinball: Floats
    """Mean quantile loss over the levels."""
    baseline_below: Floats
    baseline_crps: Floats
    baseline_log_score: Floats
    baseline_pinball: Floats


def fit_distribution(
    study: StudyFrame, asked: DistributionSpec, predictions: pd.DataFrame, volatility: pd.Series
) -> DistributionModel:
    """Learn from all of a candidate's walk-forward rows, or of returns from all labelled rows.

    Parameters
    ----------
    predictions
        ``event_time``, ``prediction`` and ``target``; rows without a target do not count.
    volatility
        :func:`~fx_assets.evaluation.intervals.ewma_volatility` of each bar, by event time.

    Raises
    ------
    NotEnoughDataError
        Fewer than 100 rows have a target.
    """
    rows = predictions[predictions["target"].notna()]
    if len(rows) < MIN_ROWS:
        raise NotEnoughDataError(
            f"A distribution is learned from at least {MIN_ROWS} out-of-sample rows; there are "
            f"{len(rows)}.",
            remedy="Wait for more outcomes, set walk_forward.first_test to an earlier day, or "
            "leave out quantiles and distribution.",
        )
    family, levels = asked.family, asked.quantiles
    if family == "garch_t":
        garch = fit_spread(study, study.labelled)
        shape = parametric(levels, garch.dof)
        return DistributionModel(
            family=family, quantiles=levels, shape=shape, garch=garch, n=len(study.labelled)
        )
    target = study.spec.target.definition
    scaled = target.outcome != "positive" and target.interval.scaled
    z = _standard(rows, target, _scale(rows, volatility, scaled=scaled))
    made = None
    if family in boosted.LIBRARIES:
        features = _features(study, rows)
        made = boosted.learn(family, features, z, levels).kept(study.columns, features)
    return DistributionModel(
        family=family,
        quantiles=levels,
        shape=empirical(z, levels),
        boosted=made,
        scaled=scaled,
        multiplicative=target.outcome == "positive",
        n=len(z),
    )


def walk_distributions(
    study: StudyFrame, asked: DistributionSpec, predictions: pd.DataFrame, volatility: pd.Series
) -> Judged | None:
    """State a distribution for each walk-forward row but the first 500, and score it.

    What a row is given depends on no later row. ``None`` where too few rows are out of sample.
    """
    known = predictions[predictions["target"].notna()]
    rows = known.sort_values("event_time").reset_index(drop=True)
    target, levels = study.spec.target.definition, np.array(asked.quantiles)
    multiplicative = target.outcome == "positive"
    scaled = not multiplicative and target.interval.scaled
    scale = _scale(rows, volatility, scaled=scaled)
    z = _standard(rows, target, scale)
    said, came, base = (rows[c].to_numpy(np.float64) for c in ("prediction", "target", "baseline"))
    dof: Floats | None = None
    if asked.family == "garch_t":
        at = study.frame["event_time"].searchsorted(rows["event_time"])
        spreads = walk_spreads(study)
        scale, dof = spreads.spread[at], spreads.dof[at]
        z = (came - said) / scale
    features = _features(study, rows) if asked.family in boosted.LIBRARIES else None
    parts = []
    for now, past in _blocks(rows, *(BLOCKS if features is None else BOOSTED_BLOCKS)):
        if features is None:
            shapes = list(_shapes(now, past, z, dof, levels))
        else:
            made = boosted.learn(asked.family, features[past], z[past], asked.quantiles)
            shapes = list(zip(now[:, None], made.shapes(features[now]), strict=True))
        scored = [
            (some, *_scored(shape, z[some], said[some], scale[some], came[some], levels,
                            multiplicative=multiplicative))
            for some, shape in shapes
        ]  # fmt: skip
        mine = [np.concatenate(column) for column in zip(*scored, strict=True)]
        order = np.argsort(mine[0], kind="stable")
        theirs = _baseline(came, base, now, past, levels, multiplicative=multiplicative)
        parts.append((*(column[order] for column in mine), *theirs[1:]))
    if not parts:
        return None
    where, *others = (np.concatenate(column) for column in zip(*parts, strict=True))
    times = rows["event_time"].iloc[where].reset_index(drop=True)
    return Judged(times, *others)


def calibration(judged: Judged, levels: Sequence[float], horizon: int) -> Calibration:
    """The histogram of the transforms, and a test of uniformity that allows for dependence."""
    shares = _histogram(judged.below, np.ones((1, len(judged.below))))[0]
    distance, p_value = uniformity(judged.below, horizon)
    pairs = [(float(level), float((judged.below <= level).mean())) for level in levels]
    return Calibration(
        n=len(judged.below),
        histogram=tuple(shares.tolist()),
        distance=distance,
        p_value=p_value,
        below=tuple(pairs),
    )


def uniformity(
    below: Floats, horizon: int, n_boot: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Largest distance of (n,) transforms from the uniform distribution, and its p-value.

    Blocks of rows are drawn again, and the largest distance of their distribution function from
    that of all rows says what chance does (Corradi and Swanson 2006): dependence of neighbouring
    rows and overlapping outcomes widen it. The distance is taken at the edges of 20 bins.
    """
    found = np.cumsum(_histogram(below, np.ones((1, len(below))))[0])
    even = np.arange(1, BINS + 1) / BINS
    distance = float(np.abs(found - even).max())
    drawn = [
        np.abs(np.cumsum(_histogram(below, weights), axis=1) - found).max(axis=1)
        for weights in weight_parts(len(below), horizon, n_boot, seed)
    ]
    beyond = int((np.concatenate(drawn) >= distance).sum())
    return distance, (beyond + 1) / (n_boot + 1)


def density_scores(judged: Judged, measured: Calibration, horizon: int) -> list[list[Any]]:
    """Rows of a table of scores: metric, value, lower, upper, n and the baseline's value.

    ``crps_skill`` and ``log_score_gain`` (nats a row) are against the baseline's distribution.
    """
    n = len(judged.below)
    pairs = {
        "crps": (judged.crps, judged.baseline_crps),
        "log_score": (judged.log_score, judged.baseline_log_score),
        "pinball": (judged.pinball, judged.baseline_pinball),
    }
    rows: list[list[Any]] = [
        [name, *_interval(ours, horizon), n, float(theirs.mean())]
        for name, (ours, theirs) in pairs.items()
    ]
    better = skill_interval(judged.crps, judged.baseline_crps, horizon)
    gain = _interval(judged.baseline_log_score - judged.log_score, horizon)
    rows += [["crps_skill", *better, n, 0.0], ["log_score_gain", *gain, n, 0.0]]
    found = measured.distance, measured.p_value
    others = uniformity(judged.baseline_below, horizon)
    names = "pit_distance", "pit_p_value"
    rows += [[m, v, v, v, n, w] for m, v, w in zip(names, found, others, strict=True)]
    return rows


def _interval(values: Floats, horizon: int) -> tuple[float, float, float]:
    draws = np.concatenate(
        [means(weights, values)[0] for weights in weight_parts(len(values), horizon, 500, 0)]
    )
    lower, upper = np.quantile(draws, [0.025, 0.975])
    return float(values.mean()), float(lower), float(upper)


def _features(study: StudyFrame, rows: pd.DataFrame) -> Floats:
    """(n, p) features of walk-forward rows."""
    at = study.frame["event_time"].searchsorted(rows["event_time"])
    return study.frame[study.columns].to_numpy(dtype=np.float64)[at]


def _blocks(rows: pd.DataFrame, size: int, most: int) -> Iterator[tuple[Positions, Positions]]:
    """Positions of rows that learn together, and of the rows whose outcomes they know.

    A block has ``size`` rows, or the ``most``-th part of those before it if that is more.
    """
    known_at = rows["label_available_at"].to_numpy(dtype="datetime64[us]")
    time = rows["event_time"].to_numpy(dtype="datetime64[us]")
    first = START
    while first < len(rows):
        end = first + max(size, first // most)
        past = np.flatnonzero(known_at[:first] <= time[first])
        if len(past) >= MIN_ROWS:
            yield np.arange(first, min(end, len(rows))), past
        first = end


def _shapes(
    now: Positions, past: Positions, z: Floats, dof: Floats | None, levels: Floats
) -> Iterator[tuple[Positions, Shape]]:
    """The rows of a block by their shape: one that is learned, or that of each row's fold."""
    if dof is None:
        yield now, empirical(z[past], levels)
        return
    for value in np.unique(dof[now]):
        yield now[dof[now] == value], parametric(levels, value if np.isfinite(value) else None)


def _scored(
    shape: Shape,
    z: Floats,
    centre: Floats,
    spread: Floats,
    came: Floats,
    levels: Floats,
    *,
    multiplicative: bool,
) -> tuple[Floats, ...]:
    """Quantiles, transforms, CRPS, log score and quantile loss of some rows of one shape."""
    unit = shape.quantile(levels)
    if multiplicative:
        quantiles, size = centre[:, None] * np.exp(unit), centre
        jacobian = np.log(centre) + z
    else:
        quantiles, size = centre[:, None] + spread[:, None] * unit, spread
        jacobian = np.log(spread)
    crps = size * shape.crps(z, multiplicative=multiplicative)
    pinball = quantile_loss(came, quantiles, levels)
    return quantiles, shape.cdf(z), crps, jacobian - shape.log_density(z), pinball


def _baseline(
    came: Floats,
    base: Floats,
    now: Positions,
    past: Positions,
    levels: Floats,
    *,
    multiplicative: bool,
) -> tuple[Floats, ...]:
    if multiplicative:
        logs = np.log(np.maximum(came, VARIANCE_FLOOR))
        ones = np.ones(len(now))
        return _scored(empirical(logs[past], levels), logs[now], ones, ones, came[now], levels,
                       multiplicative=True)  # fmt: skip
    root = float(np.sqrt(np.mean((came[past] - base[past]) ** 2)))
    spread = np.full(len(now), max(root, 1e-12))
    z = (came[now] - base[now]) / spread
    return _scored(parametric(levels), z, base[now], spread, came[now], levels,
                   multiplicative=False)  # fmt: skip


def _standard(rows: pd.DataFrame, target: TargetDefinition, scale: Floats) -> Floats:
    """Outcomes in units of what was said: distances in spreads, or logarithms of ratios."""
    said, came = (rows[name].to_numpy(dtype=np.float64) for name in ("prediction", "target"))
    if target.outcome == "positive":
        return np.asarray(np.log(np.maximum(came, VARIANCE_FLOOR) / said), dtype=np.float64)
    return np.asarray((came - said) / scale, dtype=np.float64)


def _scale(rows: pd.DataFrame, volatility: pd.Series, *, scaled: bool) -> Floats:
    if not scaled:
        return np.ones(len(rows))
    return volatility.reindex(rows["event_time"]).to_numpy(dtype=np.float64)


def _histogram(below: Floats, weights: Floats) -> Floats:
    """(r, bins) shares of (n,) transforms under an (r, n) matrix of weights."""
    which = np.minimum((below * BINS).astype(int), BINS - 1)
    inside = np.zeros((len(which), BINS))
    inside[np.arange(len(which)), which] = 1.0
    return np.asarray((weights @ inside) / weights.sum(axis=1, keepdims=True), dtype=np.float64)
