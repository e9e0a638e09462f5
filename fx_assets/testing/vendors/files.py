"""Bars, and the files in which vendors would export them."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.settings import Settings
from fx_assets.sources import Batch, fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets.specs.sources import shifted_zone

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PRICES = ["open", "high", "low", "close", "volume"]
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
Bars = pd.DataFrame


def feed_of(
    folder: Path,
    frequency: str = "1h",
    calendar: str = "24x7",
    path: str = "*",
    instrument: str = "BTCUSD",
    day_close: str | None = None,
    start: date = date(1999, 1, 4),
    **source: Any,
) -> FeedSpec:
    """A feed of the files in a folder."""
    return FeedSpec.model_validate(
        {
            "name": "feed",
            "calendar": calendar,
            "frequency": frequency,
            "day_close": day_close,
            "start": start,
            "source": {
                "kind": "files",
                "path": str(folder / path),
                "instrument": instrument,
                **source,
            },
        }
    )


def read(feed: FeedSpec, now: datetime = NOW) -> Batch:
    return fetch_bars(feed, Settings(), now)


def bars_of(feed: FeedSpec, first: date, count: int, seed: int = 0, gaps: int = 0) -> Bars:
    """Random bars of a feed's calendar; prices have five decimals, volumes are whole.

    ``event_time`` is UTC without a zone; ``gaps`` bars in the middle are missing.
    """
    market = feed.market
    days = max(4, count * market.bar // timedelta(days=1) * 2 + 4)
    due = market.closes(first, first + timedelta(days=days))[: count + gaps]
    rng = np.random.default_rng(seed)
    if gaps and count > 4:
        out = rng.choice(np.arange(2, len(due) - 2), size=min(gaps, len(due) - 4), replace=False)
        due = np.delete(due, out)
    close = np.round(1.2 * np.exp(0.001 * rng.standard_normal(len(due)).cumsum()), 5)
    open_ = np.concatenate([close[:1], close[:-1]])
    spread = rng.integers(0, 50, (2, len(due))) / 1e5
    return pd.DataFrame(
        {
            "event_time": due,
            "open": open_,
            "high": np.round(np.maximum(open_, close) + spread[0], 5),
            "low": np.round(np.minimum(open_, close) - spread[1], 5),
            "close": close,
            "volume": rng.integers(0, 5000, len(due)).astype(float),
        }
    )


def opens(bars: Bars, feed: FeedSpec) -> pd.Series:
    """When the bars open, in UTC without a zone."""
    opened: pd.Series = bars["event_time"] - feed.market.bar
    return opened


def local(utc: pd.Series, zone: str) -> pd.Series:
    """The clocks of a zone at these instants."""
    where, shift = shifted_zone(zone)
    shown: pd.Series = utc.dt.tz_localize("UTC").dt.tz_convert(where).dt.tz_localize(None) + shift
    return shown


def bar_days(bars: Bars, feed: FeedSpec) -> pd.Series:
    index = feed.market.day_index(pd.DatetimeIndex(bars["event_time"]).tz_localize("UTC"))
    return pd.Series(index)


def lines(
    *columns: pd.Series | list[str], header: str = "", delimiter: str = ",", end: str = "\n"
) -> str:
    """Columns of texts as lines."""
    rows = [delimiter.join(cells) for cells in zip(*columns, strict=True)]
    return end.join([header, *rows, ""] if header else [*rows, ""])


def prices(bars: Bars, names: list[str] = PRICES[:4]) -> list[list[str]]:
    return [[f"{value:.5f}" for value in bars[name]] for name in names]


def whole(values: pd.Series) -> list[str]:
    return [f"{value:.0f}" for value in values]


def shown(times: pd.Series, form: str) -> list[str]:
    return [f"{time:{form}}" for time in times]


def metatrader4(bars: Bars, feed: FeedSpec, zone: str) -> str:
    at = local(opens(bars, feed), zone)
    if feed.market.daily:
        at = local(bars["event_time"], zone) - timedelta(days=1)
    return lines(shown(at, "%Y.%m.%d"), shown(at, "%H:%M"), *prices(bars), whole(bars["volume"]))


def metatrader5(bars: Bars, feed: FeedSpec, zone: str) -> str:
    cells = [*prices(bars), whole(bars["volume"]), ["0"] * len(bars), ["3"] * len(bars)]
    names = "<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    if feed.market.daily:
        days = shown(local(bars["event_time"], zone) - timedelta(days=1), "%Y.%m.%d")
        return lines(days, *cells, header=f"<DATE>\t{names}", delimiter="\t", end="\r\n")
    at = local(opens(bars, feed), zone)
    return lines(
        shown(at, "%Y.%m.%d"),
        shown(at, "%H:%M:%S"),
        *cells,
        header=f"<DATE>\t<TIME>\t{names}",
        delimiter="\t",
        end="\r\n",
    )


def histdata(bars: Bars, feed: FeedSpec) -> str:
    at = opens(bars, feed) - timedelta(hours=5)
    cells = [*prices(bars), whole(bars["volume"])]
    return lines(shown(at, "%Y%m%d %H%M%S"), *cells, delimiter=";")


def dukascopy(bars: Bars, feed: FeedSpec, zone: str | None = None) -> str:
    cells = [*prices(bars), whole(bars["volume"])]
    at = opens(bars, feed)
    if zone is None:
        header = "Gmt time,Open,High,Low,Close,Volume"
        return lines(shown(at, "%d.%m.%Y %H:%M:%S.000"), *cells, header=header)
    aware = at.dt.tz_localize("UTC").dt.tz_convert(zone)
    return lines([f"{t:%d.%m.%Y %H:%M:%S.000 GMT%z}" for t in aware], *cells)


def binance(bars: Bars, feed: FeedSpec, unit: int) -> str:
    at = (opens(bars, feed).astype("datetime64[us]").astype(np.int64) // unit).tolist()
    ends = (bars["event_time"].astype("datetime64[us]").astype(np.int64) // unit - 1).tolist()
    rest = [["7.5"] * len(bars)] * 4
    cells = [*prices(bars), whole(bars["volume"]), list(map(str, ends)), *rest, ["0"] * len(bars)]
    return lines(list(map(str, at)), *cells)


def coingecko(bars: Bars) -> str:
    at = shown(bars["event_time"], "%Y-%m-%d %H:%M:%S UTC")
    caps = [f"{value * 1e6:.1f}" for value in bars["close"]]
    header = "snapped_at,price,market_cap,total_volume"
    return lines(at, *prices(bars, ["close"]), caps, whole(bars["volume"]), header=header)


def yahoo(bars: Bars, feed: FeedSpec) -> str:
    header = "Date,Open,High,Low,Close,Adj Close,Volume"
    days = shown(bar_days(bars, feed), "%Y-%m-%d")
    cells = prices(bars, ["open", "high", "low", "close", "close"])
    return lines(days, *cells, whole(bars["volume"]), header=header)


def yfinance(bars: Bars, feed: FeedSpec) -> str:
    names = ["close", "high", "low", "open"]
    days = shown(bar_days(bars, feed), "%Y-%m-%d")
    head = "Price,Close,High,Low,Open,Volume\nTicker" + ",EURUSD=X" * 5 + "\nDate,,,,,"
    return lines(days, *prices(bars, names), whole(bars["volume"]), header=head)


@dataclass(frozen=True)
class Dialect:
    """How a table of one's own is written."""

    date: str = "iso"
    stamp: str = "open"
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    scale: int = 1
    descending: bool = False
    end: str = "\n"
    encoding: str = "utf-8"
    extra: bool = False
    quoted: bool = False
    names: tuple[str, ...] = ("Time", "Open", "High", "Low", "Close", "Volume")
    settings: dict[str, Any] = field(default_factory=dict)


DATES: dict[str, tuple[Callable[[pd.Timestamp], str], dict[str, Any]]] = {
    "iso": (lambda t: f"{t:%Y-%m-%d %H:%M:%S}", {"timezone": "UTC"}),
    "iso_t_z": (lambda t: f"{t:%Y-%m-%dT%H:%M:%SZ}", {}),
    "offset": (lambda t: f"{t + timedelta(hours=2):%Y-%m-%d %H:%M:%S.000}+02:00", {}),
    "dots": (lambda t: f"{t:%d.%m.%Y %H:%M}", {"timezone": "UTC", "day_first": True}),
    "slashes": (lambda t: f"{t:%m/%d/%Y %H:%M}", {"timezone": "UTC", "day_first": False}),
    "twelve": (lambda t: f"{t:%m/%d/%Y %I:%M:%S %p}", {"timezone": "UTC", "day_first": False}),
    "compact": (lambda t: f"{t:%Y%m%d%H%M}", {"timezone": "UTC"}),
    "named": (lambda t: f"{t.day} {MONTHS[t.month - 1]} {t.year} {t:%H:%M}", {"timezone": "UTC"}),
    "strptime": (
        lambda t: f"{t:%d/%m/%y %H:%M}",
        {"timezone": "UTC", "date_format": "%d/%m/%y %H:%M"},
    ),
    "s": (lambda t: f"{int(t.timestamp())}", {}),
    "s_float": (lambda t: f"{int(t.timestamp())}.0", {}),
    "ms": (lambda t: f"{int(t.timestamp() * 1e3)}", {}),
    "us": (lambda t: f"{int(t.timestamp() * 1e6)}", {}),
    "ns": (lambda t: f"{int(t.timestamp())}000000000", {}),
}
"""How a UTC instant can be written, and what must be said about it."""


def generic(bars: Bars, feed: FeedSpec, dialect: Dialect) -> bytes:
    """A table of one's own."""
    at = bars["event_time"] if dialect.stamp == "close" else opens(bars, feed)
    form = DATES[dialect.date][0]

    def number(value: float, digits: int) -> str:
        text = f"{value:,.{digits}f}"
        text = text.replace(",", "\0").replace(".", dialect.decimal)
        return text.replace("\0", dialect.thousands)

    def quoted(cells: list[str]) -> list[str]:
        return [f'"{cell}"' for cell in cells] if dialect.quoted else cells

    digits = 5 if dialect.scale == 1 else 0
    cells = [[number(v * dialect.scale, digits) for v in bars[name]] for name in PRICES[:4]]
    columns = [[form(t) for t in at], *cells, [number(v, 0) for v in bars["volume"]]]
    if dialect.descending:
        columns = [column[::-1] for column in columns]
    header = dialect.delimiter.join(dialect.names)
    text = lines(*map(quoted, columns), header=header, delimiter=dialect.delimiter, end=dialect.end)
    if dialect.extra:
        text = f"https://www.vendor.example{dialect.end}{dialect.end}{text}{dialect.end}Total: 3"
    return text.encode(dialect.encoding)


def packed(name: str, content: bytes, how: str) -> tuple[str, bytes]:
    """The name and bytes of a file as people pass it on."""
    if how == "gz":
        return f"{name}.gz", gzip.compress(content)
    if how == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
            archive.writestr("README.txt", "Prices as is.")
        return f"{name}.zip", buffer.getvalue()
    return name, content


def same(batch: Batch, bars: Bars, names: list[str] = PRICES) -> None:
    """The batch has exactly these bars."""
    times = pd.DatetimeIndex(batch.bars["event_time"]).tz_convert(None).as_unit("us")
    expected = pd.DatetimeIndex(bars["event_time"]).as_unit("us")
    assert list(times) == list(expected)
    for name in names:
        np.testing.assert_array_equal(batch.bars[name].to_numpy(), bars[name].to_numpy())
