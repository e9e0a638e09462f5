"""Feeds of each vendor, and bars that the local vendor server serves for them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors.apis import VendorServer

NOW = datetime(2025, 1, 15, 12, 34, 20, tzinfo=UTC)
"""A Wednesday."""
END = date(2025, 1, 17)
PRICES = ["open", "high", "low", "close", "volume", "market_cap"]


def feed(kind: str, **changes: Any) -> FeedSpec:
    """A feed of a vendor's usual instrument."""
    source = {
        "twelve_data": {"symbol": "EUR/USD"},
        "coingecko": {"coin": "bitcoin", "instrument": "BTCUSD"},
        "cryptocompare": {"pair": "BTC-USD"},
        "frankfurter": {"quote": "USD"},
    }[kind]
    values: dict[str, Any] = {
        "name": f"{kind}_feed",
        "source": {"kind": kind} | source,
        "calendar": {"twelve_data": "24x5", "frankfurter": "target"}.get(kind, "24x7"),
        "start": "2024-12-02",
    }
    return FeedSpec.model_validate(values | changes)


def bars_of(spec: FeedSpec, first: date, last: date = END, seed: int = 0) -> pd.DataFrame:
    """A random walk of bars on the feed's calendar."""
    times = spec.market.closes(first, last)
    rng = np.random.default_rng(seed)
    close = 1.1 * np.exp(np.cumsum(rng.normal(0, 0.005, len(times))))
    opened = np.concatenate([[1.1], close[:-1]])
    return pd.DataFrame(
        {
            "event_time": pd.DatetimeIndex(times).tz_localize("UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": rng.uniform(1, 9, len(times)),
            "market_cap": close * 1e9,
        }
    )


def usual_server(**changes: Any) -> VendorServer:
    """Every vendor's usual instrument, daily."""
    first = date(2024, 10, 1)
    bars = {
        "EUR/USD": bars_of(feed("twelve_data"), first),
        "bitcoin": bars_of(feed("coingecko"), first),
        "BTC-USD": bars_of(feed("cryptocompare"), first),
        "USD": bars_of(feed("frankfurter"), first),
    }
    return VendorServer(bars, **({"now": NOW} | changes))


def served(frame: pd.DataFrame, after: datetime, until: datetime = NOW) -> pd.DataFrame:
    """The bars that close in a span."""
    times = frame["event_time"]
    inside = (times > after) & (times <= until)
    return frame[inside].reset_index(drop=True)


def assert_same(bars: pd.DataFrame, expected: pd.DataFrame, columns: list[str]) -> None:
    """The bars are exactly the expected ones, to the last bit, and have nothing else."""
    assert list(bars["event_time"]) == list(expected["event_time"])
    for name in PRICES:
        if name in columns:
            assert (bars[name].to_numpy() == expected[name].to_numpy()).all(), name
        else:
            assert bars[name].isna().all(), name
