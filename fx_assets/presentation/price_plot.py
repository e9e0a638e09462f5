"""Closes over time in a picture."""

from __future__ import annotations

from typing import Any

import pandas as pd

from fx_assets.presentation.chart import BLUE, Chart, ends, seconds

HEIGHT = 300


def price_svg(times: pd.Series[Any], close: pd.Series[Any], instrument: str) -> str:
    """The closes of all bars, none of their extremes left out, with axes and units.

    Parameters
    ----------
    times : Series
        UTC, sorted, as many as ``close``; at least one.
    close : Series
        In quote currency per unit of base.
    """
    values, at = close.to_numpy(float), seconds(pd.DatetimeIndex(times))
    last = at[-1] if at[-1] > at[0] else at[0] + 1
    chart = Chart(instrument, (at[0], last), ends(values), height=HEIGHT)
    chart.unit(f"{instrument[3:]} per {instrument[:3]}" if len(instrument) == 6 else "price")
    chart.levels()
    chart.dates()
    chart.line(at, values, BLUE)
    known = pd.Series(values, at).dropna()
    if len(known):
        chart.dot(known.index[-1], known.iloc[-1], BLUE)
    return chart.svg()
