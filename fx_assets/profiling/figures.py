"""The panels of a feed's profile, drawn by Matplotlib from all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fx_assets.presentation.chart import BLUE, GREY, ORANGE, as_png
from fx_assets.profiling.profile import BASIS_POINT, FeedProfile, autocorrelation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LAGS = 40
_POINTS = 3000
_BINS = 80
_SIZE = (12.0, 9.5)


def panels(profile: FeedProfile, bars_a_year: int) -> bytes:
    """Price, volatility, distribution, autocorrelation, seasons and missing bars as one PNG.

    Parameters
    ----------
    bars_a_year
        Annualises volatility.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=100)
    grid = figure.subplots(3, 2)
    figure.subplots_adjust(0.06, 0.05, 0.985, 0.96, wspace=0.16, hspace=0.42)
    draw = (_price, _volatility, _distribution, _memory, _seasons, _missing)
    for axes, one in zip(grid.flat, draw, strict=True):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        one(axes, profile, bars_a_year)
    return as_png(figure)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=10, loc="left")


def _days(times: pd.Series[Any]) -> np.ndarray[Any, Any]:
    return np.asarray(times.dt.tz_localize(None))


def _price(axes: Axes, profile: FeedProfile, _: int) -> None:
    series = profile.series
    shown = np.unique(np.linspace(0, len(series) - 1, _POINTS).astype(int))
    axes.plot(
        _days(series["event_time"].iloc[shown]), series["close"].iloc[shown], color=BLUE, lw=0.9
    )
    _title(axes, f"{profile.instrument}, close")


def _volatility(axes: Axes, profile: FeedProfile, bars_a_year: int) -> None:
    """By calendar blocks of equal numbers of bars, so that no window overlaps another."""
    known = profile.series[["event_time", "return_bp"]].dropna()
    size = max(20, len(known) // 250)
    block = np.arange(len(known)) // size
    grouped = known.groupby(block)
    mean_square = grouped["return_bp"].apply(lambda x: (x**2).mean())
    annual = 100 * BASIS_POINT * np.sqrt(mean_square * bars_a_year)
    axes.step(_days(grouped["event_time"].last()), annual, where="pre", color=BLUE, lw=0.9)
    axes.set_ylim(bottom=0)
    _title(axes, f"Annualised volatility, %, of {size} bars each")


def _distribution(axes: Axes, profile: FeedProfile, _: int) -> None:
    returns = profile.series["return_bp"].dropna().to_numpy(float)
    std = returns.std()
    if not std > 0:
        _title(axes, "Log returns do not vary")
        return
    inside = np.clip(returns, -6 * std, 6 * std)
    density, edges = np.histogram(inside, _BINS, density=True)
    axes.stairs(density, edges, fill=True, color=BLUE, alpha=0.7)
    x = np.linspace(edges[0], edges[-1], 300)
    normal = np.exp(-0.5 * ((x - returns.mean()) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    axes.plot(x, normal, color=ORANGE, lw=1.2, label="normal with the same variance")
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(np.min(density[density > 0]), normal.max() * 1e-5) * 0.7)
    axes.legend(fontsize=8, frameon=False)
    _title(axes, "Log returns, basis points (log density; beyond 6 std in the last bin)")


def _memory(axes: Axes, profile: FeedProfile, _: int) -> None:
    returns = profile.series["return_bp"].to_numpy(float)
    lags = np.arange(1, min(MOST_LAGS, len(returns) // 4) + 1)
    for values, colour, name in (
        (returns, BLUE, "returns"),
        (np.abs(returns), ORANGE, "absolute returns"),
    ):
        axes.plot(
            lags,
            [autocorrelation(values, int(lag)) for lag in lags],
            ".-",
            color=colour,
            label=name,
            lw=1,
        )
    band = 1.96 / np.sqrt(max(1, np.isfinite(returns).sum()))
    axes.axhspan(-band, band, color=GREY, alpha=0.2)
    axes.legend(fontsize=8, frameon=False)
    _title(axes, "Autocorrelation by lag in bars (grey: 95 % band of no correlation)")


def _seasons(axes: Axes, profile: FeedProfile, _: int) -> None:
    intraday = profile.frequency != "1d"
    times = profile.series["event_time"] - pd.Timedelta(1, "us")
    key = times.dt.hour if intraday else times.dt.dayofweek
    size = profile.series["return_bp"].abs().groupby(key).mean()
    places = size.index.to_numpy(int)
    labels = [str(h) for h in places] if intraday else [_WEEKDAYS[d] for d in places]
    axes.bar(places, size.to_numpy(float), color=BLUE, alpha=0.8)
    axes.set_xticks(places, labels, fontsize=8)
    what = "hour (UTC)" if intraday else "weekday (UTC)"
    _title(axes, f"Mean absolute return by {what}, basis points")


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _missing(axes: Axes, profile: FeedProfile, _: int) -> None:
    from matplotlib.ticker import MaxNLocator

    years = profile.by_year
    places = years["year"].to_numpy(int)
    axes.bar(places - 0.2, years["missing"], 0.4, color=ORANGE, label="missing bars")
    axes.bar(places + 0.2, years["revised"], 0.4, color=BLUE, label="revised bars")
    axes.set_ylim(0, max(1, 1.15 * years[["missing", "revised"]].to_numpy().max()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8, frameon=False)
    _title(axes, "Missing and revised bars by year")
