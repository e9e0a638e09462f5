"""Bars with prices, volume and market capitalisation, at any frequency, on any calendar."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar, calendar

START = date(2021, 3, 1)


def market(frequency: str = "1h", name: str = "24x7") -> Calendar:
    """A calendar whose bars are known when they close."""
    return calendar(f"{name}|{frequency}||0")


def usual_calendar(frequency: str) -> str:
    """What suites try bars of a length on: days of currencies, or shorter bars of a coin."""
    return "24x5" if frequency == "1d" else "24x7"


@cache
def _closes(market: Calendar, n: int) -> np.ndarray:
    days = timedelta(days=7 + 2 * n * market.bar // timedelta(days=1))
    return market.closes(START, START + days)[:n]


def bars_of_market(
    market: Calendar, n: int, seed: int = 0, vol: float = 5e-4, start: float = 100.0
) -> pd.DataFrame:
    """A random walk with persistent volatility and small gaps, 12 steps a bar."""
    rng = np.random.default_rng(seed)
    scale = vol * np.exp(np.cumsum(0.1 * rng.standard_normal(n)) / np.sqrt(1 + np.arange(n)))
    steps = rng.standard_normal((n, 12)) * scale[:, None] / np.sqrt(12)
    path = np.log(start) + np.cumsum(steps.ravel()).reshape(n, 12)
    close = np.exp(path[:, -1])
    gaps = 0.1 * scale * rng.standard_normal(n)
    opens = np.exp(np.concatenate([[np.log(start)], path[:-1, -1]])[:n] + gaps)
    supply = 19e6 * np.exp(np.cumsum(1e-6 * rng.random(n)))
    times = pd.DatetimeIndex(_closes(market, n)).tz_localize("UTC")
    return pd.DataFrame(
        {
            "event_time": times,
            "available_at": times,
            "open": opens,
            "high": np.maximum(np.exp(path.max(axis=1)), opens),
            "low": np.minimum(np.exp(path.min(axis=1)), opens),
            "close": close,
            "volume": rng.lognormal(3, 1, n) * scale / vol,
            "market_cap": close * supply,
        }
    )
