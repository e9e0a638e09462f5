"""What every source returns, and how it builds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from fx_assets.calendars import Calendar, Frequency
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES

UTC_DTYPE = BAR_DTYPES["event_time"]


class Provenance(BaseModel):
    """Where a batch came from."""

    model_config = ConfigDict(frozen=True)

    provider: str
    """Which of the source's ways answered, such as ``ecb-live`` or ``ecb-snapshot``."""
    url: str
    """Address or path that was read, without credentials or query."""
    sha256: str
    """Hash of the payload."""
    last_date: date
    """Newest day in the payload."""
    fetched_at: datetime
    """When the payload was downloaded (UTC); for a snapshot, when it was read."""
    fallback_reason: str | None = None
    """Why the live source was not used; ``None`` when it was."""
    etag: str | None = None
    not_modified: bool = False
    """Whether the provider said that nothing changed since the last download."""
    notes: str = ""
    """What else a person should know, such as that a currency has ended."""


@dataclass(frozen=True)
class ParsedBars:
    """What a payload says about one instrument; every row of the payload is counted once.

    Parameters
    ----------
    bars
        Frame of ``BAR_DTYPES``, sorted by ``event_time``, unique.
    rejected
        Frame of ``REJECTED_DTYPES``, one row for each payload row that is not a usable bar.
    not_fixed
        Rows on which the provider states that there is no price.
    repeated
        Rows that repeat another one exactly.
    outside
        Rows before the start of the feed.
    not_yet_known
        Rows that close after a clock that was set back; see ``FX_ASSETS_NOW``.
    notes
        What else a person should know.
    """

    bars: pd.DataFrame
    rejected: pd.DataFrame
    not_fixed: int = 0
    repeated: int = 0
    outside: int = 0
    not_yet_known: int = 0
    notes: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which bars a run asks for.

    Parameters
    ----------
    spans
        Pairs ``(after, until)`` of UTC instants, oldest first: bars with
        ``after < event_time <= until``. The last one is what is new, the others are gaps. A
        provider may return more than was asked for.
    """

    spans: tuple[tuple[datetime, datetime], ...]

    @property
    def first(self) -> datetime:
        """Where the oldest span begins."""
        return self.spans[0][0]

    @property
    def last(self) -> datetime:
        """Where the newest span ends."""
        return self.spans[-1][1]

    def covers(self, times: pd.Series[pd.Timestamp]) -> pd.Series[bool]:
        """Which event times lie in one of the spans."""
        inside = pd.Series(False, index=times.index)
        for after, until in self.spans:
            inside |= (times > after) & (times <= until)
        return inside


@dataclass(frozen=True)
class ReadFile:
    """A file that bars came from: its path or address, the hash of it, and its unpacked size."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Batch:
    """One fetch of one feed: bars, the rows that could not become bars, and where they came from.

    Frames as in :class:`ParsedBars`. ``unreached`` are the spans, as in :class:`Wanted`, that lie
    before the history which the provider gives; a failover may have them. ``files`` are those that
    were read, of a provider that reads files.
    """

    bars: pd.DataFrame
    rejected: pd.DataFrame
    provenance: Provenance
    unreached: tuple[tuple[datetime, datetime], ...] = ()
    files: tuple[ReadFile, ...] = ()


@dataclass(frozen=True)
class Ask:
    """What a run asks a source for.

    Parameters
    ----------
    feed
        The feed as it is declared.
    now
        The clock's time (UTC).
    wanted
        Which bars; more may be returned.
    cache_folder
        Where payloads may be kept, or ``None``.
    """

    feed: FeedSpec
    settings: Settings
    now: datetime
    cache_folder: Path | None
    wanted: Wanted

    @property
    def market(self) -> Calendar:
        """The feed's calendar."""
        return self.feed.market

    @property
    def frequency(self) -> Frequency:
        """The length of its bars."""
        return self.feed.frequency

    def batch(
        self,
        bars: pd.DataFrame,
        *,
        provider: str,
        url: str,
        sha256: str,
        notes: str = "",
        rejected: pd.DataFrame | None = None,
    ) -> Batch:
        """Bars with where they came from, whose newest day is that of the newest of them."""
        none = rejected_rows([], source=provider, ingested_at=self.now)
        newest = bars["event_time"].max() if len(bars) else self.wanted.first
        provenance = Provenance(
            provider=provider,
            url=url,
            sha256=sha256,
            last_date=self.market.bar_day(newest),
            fetched_at=self.now,
            notes=notes,
        )
        return Batch(bars, none if rejected is None else rejected, provenance)


@dataclass(frozen=True)
class CloseTimes:
    """Event and publication times of many days, computed once for a payload."""

    calendar: Calendar
    _known: dict[date, tuple[datetime, datetime]] = field(default_factory=dict)

    def frame(self, days: list[date]) -> pd.DataFrame:
        """``event_time`` and ``available_at`` (UTC, microseconds) of each day."""
        known = self._known
        for day in days:
            if day not in known:
                known[day] = (self.calendar.event_time(day), self.calendar.available_at(day))
        pairs = [known[day] for day in days]
        return pd.DataFrame(
            {
                "event_time": pd.Series([p[0] for p in pairs], dtype=UTC_DTYPE),
                "available_at": pd.Series([p[1] for p in pairs], dtype=UTC_DTYPE),
            }
        )


def fixing_bars(
    times: pd.DataFrame,
    close: np.ndarray,
    *,
    source: str,
    payload: np.ndarray,
    ingested_at: datetime,
) -> pd.DataFrame:
    """Bars that have only a close, sorted by ``event_time``.

    Parameters
    ----------
    times
        ``event_time`` and ``available_at``, as :meth:`CloseTimes.frame` returns them.
    close, payload
        The closes and the hashes of the payloads they come from, one for each row of ``times``.
    """
    bars = pd.DataFrame(
        {
            **{name: times[name] for name in ("event_time", "available_at")},
            "close": close,
            "source": source,
            "ingested_at": pd.Series(ingested_at, index=times.index, dtype=UTC_DTYPE),
            "payload": payload,
        }
    ).reindex(columns=list(BAR_DTYPES))
    return bars.astype(BAR_DTYPES).sort_values("event_time", ignore_index=True)


def price_bars(
    prices: pd.DataFrame,
    market: Calendar,
    *,
    source: str,
    payload: str | np.ndarray,
    now: datetime,
) -> tuple[pd.DataFrame, int]:
    """Bars of a provider's prices, without those that the clock says are unfinished.

    Parameters
    ----------
    prices
        ``event_time``, when each bar closes (UTC, any unit), and any of open, high, low, close,
        volume and market_cap, which may be texts.
    market
        Says when each bar becomes known.
    source
        The provider, as each row names it.
    payload
        Hash of the payload, or one for each row.
    now
        The clock's time (UTC).

    Returns
    -------
    tuple
        A frame of ``BAR_DTYPES`` sorted by ``event_time``, duplicates kept for the gate to see,
        and how many bars close after ``now``.
    """
    times = pd.DatetimeIndex(prices["event_time"]).as_unit("us").tz_convert("UTC")
    bars = prices.reindex(columns=list(BAR_DTYPES)).assign(
        event_time=times,
        available_at=pd.DatetimeIndex(
            market.published(times.tz_localize(None).to_numpy("datetime64[us]"))
        ).tz_localize("UTC"),
        source=source,
        ingested_at=pd.Series(now, index=prices.index, dtype=UTC_DTYPE),
        payload=payload,
    )
    finished = (times <= pd.Timestamp(now)) | times.isna()
    kept = bars[finished].astype(BAR_DTYPES)
    return kept.sort_values("event_time", ignore_index=True, kind="stable"), int((~finished).sum())


def rejected_rows(
    records: list[dict[str, str]], *, source: str, ingested_at: datetime
) -> pd.DataFrame:
    """A frame of ``REJECTED_DTYPES`` from records of its text columns."""
    frame = pd.DataFrame(records, columns=list(REJECTED_DTYPES))
    frame["source"] = source
    frame["ingested_at"] = pd.Series(ingested_at, index=frame.index, dtype=UTC_DTYPE)
    return frame.astype(REJECTED_DTYPES)
