"""Kinds of bars as vendors have them, honest ones: around the ECB's fixings, or artificial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.calendars import DAY
from fx_assets.settings import Settings
from fx_assets.sources import fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.testing.worlds import ecb_bars

NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
PRICES = ["open", "high", "low", "close"]


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of bars.

    Parameters
    ----------
    feed
        A feed's settings without its name.
    decimals
        Of the vendor's prices.
    fx
        Whether it is EUR/USD around the real fixings; else artificial, and as wild as a coin where
        its source says so.
    """

    name: str
    feed: dict[str, Any]
    decimals: int
    fx: bool
    first: str
    last: str
    columns: tuple[str, ...] = ("open", "high", "low", "close", "volume")

    @property
    def spec(self) -> FeedSpec:
        return FeedSpec.model_validate({"name": "bench", **self.feed})

    @property
    def alone(self) -> FeedSpec:
        """The same of an instrument that the ECB does not fix."""
        source = {**self.feed["source"], "instrument": "XAUUSD"}
        return FeedSpec.model_validate({"name": "bench", **self.feed, "source": source})

    @property
    def a_day(self) -> int:
        """Bars of a day."""
        market = self.spec.market
        return DAY // market.bar


FILES = {"kind": "files", "path": "in/*.csv", "instrument": "EURUSD"}
COIN = {"kind": "simulated", "price": 30_000.0, "annual_volatility": 0.7, "instrument": "BTCUSD"}
KINDS = (
    Kind("daily fixing", {"source": FILES}, 4, True, "2014-01-01", "2024-12-31", ("close",)),
    Kind(
        "daily OHLC, FX",
        {"source": FILES, "calendar": "24x5", "start": "2014-01-01"},
        *(4, True, "2014-01-01", "2024-12-31"),
        ("open", "high", "low", "close"),
    ),
    Kind(
        "hourly OHLCV, FX",
        {"source": FILES, "calendar": "24x5", "frequency": "1h", "start": "2014-01-01"},
        *(5, True, "2022-01-03", "2024-06-28"),
    ),
    Kind(
        "minute OHLCV, FX",
        {"source": FILES, "calendar": "24x5", "frequency": "1min", "start": "2014-01-01"},
        *(5, True, "2024-03-04", "2024-04-19"),
    ),
    Kind(
        "daily price, cap and volume, coin",
        {"source": COIN, "calendar": "24x7", "start": "2019-01-01"},
        *(2, False, "2019-01-01", "2024-12-31"),
        ("close", "volume", "market_cap"),
    ),
    Kind(
        "hourly OHLCV, coin",
        {"source": COIN, "calendar": "24x7", "frequency": "1h", "start": "2023-01-01"},
        *(2, False, "2023-01-01", "2024-06-30"),
    ),
)


@cache
def honest(kind: Kind, seed: int) -> pd.DataFrame:
    """Honest bars of a kind, rounded as a vendor rounds them."""
    bars = _around_fixings(kind, seed) if kind.fx else _artificial(kind, seed)
    bars[PRICES] = bars[PRICES].round(kind.decimals)
    for name in ("open", "high", "low", "volume", "market_cap"):
        if name not in kind.columns:
            bars[name] = np.nan
    return bars[list(BAR_DTYPES)].astype(BAR_DTYPES)


def _artificial(kind: Kind, seed: int) -> pd.DataFrame:
    settings = kind.feed | {"source": {**kind.feed["source"], "seed": seed}}
    spec = FeedSpec.model_validate({"name": "bench", **settings})
    last = datetime.fromisoformat(kind.last).replace(tzinfo=UTC)
    return fetch_bars(spec, Settings(), last, None).bars


def _around_fixings(kind: Kind, seed: int) -> pd.DataFrame:
    """Bars of a path that goes through the ECB's fixings of EUR/USD at their instants."""
    market = kind.spec.market
    fixings = ecb_bars(first="2013-12-01")
    known = pd.DatetimeIndex(fixings["event_time"]).tz_convert(None).to_numpy("datetime64[us]")
    level = np.log(fixings["close"].to_numpy())
    first, last = (datetime.fromisoformat(text).date() for text in (kind.first, kind.last))
    closes = market.closes(first, last)
    rng = np.random.default_rng(seed)
    step = _sigma(market.bars_a_year)
    walk = np.cumsum(step * rng.standard_t(5, len(closes)) / np.sqrt(5 / 3))
    if kind.name == "daily fixing":
        x = level[np.searchsorted(known, closes)]
    elif market.daily:
        place = np.clip(np.searchsorted(known, closes), 1, len(level) - 1)
        x = level[place - 1] + (level[place] - level[place - 1]) / 3
        x += 0.3 * step * rng.standard_normal(len(closes))
    else:
        inside = (known >= closes[0]) & (known <= closes[-1])
        at = np.searchsorted(closes, known[inside], side="right") - 1
        x = walk + np.interp(np.arange(len(closes)), at, level[inside] - walk[at])
    opened = np.concatenate([x[:1], x[:-1]]) + 0.05 * step * rng.standard_normal(len(x))
    up, down = np.abs(rng.standard_normal((2, len(x)))) * step * 0.6
    hours = (closes - closes.astype("datetime64[D]")) / np.timedelta64(1, "h")
    season = np.exp(0.8 * np.cos(2 * np.pi * (hours - 15) / 24))
    times = pd.DatetimeIndex(closes).tz_localize("UTC").as_unit("us")
    return pd.DataFrame(
        {
            "event_time": times,
            "available_at": times,
            "open": np.exp(opened),
            "high": np.exp(np.maximum(opened, x) + up),
            "low": np.exp(np.minimum(opened, x) - down),
            "close": np.exp(x),
            "volume": np.round(1000 * season * np.exp(0.5 * rng.standard_normal(len(x)))),
            "market_cap": np.nan,
            "source": "files",
            "ingested_at": times,
            "payload": "p",
        }
    )


def _sigma(bars_a_year: int) -> float:
    return 0.08 / float(np.sqrt(bars_a_year))
