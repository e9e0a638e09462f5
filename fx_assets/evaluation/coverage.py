"""How often intervals held, overall and in groups of rows, with what chance allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fx_assets.evaluation.bootstrap import weight_parts
from fx_assets.evaluation.intervals import Learned
from fx_assets.evaluation.losses import Floats
from fx_assets.targets.shown import Metric

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["metric", "value", "lower", "upper", "n", "baseline_value"]
WORST_ROWS = 500
MIN_GROUP = 60
REGIMES = ("calm", "usual", "wild")
TITLES = {
    "coverage": Metric("Interval held", "share"),
    **{f"coverage_{name}": Metric(f"Interval held, {name} markets", "share") for name in REGIMES},
    "coverage_worst": Metric(f"Interval held, worst {WORST_ROWS} in a row", "share"),
    "interval_score": Metric("Interval score"),
}
"""What the metrics are called; ``coverage_`` with a year is that year's."""


def coverage_scores(
    learned: Learned, predictions: pd.DataFrame, volatility: pd.Series, horizon: int
) -> pd.DataFrame:
    """Coverage of all rows, by regime of volatility, by year, and of the worst rows in a row.

    Parameters
    ----------
    learned
        What :func:`~fx_assets.evaluation.intervals.learn_intervals` gave for ``predictions``.
    volatility
        EWMA volatility of each bar, indexed by event time; its terciles part the regimes.
    horizon
        Of the target; it lengthens the bootstrap's blocks.

    Returns
    -------
    DataFrame
        As :func:`~fx_assets.evaluation.metrics.score`. The baseline's value of a coverage is the
        nominal one, of ``interval_score`` that of split conformal intervals on the same rows.
        Groups of fewer than 60 rows are left out.
    """
    import pandas as pd

    judged = learned.judged
    if judged is None or len(judged.rows) < MIN_GROUP:
        return pd.DataFrame(columns=COLUMNS)
    known = predictions[predictions["target"].notna()].sort_values("event_time")
    times = pd.DatetimeIndex(known["event_time"].iloc[judged.rows])
    groups = {"coverage": np.ones(len(times), dtype=bool)}
    groups |= _regimes(volatility.reindex(times).to_numpy(dtype=np.float64))
    groups |= {f"coverage_{year}": times.year == year for year in sorted(set(times.year))}
    groups = {name: rows for name, rows in groups.items() if rows.sum() >= MIN_GROUP}
    held = judged.held.astype(np.float64)
    inside = np.column_stack([*groups.values(), np.ones(len(held))]).astype(np.float64)
    values = np.column_stack([*(held for _ in groups), judged.loss])
    lower, upper = _bounds(values, inside, horizon)
    means = [float(value) for value in (values * inside).sum(axis=0) / inside.sum(axis=0)]
    usual = [*(learned.coverage.nominal for _ in groups), float(judged.split_loss.mean())]
    n = inside.sum(axis=0).astype(int)
    columns = [[*groups, "interval_score"], means, lower, upper, n, usual]
    found = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    if len(held) < WORST_ROWS:
        return found
    sums = np.cumsum(np.concatenate([[0.0], held]))
    worst = float((sums[WORST_ROWS:] - sums[:-WORST_ROWS]).min()) / WORST_ROWS
    row = ["coverage_worst", worst, worst, worst, WORST_ROWS, usual[0]]
    return pd.concat([found, pd.DataFrame([row], columns=COLUMNS)], ignore_index=True)


def _regimes(volatility: Floats) -> dict[str, NDArray[np.bool_]]:
    low, high = np.nanquantile(volatility, [1 / 3, 2 / 3])
    of_row = np.digitize(volatility, [low, high])
    return {f"coverage_{name}": of_row == k for k, name in enumerate(REGIMES)}


def _bounds(values: Floats, inside: Floats, horizon: int) -> tuple[Floats, Floats]:
    """95 % block-bootstrap intervals of the means of (n, g) columns over the rows inside."""
    parts = [
        (weights @ (values * inside), weights @ inside)
        for weights in weight_parts(len(values), horizon, 500, 0)
    ]
    totals, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
    means = np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)
    low, high = np.nanquantile(means, [0.025, 0.975], axis=0)
    return low, high
