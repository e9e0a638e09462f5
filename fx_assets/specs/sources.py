"""Where a feed's bars may come from: one model a provider, told apart by ``kind``."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    PositiveFloat,
    SerializeAsAny,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fx_assets.calendars import FREQUENCIES, Frequency
from fx_assets.doors import SOURCES
from fx_assets.settings import Settings
from fx_assets.specs.base import Currency, Spec

Instrument = Annotated[
    str, Field(pattern=r"^[A-Z0-9]{3,20}$", description="Upper case and digits, such as BTCUSD.")
]


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"no time zone is called {value!r}; use an IANA name such as Europe/Athens or UTC"
        ) from None
    return value


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


FIXING = frozenset({"close"})
OHLCV = frozenset({"open", "high", "low", "close", "volume"})
PRICE_CAP_VOLUME = frozenset({"close", "volume", "market_cap"})


class SourceSpec(Spec):
    """What every source states: what its bars have, and which of its settings decide their meaning.

    A source has ``kind`` and ``instrument``, as fields or properties.
    """

    provider: ClassVar[str] = ""
    """``module:function`` that fetches its bars; plug-ins have ``bars``."""
    bar_columns: ClassVar[frozenset[str] | None] = OHLCV
    """The prices and volumes that its bars have; ``None`` where only what is read tells."""
    frequencies: ClassVar[tuple[Frequency, ...]] = FREQUENCIES
    """The frequencies that it has."""
    publication_delay: ClassVar[float] = 0
    """Minutes from a bar's close until the source shows it."""
    fixing: ClassVar[bool] = False
    """Whether it has fixings of TARGET days."""
    whereabouts: ClassVar[frozenset[str]] = frozenset()
    """Settings that say where bars lie or what may stand in for them, not what they mean."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Environment variables whose values no message and no table may show."""
    vendor: ClassVar[str] = ""
    """``module:function`` that stands in for its vendor; plug-ins have ``tryout``."""
    tried_on: ClassVar[str] = ""
    """The calendar that ``fx-assets prove`` tries it on; unset means ``target`` for fixings, and
    else ``24x5`` for days and ``24x7`` for shorter bars."""
    history: ClassVar[timedelta | None] = None
    """How far back its vendor goes; unset means as far as is asked for."""

    if TYPE_CHECKING:

        @property
        def kind(self) -> str:
            """Its name."""

        @property
        def instrument(self) -> str:
            """What its bars are the prices of."""

    def fetch(
        self, feed: Any, settings: Settings, now: datetime, cache_dir: Path | None, wanted: Any
    ) -> Any:
        """A batch with the bars of a feed that are wanted; see ``fx_assets.sources.fetch_bars``.

        Raises
        ------
        SourceError
            They cannot be had.
        """
        asked = _named("fx_assets.sources:Ask")(feed, settings, now, cache_dir, wanted)
        return _named(self.provider)(self, asked)

    @classmethod
    def tryout(cls, truth: Any, folder: Path) -> Any:
        """Stand in for the vendor with given bars; see ``fx_assets.sources.SourcePlugin``."""
        return _named(cls.vendor)(truth, folder)

    @property
    def reading(self) -> dict[str, str]:
        """The settings that decide what a bar means, where they differ from the defaults."""
        told = self.model_dump(mode="json", exclude=set(self.whereabouts), exclude_defaults=True)
        return {name: _told(value) for name, value in told.items()}


def _named(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in sorted(value.items()))
    return f"{value:g}" if isinstance(value, float) else str(value)


class FixingSource(SourceSpec):
    """Fixings of TARGET days; a bar is the price of one unit of ``base`` in ``quote``."""

    bar_columns: ClassVar[frozenset[str] | None] = FIXING
    frequencies: ClassVar[tuple[Frequency, ...]] = ("1d",)
    fixing: ClassVar[bool] = True
    kind: str
    base: Currency = "EUR"
    quote: Currency

    @model_validator(mode="after")
    def _two_currencies(self) -> Self:
        if self.base == self.quote:
            raise ValueError(f"base and quote are both {self.base}; name two currencies")
        return self

    @property
    def instrument(self) -> str:
        return self.base + self.quote


class EcbSource(FixingSource):
    """Euro foreign exchange reference rates of the European Central Bank.

    The bar is the price of one unit of ``base`` in ``quote``. Where neither is the euro it is the
    cross of two euro rates of the same fixing.
    """

    provider: ClassVar[str] = "fx_assets.sources.ecb:fetch"
    whereabouts: ClassVar[frozenset[str]] = frozenset({"fallback"})
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:ecb"
    kind: Literal["ecb"]
    fallback: bool = True
    """Whether the last good download or the packaged snapshot may stand in for the live files."""


class FrankfurterSource(FixingSource):
    """The ECB's reference rates as the Frankfurter API serves them; needs no key."""

    provider: ClassVar[str] = "fx_assets.sources.frankfurter:fetch"
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:frankfurter"
    kind: Literal["frankfurter"]


class TwelveDataSource(SourceSpec):
    """Bars from Twelve Data; needs the key in ``FX_ASSETS_TWELVE_DATA_KEY``."""

    provider: ClassVar[str] = "fx_assets.sources.twelve_data:fetch"
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:twelve_data"
    secrets: ClassVar[tuple[str, ...]] = ("FX_ASSETS_TWELVE_DATA_KEY",)
    kind: Literal["twelve_data"]
    symbol: str = Field(pattern=r"^[A-Z0-9.:]+(/[A-Z0-9]+)?$", description="Such as EUR/USD.")

    @property
    def instrument(self) -> str:
        return _letters(self.symbol)


class CoinGeckoSource(SourceSpec):
    """Price, market capitalisation and volume of a coin from CoinGecko.

    The last completed UTC day is available 35 minutes after midnight (API documentation of
    ``/coins/{id}/market_chart``). The free tier reaches back 365 days. A key, where there is one,
    is in ``FX_ASSETS_COINGECKO_KEY``.
    """

    provider: ClassVar[str] = "fx_assets.sources.coingecko:fetch"
    bar_columns: ClassVar[frozenset[str] | None] = PRICE_CAP_VOLUME
    frequencies: ClassVar[tuple[Frequency, ...]] = ("1h", "1d")
    publication_delay: ClassVar[float] = 35
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:coingecko"
    secrets: ClassVar[tuple[str, ...]] = ("FX_ASSETS_COINGECKO_KEY",)
    tried_on: ClassVar[str] = "24x7"
    history: ClassVar[timedelta | None] = timedelta(days=363)
    kind: Literal["coingecko"]
    coin: str = Field(pattern=r"^[a-z0-9-]+$", description="CoinGecko's id, such as bitcoin.")
    currency: str = Field(default="usd", pattern=r"^[a-z]{3,5}$")
    instrument: Instrument


class CryptoCompareSource(SourceSpec):
    """OHLCV bars from CryptoCompare, which is CoinDesk's data API now.

    A key, where there is one, is in ``FX_ASSETS_CRYPTOCOMPARE_KEY``.
    """

    provider: ClassVar[str] = "fx_assets.sources.cryptocompare:fetch"
    frequencies: ClassVar[tuple[Frequency, ...]] = ("1min", "1h", "1d")
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:cryptocompare"
    secrets: ClassVar[tuple[str, ...]] = ("FX_ASSETS_CRYPTOCOMPARE_KEY",)
    tried_on: ClassVar[str] = "24x7"
    kind: Literal["cryptocompare"]
    pair: str = Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$", description="Such as BTC-USD.")
    market: str = Field(default="cadli", pattern=r"^[a-z0-9_]+$")
    """CoinDesk's index or exchange."""

    @property
    def instrument(self) -> str:
        return _letters(self.pair)


class CcxtSource(SourceSpec):
    """OHLCV candles of an exchange through ccxt; public candles need no key."""

    provider: ClassVar[str] = "fx_assets.sources.ccxt:fetch"
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:ccxt"
    tried_on: ClassVar[str] = "24x7"
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

    provider: ClassVar[str] = "fx_assets.sources.files:fetch"
    bar_columns: ClassVar[frozenset[str] | None] = None
    whereabouts: ClassVar[frozenset[str]] = frozenset({"path"})
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:files"
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

    provider: ClassVar[str] = "fx_assets.sources.simulated:fetch"
    bar_columns: ClassVar[frozenset[str] | None] = OHLCV | {"market_cap"}
    vendor: ClassVar[str] = "fx_assets.testing.vendors.tryouts:simulated"
    kind: Literal["simulated"]
    seed: int = 0
    instrument: Instrument = "SIMULATED"
    price: PositiveFloat = 100.0
    """The first open."""
    annual_volatility: PositiveFloat = 0.1
    """Standard deviation of a year's log return."""


def source_class(kind: object) -> type[SourceSpec] | None:
    """The class of a kind of source, from whoever offers it; ``None`` where nobody does."""
    return SOURCES[kind] if isinstance(kind, str) and kind in SOURCES else None


def _through_the_door(value: Any) -> SourceSpec:
    if isinstance(value, SourceSpec):
        return value
    kind = value.get("kind") if isinstance(value, dict) else None
    found = source_class(kind)
    if found is not None:
        return found.model_validate(value)
    if not isinstance(value, dict):
        raise ValueError("a source is its kind and its settings, such as {kind: ecb, quote: USD}")
    able = ", ".join(map(repr, SOURCES))
    said = f"no source {kind!r}" if "kind" in value else "a source states its kind"
    raise ValueError(f"{said}; choose one of {able or SOURCES.choices}")


class _OneOfSources:
    """Lets editors and ``dg check`` know the settings of each."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds = [SOURCES[name] for name in SOURCES]
        told = [k.__get_pydantic_json_schema__(k.__pydantic_core_schema__, handler) for k in kinds]
        return {"anyOf": told}


Source = Annotated[SerializeAsAny[SourceSpec], PlainValidator(_through_the_door), _OneOfSources]
"""A source that came in through the door, ours as anybody's, told apart by ``kind``."""


def columns_of(source: SourceSpec) -> frozenset[str] | None:
    """The prices and volumes that a source's bars have; ``None`` where only its files tell."""
    if isinstance(source, FilesSource) and source.format == "coingecko":
        return PRICE_CAP_VOLUME
    return source.bar_columns


def _letters(symbol: str) -> str:
    return "".join(c for c in symbol if c.isalnum())
