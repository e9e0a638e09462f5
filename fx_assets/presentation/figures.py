"""Plots of a candidate for MLflow and Dagster: SVG of 800 by 350 pixels, dates on the axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fx_assets.presentation.chart import BLUE, GREY, ORANGE, Chart, ends, seconds
from fx_assets.presentation.term import TermRow
from fx_assets.targets import TargetDefinition

if TYPE_CHECKING:
    from fx_assets.presentation.chart import Array

_NAMES = 200
"""Pixels for the names of features."""
_FAN_ROWS = 250


def reliability_figure(bins: pd.DataFrame, called: str = "P(up)") -> str:
    """Predicted probability against the observed share of ups, or of what else comes or not.

    Parameters
    ----------
    bins : DataFrame
        What ``evaluation.metrics.reliability`` returns: ``n``, ``predicted``, ``observed``,
        ``lower`` and ``upper``. The number below each point is the bin's ``n``.
    called
        What the probability is called.
    """
    title = f"Reliability of {called}"
    if bins.empty:
        return _nothing(title)
    x, y, low, high = (bins[c].to_numpy(float) for c in ("predicted", "observed", "lower", "upper"))
    across = ends(x)
    chart = Chart(title, across, ends(y, low, high, np.array(across), pad=0.12))
    chart.unit("observed share")
    chart.levels()
    chart.numbers(f"predicted {called}, mean of the bin")
    line = np.array(across)
    chart.line(line, line, GREY, dashed=True, label="perfectly calibrated")
    for place, seen, bottom, top, n in zip(x, y, low, high, bins["n"], strict=True):
        chart.dot(place, seen, BLUE, (min(bottom, seen), max(top, seen)))
        chart.note(place, bottom, f"{n:,}", drop=12)
    return chart.svg()


def cumulative_loss_figure(
    difference: pd.DataFrame, candidate: str, baseline: str = "the baseline", loss: str = "loss"
) -> str:
    """Baseline loss minus candidate loss, summed over time: it rises while the candidate wins.

    Parameters
    ----------
    difference : DataFrame
        What ``evaluation.metrics.cumulative_loss_difference`` returns: ``event_time`` (UTC) and
        ``advantage``.
    candidate, baseline, loss : str
        Their names, for the labels.
    """
    title = f"{candidate} against {baseline}"
    if difference.empty:
        return _nothing(title)
    values = difference["advantage"].to_numpy(float)
    chart, at = _over_time(title, difference, ends(values, np.zeros(1), pad=0.15))
    chart.unit(f"{loss} saved, cumulative")
    chart.line(at, values, BLUE)
    chart.line(at[[0, -1]], np.zeros(2), GREY, dashed=True)
    chart.corner(f"above zero: {candidate} is better", top=True)
    chart.corner(f"below zero: {baseline} is better", top=False)
    return chart.svg()


def importance_figure(importance: Mapping[str, float], top: int = 15) -> str:
    """The ``top`` most important features, the greatest on top, as shares of all importance."""
    title = "Feature importance"
    sizes = {name: abs(value) for name, value in importance.items() if np.isfinite(value)}
    total = sum(sizes.values())
    if not total:
        return _nothing(title)
    ranked = sorted(sizes.items(), key=lambda item: item[1])[-top:]
    shares = {name: 100 * size / total for name, size in ranked}
    chart = Chart(title, (0, 1.05 * max(shares.values())), (-0.6, len(shares) - 0.4), left=_NAMES)
    chart.numbers("share of all importance (%)")
    for place, (name, share) in enumerate(shares.items()):
        chart.bar(place, share, BLUE)
        chart.name(place, name)
    return chart.svg()


def volatility_figure(predictions: pd.DataFrame, horizon: int, bars_a_year: int) -> str:
    """Predicted and realised volatility.

    Parameters
    ----------
    predictions : DataFrame
        ``event_time`` (UTC, sorted), and ``prediction`` and ``target``: variances over the horizon.
    horizon, bars_a_year : int
        Bars of the horizon, and of a year by the feed's calendar.
    """
    title = "Predicted and realised volatility"
    if predictions.empty:
        return _nothing(title)
    scale = bars_a_year / horizon
    came, said = (
        100 * np.sqrt(predictions[column].to_numpy(float) * scale)
        for column in ("target", "prediction")
    )
    chart, at = _over_time(title, predictions, (0, ends(came, said)[1]))
    chart.unit("volatility (% a year)")
    chart.line(at, came, GREY, width=0.6, label="realised")
    chart.line(at, said, ORANGE, width=1.2, label="predicted")
    return chart.svg()


def pit_figure(histogram: Sequence[float], p_value: float) -> str:
    """Shares of outcomes by the probability that was stated of at most as much; even if true."""
    shares = 100 * np.asarray(histogram, dtype=np.float64)
    n = len(shares)
    title = f"Probability integral transform (uniform: p = {p_value:.2g})"
    chart = Chart(title, (0, 1), (0, ends(shares, np.array([200 / n]))[1]))
    chart.unit("share of outcomes (%)")
    chart.levels()
    chart.numbers("probability that was given to at most what came")
    edges = np.arange(n + 1) / n
    chart.line(edges.repeat(2)[1:-1], shares.repeat(2), BLUE, width=2, label="found")
    chart.line(np.array([0.0, 1.0]), np.full(2, 100 / n), GREY, dashed=True, label="if true")
    return chart.svg()


def fan_figure(
    times: pd.Series[pd.Timestamp], quantiles: Array, levels: Sequence[float], came: Array
) -> str:
    """The newest 250 rows: (n, levels) quantiles as lines, and the (n,) outcomes as points."""
    fan, found = quantiles[-_FAN_ROWS:], came[-_FAN_ROWS:]
    rows = pd.DataFrame({"event_time": times.iloc[-_FAN_ROWS:]})
    title = f"Stated quantiles ({', '.join(f'{level:g}' for level in levels)}) and what came"
    chart, at = _over_time(title, rows, ends(fan.ravel(), found))
    for column in fan.T:
        chart.line(at, column, BLUE)
    for when, value in zip(at, found, strict=True):
        chart.dot(when, value, ORANGE)
    return chart.svg()


def term_figure(target: TargetDefinition, rows: Sequence[TermRow]) -> str:
    """Value and interval over the horizons as SVG, in what people are shown."""
    factor = 100 if target.shown.percent else 1

    def shown(value: float, one: TermRow) -> float:
        return factor * target.shown.share(value, one.horizon, int(one.row["bars_a_year"]))

    across = np.array([float(one.horizon) for one in rows])
    said = np.array([shown(one.value, one) for one in rows])
    low, high = (
        np.array([shown(float(one.row[bound]) * one.moved, one) for one in rows])
        for bound in ("lower", "upper")
    )
    title = f"{target.wording.title.capitalize()} by horizon"
    chart = Chart(title, ends(across), ends(said, low, high))
    chart.unit(("% a year" if target.shown.annualised else "%") if factor == 100 else "")
    chart.levels()
    chart.numbers("bars ahead")
    for bound in (low, high):
        chart.line(across, bound, GREY, dashed=True)
    chart.line(across, said, BLUE, label="forecast")
    for one, value in zip(across, said, strict=True):
        chart.dot(one, value, BLUE)
    return chart.svg()


def strategy_figure(rows: pd.DataFrame, candidate: str) -> str:
    """What a strategy would have earned before and after costs, summed over time.

    Parameters
    ----------
    rows : DataFrame
        ``filled_at`` (UTC, sorted), ``gross`` and ``net`` of each bar, as shares of the capital.
    candidate : str
        Whose predictions were followed.
    """
    title = f"What following {candidate} would have earned"
    if rows.empty:
        return _nothing(title)
    before, after = (100 * np.cumsum(rows[c].to_numpy(float)) for c in ("gross", "net"))
    dated = rows.rename(columns={"filled_at": "event_time"})
    chart, at = _over_time(title, dated, ends(before, after, np.zeros(1), pad=0.1))
    chart.unit("% of the capital")
    chart.line(at[[0, -1]], np.zeros(2), GREY, dashed=True)
    chart.line(at, before, BLUE, width=0.8, label="before costs")
    chart.line(at, after, ORANGE, width=1.2, label="after costs")
    return chart.svg()


def _over_time(title: str, rows: pd.DataFrame, levels: tuple[float, float]) -> tuple[Chart, Array]:
    at = seconds(pd.DatetimeIndex(rows["event_time"]))
    chart = Chart(title, (at[0], max(at[-1], at[0] + 1)), levels)
    chart.levels()
    chart.dates()
    return chart, at


def _nothing(title: str) -> str:
    chart = Chart(title, (0, 1), (0, 1))
    chart.note(0.5, 0.5, "nothing to show yet")
    return chart.svg()
