"""How ``fx-assets prove`` tries each source of ours: somebody stands in for its vendor.

Each function serves the bars of ``truth`` until the end of its block and says how to read them;
the last bar is unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from fx_assets.sources import Tryout
from fx_assets.sources.ecb import forget
from fx_assets.testing.vendors.answers import as_json
from fx_assets.testing.vendors.apis import KEYS, VendorServer
from fx_assets.testing.vendors.ecb_server import ok, running, status, zipped
from fx_assets.testing.vendors.exchanges import Exchange
from fx_assets.testing.vendors.exchanges import running as exchange_running

PRICES = ["open", "high", "low", "close", "volume"]


def moment_within_the_last_bar(truth: pd.DataFrame) -> datetime:
    """When it is, for everybody who takes part."""
    before, last = truth["event_time"].iloc[-2:]
    moment: datetime = (before + (last - before) / 2).to_pydatetime()
    return moment


@contextmanager
def ecb(truth: pd.DataFrame, folder: Path) -> Iterator[Tryout]:
    """The ECB's history and daily file."""
    days = truth["event_time"].dt.strftime("%Y-%m-%d")
    table = pd.DataFrame({"Date": days, "USD": truth["close"].map(repr)})[::-1]
    forget()
    with running() as server:
        server.script("/history.zip", ok(zipped(table.to_csv(index=False))))

        def fail() -> None:
            forget()
            server.script("/history.zip", status(500))

        urls = {"HISTORY": "/history.zip", "DAILY": "/daily.xml"}
        addresses = {f"FX_ASSETS_ECB_{name}_URL": server.url + path for name, path in urls.items()}
        yield Tryout({"quote": "USD", "fallback": False}, addresses, fail)
    forget()


def frankfurter(truth: pd.DataFrame, folder: Path) -> AbstractContextManager[Tryout]:
    """Frankfurter's API."""
    return _vendor("frankfurter", "USD", truth, {"quote": "USD"})


def twelve_data(truth: pd.DataFrame, folder: Path) -> AbstractContextManager[Tryout]:
    """Twelve Data's API, of a share: currencies have no volume there."""
    return _vendor("twelve_data", "AAPL", truth, {"symbol": "AAPL"})


def coingecko(truth: pd.DataFrame, folder: Path) -> AbstractContextManager[Tryout]:
    """CoinGecko's public API."""
    settings = {"coin": "bitcoin", "instrument": "BTCUSD"}
    return _vendor("coingecko", "bitcoin", truth, settings)


def cryptocompare(truth: pd.DataFrame, folder: Path) -> AbstractContextManager[Tryout]:
    """CoinDesk's data API."""
    return _vendor("cryptocompare", "BTC-USD", truth, {"pair": "BTC-USD"})


@contextmanager
def _vendor(
    kind: str, symbol: str, truth: pd.DataFrame, settings: dict[str, Any]
) -> Iterator[Tryout]:
    with VendorServer({symbol: truth}, moment_within_the_last_bar(truth)) as server:

        def fail() -> None:
            echo = as_json({"message": f"not with {KEYS.get(kind, 'this')}"}, 400)
            server.fault(kind, *[echo] * 20)

        yield Tryout(settings, server.env, fail)


@contextmanager
def ccxt(truth: pd.DataFrame, folder: Path) -> Iterator[Tryout]:
    """Binance, as ccxt asks it."""
    with exchange_running(_Given.of(truth)) as exchange:

        def fail() -> None:
            exchange.faults += [as_json({"code": -1000, "msg": "Unknown error."}, 400)] * 20

        settings = {"exchange": "binance", "symbol": "BTC/USDT"}
        yield Tryout(settings, {"FX_ASSETS_CCXT_URL": exchange.url}, fail)


@dataclass
class _Given(Exchange):
    """An exchange whose candles are given, by the second in which they close."""

    candles: dict[int, tuple[float, ...]] | None = None

    @classmethod
    def of(cls, truth: pd.DataFrame) -> _Given:
        closes = [int(time.timestamp()) for time in truth["event_time"]]
        rows = truth[PRICES].itertuples(index=False, name=None)
        now = int(moment_within_the_last_bar(truth).timestamp())
        first = closes[0] - (closes[1] - closes[0])
        return cls(now=now, listed=first, candles=dict(zip(closes, rows, strict=True)))

    def candle(self, opened: int, step: int) -> tuple[float, float, float, float, float]:
        o, h, low, c, v = (self.candles or {})[opened + step]
        return (o, h, low, c, v) if opened + step <= self.now else (o, h * 2, low, h * 2, v)


@contextmanager
def files(truth: pd.DataFrame, folder: Path) -> Iterator[Tryout]:
    """A table of one's own."""
    file = folder / "bars.csv"
    times = truth["event_time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    truth[PRICES].assign(time=times).to_csv(file, index=False)

    def fail() -> None:
        file.write_text("<html>Sign in</html>")

    yield Tryout({"path": str(file), "instrument": "PROVED", "stamp": "close"}, fail=fail)


@contextmanager
def simulated(truth: pd.DataFrame, folder: Path) -> Iterator[Tryout]:
    """Nobody: what it makes does not depend on ``truth``."""
    yield Tryout({"seed": 3})
