"""Plots for MLflow and Dagster: small, readable without colour vision, dates on the axis.

Every function returns a PNG file of 800 by 350 pixels. No global state of Matplotlib is touched, so
threads may draw at once.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

BARS_A_YEAR = 252
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#6E6E6E"
"""Okabe and Ito's palette, which the common kinds of colour blindness keep apart."""

_SIZE = (8.0, 3.5)
_DPI = 100
_MOST_POINTS = 3000


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=_DPI)
    return target.getvalue()


def reliability_figure(bins: pd.DataFrame, called: str = "P(up)") -> bytes:
    """Predicted probability against the observed share of ups, or of what else comes or not.

    Parameters
    ----------
    bins : DataFrame
        What ``evaluation.metrics.reliability`` returns: ``n``, ``predicted``, ``observed``,
        ``lower`` and ``upper``. The number below each point is the bin's ``n``.
    called
        What the probability is called.
    """
    figure, axes = _canvas(f"Reliability of {called}")
    axes.set_xlabel(f"predicted {called}, mean of the bin")
    axes.set_ylabel("observed share")
    if bins.empty:
        return _nothing(figure, axes)
    x, y, low, high = (bins[c].to_numpy(float) for c in ("predicted", "observed", "lower", "upper"))
    margin = max(0.02, 0.05 * float(np.ptp(x)))
    ends = [x.min() - margin, x.max() + margin]
    axes.plot(ends, ends, color=GREY, linestyle="--", label="perfectly calibrated")
    axes.errorbar(
        x,
        y,
        yerr=np.maximum([y - low, high - y], 0),
        fmt="o",
        color=BLUE,
        capsize=3,
        label="observed, with interval",
    )
    for place, bottom, n in zip(x, low, bins["n"], strict=True):
        axes.annotate(
            f"{n:,}", (place, bottom), (0, -10), textcoords="offset points", ha="center", fontsize=7
        )
    axes.set_xlim(*ends)
    axes.margins(y=0.12)
    axes.legend(loc="upper left")
    return to_png(figure)


def cumulative_loss_figure(
    difference: pd.DataFrame, candidate: str, baseline: str = "the baseline", loss: str = "loss"
) -> bytes:
    """Baseline loss minus candidate loss, summed over time: it rises while the candidate wins.

    Parameters
    ----------
    difference : DataFrame
        What ``evaluation.metrics.cumulative_loss_difference`` returns: ``event_time`` (UTC) and
        ``advantage``.
    candidate, baseline, loss : str
        Their names, for the labels.
    """
    figure, axes = _canvas(f"{candidate} against {baseline}")
    axes.set_ylabel(f"{loss} saved, cumulative")
    if difference.empty:
        return _nothing(figure, axes)
    shown = difference.iloc[_thin(len(difference))]
    axes.plot(_dates(shown["event_time"]), shown["advantage"].to_numpy(float), color=BLUE)
    axes.axhline(0, color=GREY, linestyle="--", linewidth=1)
    axes.margins(y=0.15)
    note: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 8, "color": GREY}
    axes.text(0.01, 0.98, f"above zero: {candidate} is better", va="top", **note)
    axes.text(0.01, 0.02, f"below zero: {baseline} is better", va="bottom", **note)
    _date_axis(axes)
    return to_png(figure)


def importance_figure(importance: Mapping[str, float], top: int = 15) -> bytes:
    """The ``top`` most important features, the greatest on top, as shares of all importance."""
    figure, axes = _canvas("Feature importance", left=0.25)
    axes.set_xlabel("share of all importance (%)")
    sizes = {name: abs(value) for name, value in importance.items() if np.isfinite(value)}
    total = sum(sizes.values())
    if not total:
        return _nothing(figure, axes)
    ranked = sorted(sizes.items(), key=lambda item: item[1])[-top:]
    axes.barh([name for name, _ in ranked], [100 * size / total for _, size in ranked], color=BLUE)
    axes.tick_params(axis="y", labelsize=7)
    return to_png(figure)


def volatility_figure(predictions: pd.DataFrame, horizon: int | None = None) -> bytes:
    """Predicted and realised volatility.

    Parameters
    ----------
    predictions : DataFrame
        ``event_time`` (UTC, sorted), and ``prediction`` and ``target``: variances over the horizon.
    horizon : int, optional
        Bars of the horizon; with it volatility is a year's (252 bars), without it the horizon's.
    """
    figure, axes = _canvas("Predicted and realised volatility")
    axes.set_ylabel(f"volatility (% {'a year' if horizon else 'over the horizon'})")
    if predictions.empty:
        return _nothing(figure, axes)
    shown = predictions.iloc[_thin(len(predictions))]
    days = _dates(shown["event_time"])
    scale = BARS_A_YEAR / horizon if horizon else 1.0
    for column, colour, width, label in (
        ("target", GREY, 0.6, "realised"),
        ("prediction", ORANGE, 1.2, "predicted"),
    ):
        percent = 100 * np.sqrt(shown[column].to_numpy(float) * scale)
        axes.plot(days, percent, color=colour, linewidth=width, label=label)
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")
    _date_axis(axes)
    return to_png(figure)


def _canvas(title: str, left: float = 0.09) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI)
    # Matplotlib's own layouts draw everything twice to find these margins.
    figure.subplots_adjust(left=left, right=0.98, bottom=0.15, top=0.91)
    axes = figure.add_subplot()
    # Without its height given, all labels are laid out once more to find room for it.
    axes.set_title(title, fontsize=10, loc="left", y=1.0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _nothing(figure: Figure, axes: Axes) -> bytes:
    axes.text(0.5, 0.5, "nothing to show yet", transform=axes.transAxes, ha="center", color=GREY)
    return to_png(figure)


def _date_axis(axes: Axes) -> None:
    from matplotlib import dates

    locator = dates.AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel("event time (UTC)")


def _dates(times: pd.Series[Any]) -> Array:
    # Matplotlib reads instants without a zone; these are in UTC.
    return np.asarray(times.dt.tz_convert("UTC").dt.tz_localize(None))


def _thin(n: int) -> Array:
    """At most ``_MOST_POINTS`` positions, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, _MOST_POINTS)).astype(int))
