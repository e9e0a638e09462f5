"""Every figure that is shown about a forecast, with a block-bootstrap interval.

Only the proper score and the skill are ever judged by; the rest is for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.beta import beta_quantile
from fx_assets.evaluation.bootstrap import weight_parts
from fx_assets.evaluation.losses import Floats, loss_for, skill
from fx_assets.specs.forecast import TargetKind
from fx_assets.targets import TargetDefinition, target_definition
from fx_assets.targets.metrics import means

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 30

Metrics = dict[str, Floats]
"""A metric's value for each row of a weight matrix."""


def score(
    predictions: pd.DataFrame,
    kind: TargetKind,
    horizon: int,
    coverage: float = 0.95,
    n_boot: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """All metrics of a kind of target.

    Parameters
    ----------
    predictions
        Rows with ``prediction``, ``target`` and ``baseline``, in order of time; without a target a
        row does not count.
    kind, horizon
        Of the target; overlapping targets lengthen the bootstrap's blocks.
    coverage
        Nominal coverage of the percentile intervals.
    n_boot, seed
        Resamples, and the seed of their draw.

    Returns
    -------
    DataFrame
        ``metric, value, lower, upper, n, baseline_value``. ``skill`` is ``1 - loss/loss of the
        baseline`` for the proper score, which is the first row. The baseline's value of ``pr_auc``
        is the share of ups, what a coin reaches. A metric that does not exist on these rows (one
        class only, a constant forecast's correlation) is NaN.

    Raises
    ------
    NotEnoughDataError
        Fewer than 30 rows have a target.
    """
    import pandas as pd

    columns = (predictions[name] for name in ("target", "prediction", "baseline"))
    found = measure(
        *columns, kind=kind, horizon=horizon, coverage=coverage, n_boot=n_boot, seed=seed
    )
    of_model = {name: found.columns[name] for name in ("value", "lower", "upper")}
    baseline = found.columns["baseline_value"]
    return pd.DataFrame(
        {"metric": found.names, **of_model, "n": found.n, "baseline_value": baseline}
    )


@dataclass(frozen=True)
class Measured:
    """Metrics of ``n`` rows: their names, and as columns ``value``, ``lower``, ``upper`` and
    ``baseline_value``."""

    names: list[str]
    columns: dict[str, list[float]]
    n: int


def measure(
    target: ArrayLike,
    prediction: ArrayLike,
    baseline: ArrayLike,
    *,
    kind: TargetKind,
    horizon: int,
    coverage: float = 0.95,
    n_boot: int = 500,
    seed: int = 0,
) -> Measured:
    """As :func:`score`, of arrays in order of time, as columns."""
    columns = [np.asarray(values, dtype=np.float64) for values in (target, prediction, baseline)]
    known = ~np.isnan(columns[0])
    target, prediction, baseline = (column[known] for column in columns)
    n = len(target)
    if n < MIN_ROWS:
        raise NotEnoughDataError(
            f"Metrics need at least {MIN_ROWS} rows with an outcome, and there are {n}.",
            remedy="Wait for more outcomes.",
        )
    definition = target_definition(kind)
    once = np.ones((1, n))
    value = _metrics(definition, target, prediction, baseline, once)
    parts = [
        _metrics(definition, target, prediction, baseline, weights)
        for weights in weight_parts(n, horizon, n_boot, seed)
    ]
    draws = {name: np.concatenate([part[name] for part in parts]) for name in value}
    reference = definition.baseline_metrics(target, baseline, once) | {"skill": np.zeros(1)}
    tail = (1 - coverage) / 2
    first = definition.loss_name
    names = [first, "skill", *(name for name in value if name not in {first, "skill"})]
    bounds = {name: _percentiles(draws[name], tail) for name in names}
    figures = {
        "value": [float(value[name][0]) for name in names],
        "lower": [bounds[name][0] for name in names],
        "upper": [bounds[name][1] for name in names],
        "baseline_value": [float(reference[name][0]) for name in names],
    }
    return Measured(names, figures, n)


def skill_interval(
    loss: Floats,
    benchmark: Floats,
    horizon: int,
    coverage: float = 0.95,
    n_boot: int = 500,
    seed: int = 0,
) -> tuple[float, float, float]:
    """``1 - mean loss / mean loss of a benchmark`` and its interval, as :func:`measure` has it.

    Parameters
    ----------
    loss, benchmark
        (n,) proper scores of the same rows, in order of time.
    """
    draws = []
    for weights in weight_parts(len(loss), horizon, n_boot, seed):
        ours, theirs = means(weights, loss, benchmark)
        draws.append(1 - ours / theirs)
    lower, upper = _percentiles(np.concatenate(draws), (1 - coverage) / 2)
    return skill(loss, benchmark), lower, upper


def _percentiles(draws: Floats, tail: float) -> tuple[float, float]:
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return float("nan"), float("nan")
    lower, upper = np.quantile(finite, [tail, 1 - tail])
    return float(lower), float(upper)


def _metrics(
    definition: TargetDefinition,
    target: Floats,
    prediction: Floats,
    baseline: Floats,
    weights: Floats,
) -> Metrics:
    loss = definition.loss
    model, reference = means(weights, loss(target, prediction), loss(target, baseline))
    return definition.metrics(target, prediction, weights) | {"skill": 1 - model / reference}


def reliability(predictions: pd.DataFrame, bins: int = 10, coverage: float = 0.95) -> pd.DataFrame:
    """What happened when it said so: probabilities in bins of equal size beside the share of ups.

    Returns
    -------
    DataFrame
        A row for each bin: ``n``, ``predicted`` (mean probability), ``observed`` (share of ups),
        ``lower`` and ``upper`` (Jeffreys interval of that share).
    """
    import pandas as pd

    return pd.DataFrame(
        reliability_bins(predictions["target"], predictions["prediction"], bins, coverage)
    )


def reliability_bins(
    target: ArrayLike, prediction: ArrayLike, bins: int = 10, coverage: float = 0.95
) -> dict[str, Floats]:
    """As :func:`reliability`, of arrays, as columns."""
    came, said = (np.asarray(values, dtype=np.float64) for values in (target, prediction))
    came, said = came[~np.isnan(came)], said[~np.isnan(came)]
    edges = np.unique(np.quantile(said, np.linspace(0, 1, bins + 1)))
    which = np.searchsorted(edges[1:-1], said, side="right")
    some = np.bincount(which) > 0
    n, ups, total = (
        np.bincount(which, weights)[some] for weights in (np.ones_like(came), came, said)
    )
    tail = (1 - coverage) / 2
    counted = list(zip(ups.tolist(), n.tolist(), strict=True))
    lower, upper = (
        np.array([beta_quantile(k + 0.5, of - k + 0.5, share) for k, of in counted])
        for share in (tail, 1 - tail)
    )
    return {
        "n": n,
        "predicted": total / n,
        "observed": ups / n,
        "lower": lower,
        "upper": upper,
    }


def cumulative_loss_difference(predictions: pd.DataFrame, kind: TargetKind) -> pd.DataFrame:
    """Loss of the baseline minus the model's, summed over time: it rises while the model wins.

    Returns
    -------
    DataFrame
        ``event_time`` (UTC) and ``advantage``, in units of the proper score.
    """
    import pandas as pd

    rows = predictions[predictions["target"].notna()].sort_values("event_time")
    loss = loss_for(kind)
    gain = loss(rows["target"], rows["baseline"]) - loss(rows["target"], rows["prediction"])
    return pd.DataFrame(
        {"event_time": rows["event_time"].to_numpy(), "advantage": np.cumsum(gain)}
    ).astype({"event_time": "datetime64[us, UTC]"})
