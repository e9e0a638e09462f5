"""From spans that are wanted to pages, and from a vendor's rows to a batch."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from fx_assets.calendars import DAY
from fx_assets.errors import SourceError
from fx_assets.sources.bars import Ask, Batch, price_bars, rejected_rows
from fx_assets.sources.vendor import VendorClient
from fx_assets.sources.vendor_rows import VendorRows

Span = tuple[datetime, datetime]
"""``(after, until)``: bars with ``after < event_time <= until``, in UTC."""


def vendor_batch(ask: Ask, client: VendorClient, rows: VendorRows, notes: list[str]) -> Batch:
    """A fetch's batch: the bars that are wanted, the rows that are none, and where both are from.

    Parameters
    ----------
    rows
        What the answers say.
    notes
        Sentences that a person should read.
    """
    kind, payload = client.vendor.kind, client.sha256
    bars, _ = price_bars(rows.prices(), ask.market, source=kind, payload=payload, now=ask.now)
    times = bars["event_time"]
    bars = bars[times.isna() | ask.wanted.covers(times)].drop_duplicates(ignore_index=True)
    rejected = rejected_rows(
        [
            {name: client.without_key(text) for name, text in row.items()} | {"payload": payload}
            for row in rows.rejected
            if _asked_for(row, ask)
        ],
        source=kind,
        ingested_at=ask.now,
    )
    return ask.batch(
        bars,
        provider=kind,
        url=client.url,
        sha256=payload,
        notes=" ".join(notes),
        rejected=rejected.drop_duplicates(ignore_index=True),
    )


def _asked_for(row: dict[str, str], ask: Ask) -> bool:
    """Whether a rejected row is of a day that is wanted, or of an unknown one."""
    try:
        day = date.fromisoformat(row["event_date"])
    except ValueError:
        return True
    bar_day = ask.market.bar_day
    return any(bar_day(after) <= day <= bar_day(until) + DAY for after, until in ask.wanted.spans)


def merged(spans: tuple[Span, ...], reach: timedelta) -> list[Span]:
    """The spans, oldest first, put together where one page of length ``reach`` holds both."""
    found: list[Span] = []
    for after, until in sorted(spans):
        if found and until - found[-1][0] <= reach:
            found[-1] = (found[-1][0], max(until, found[-1][1]))
        elif until > after:
            found.append((after, until))
    return found


def refuse_day_close(ask: Ask, vendor: str) -> None:
    """Daily bars of a vendor that ends days at midnight UTC fit no other end of day.

    Raises
    ------
    SourceError
        The feed's days end at another time.
    """
    feed = ask.feed
    days = (date(ask.now.year, month, 15) for month in (1, 7))
    clocks = (feed.market.event_time(day).astimezone(UTC) for day in days)
    ends = [f"{clock:%H:%M}" for clock in clocks if clock.hour or clock.minute]
    if feed.market.daily and ends:
        raise SourceError(
            f"{vendor}'s daily bars close at midnight UTC, and the days of {feed.name} at "
            f"{' or '.join(dict.fromkeys(ends))} UTC.",
            remedy="Set day_close: 00:00 UTC, or an intraday frequency.",
        )
