"""From the ECB's table of euro rates to the bars of one pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.errors import SourceError
from fx_assets.sources.bars import (
    CloseTimes,
    ParsedBars,
    Provenance,
    fixing_bars,
    rejected_rows,
)
from fx_assets.sources.ecb_files import NO_FIXING, RateTable
from fx_assets.specs import EcbSource

SOURCE = "ecb"
ENDED_AFTER_DAYS = 30
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True)
class EcbPayload:
    """What the ECB, or what stands in for it, said.

    ``table`` holds every currency; ``sha256`` is the hash of the history zip. ``machine_time`` is
    when the payload was read by the machine's own clock, also when ``FX_ASSETS_NOW`` sets the
    platform's clock back: a row after both is an error of the file.
    """

    table: RateTable
    provider: str
    sha256: str
    last_date: date
    url: str
    fetched_at: datetime
    machine_time: datetime
    fallback_reason: str | None = None
    etag: str | None = None
    not_modified: bool = False
    notes: str = ""
    times: dict[str, CloseTimes] = field(default_factory=dict, repr=False)

    @property
    def provenance(self) -> Provenance:
        """Where it came from."""
        return Provenance(
            provider=self.provider,
            url=self.url,
            sha256=self.sha256,
            last_date=self.last_date,
            fetched_at=self.fetched_at,
            fallback_reason=self.fallback_reason,
            etag=self.etag,
            not_modified=self.not_modified,
            notes=self.notes,
        )


def bars(
    payload: EcbPayload, source: EcbSource, market: Calendar, start: date, now: datetime
) -> ParsedBars:
    """The bars of one pair: a euro rate, its inverse, or the cross of two rates of one fixing.

    Every row of the payload ends in exactly one place; see :class:`ParsedBars`.

    Raises
    ------
    SourceError
        The payload lacks one of the currencies, or has no fixing of the pair since ``start``.
    """
    table = payload.table
    needed = [code for code in (source.base, source.quote) if code != "EUR"]
    for code in needed:
        if code not in table.rates:
            raise SourceError(
                f"The ECB's file has no currency {code} ({payload.url}).",
                remedy=f"Choose one of EUR, {', '.join(table.currencies)}.",
            )
    rows = _Rows(payload, needed)
    for text, reason in table.malformed:
        rows.record(text.split(",", 1)[0][:40], "row", text[:200], "schema_and_types", reason)
    rows.reject(
        np.isnat(table.days), "Date", table.day_texts, "schema_and_types", "the date cannot be read"
    )
    outside = rows.leave(table.days < np.datetime64(start))
    not_yet_known = _after_now(rows, market, now)
    repeated = _repetitions(rows)
    absent, values = _rates(rows)
    not_fixed = rows.leave(absent)
    if not rows.open.any() and not rows.records:
        raise SourceError(
            f"The ECB's file has no fixing of {source.instrument} from {start} on ({payload.url}).",
            remedy=_where_fixed(table, needed),
        )
    base = np.ones(len(table.days)) if source.base == "EUR" else values[source.base]
    quote = np.ones(len(table.days)) if source.quote == "EUR" else values[source.quote]
    keep = np.flatnonzero(rows.open)
    times = payload.times.setdefault(market.key, CloseTimes(market))
    frame = fixing_bars(
        times.frame(table.days[keep].tolist()),
        quote[keep] / base[keep],
        source=SOURCE,
        payload=table.payloads[keep],
        ingested_at=now,
    )
    return ParsedBars(
        bars=frame,
        rejected=rejected_rows(rows.records, source=SOURCE, ingested_at=now),
        not_fixed=not_fixed,
        repeated=repeated,
        outside=outside,
        not_yet_known=not_yet_known,
        notes=_ended(table, needed),
    )


class _Rows:
    """Which rows of a table are still undecided, and the records of the rejected ones."""

    def __init__(self, payload: EcbPayload, needed: list[str]) -> None:
        self.table = payload.table
        self.machine_time = payload.machine_time
        self.needed = needed
        self.texts = {code: payload.table.texts(code) for code in needed}
        self.open = np.ones(len(self.table.days), dtype=bool)
        self.records: list[dict[str, str]] = []
        self._payload = payload.sha256

    def leave(self, mask: np.ndarray) -> int:
        """Take rows out; returns how many."""
        mask = mask & self.open
        self.open &= ~mask
        return int(mask.sum())

    def reject(
        self, mask: np.ndarray, column: str, texts: np.ndarray, check: str, reason: str
    ) -> None:
        """Take rows out and record why."""
        for i in np.flatnonzero(mask & self.open):
            day = self.table.day_texts[i]
            self.record(day, column, texts[i], check, reason, self.table.payloads[i])
        self.leave(mask)

    def record(
        self, day: str, column: str, value: str, check: str, reason: str, payload: str = ""
    ) -> None:
        self.records.append(
            {
                "event_date": day,
                "column": column,
                "value": value,
                "check": check,
                "reason": reason,
                "payload": payload or self._payload,
            }
        )


def _after_now(rows: _Rows, market: Calendar, now: datetime) -> int:
    days = rows.table.days

    def after(instant: datetime) -> np.ndarray:
        today = market.day_of(instant)
        closed = instant >= market.event_time(today)
        return days > np.datetime64(today) if closed else days >= np.datetime64(today)

    rows.reject(
        after(max(now, rows.machine_time)),
        "Date",
        rows.table.day_texts,
        "future_bars",
        "the date lies in the future",
    )
    return rows.leave(after(now))


def _repetitions(rows: _Rows) -> int:
    """Leave exact repetitions out; reject days that come with different values."""
    table = rows.table
    undecided = pd.Series(table.days[rows.open], index=np.flatnonzero(rows.open))
    again = undecided[undecided.duplicated(keep=False)]
    repeated = 0
    shown_values = np.array([""] * len(table.days), dtype=object)
    for positions in again.groupby(again).groups.values():
        cells = [tuple(rows.texts[code][i] for code in rows.needed) for i in positions]
        mask = np.zeros(len(table.days), dtype=bool)
        if len(set(cells)) == 1:
            mask[positions[1:]] = True
            repeated += rows.leave(mask)
            continue
        mask[positions] = True
        shown_values[positions] = [", ".join(cell) for cell in cells]
        rows.reject(
            mask,
            ",".join(rows.needed),
            shown_values,
            "duplicates",
            f"the date comes {len(cells)} times with different values",
        )
    return repeated


def _rates(rows: _Rows) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Where a needed fixing is absent, and the values of each currency; rejects bad cells."""
    absent = np.zeros(len(rows.table.days), dtype=bool)
    values: dict[str, np.ndarray] = {}
    for code in rows.needed:
        texts = rows.texts[code]
        cells = pd.Series(texts)
        missing = cells.isin(NO_FIXING).to_numpy()
        number = cells.str.fullmatch(_NUMBER).to_numpy(dtype=bool)
        value = np.full(len(texts), np.nan)
        value[number] = texts[number].astype(np.float64)
        readable = np.isfinite(value)
        rows.reject(
            ~missing & ~readable, code, texts, "schema_and_types", "the rate is not a number"
        )
        rows.reject(
            readable & (value <= 0), code, texts, "non_positive", "the rate is zero or negative"
        )
        absent |= missing
        values[code] = np.where(readable & (value > 0), value, np.nan)
    return absent, values


def _fixed_days(table: RateTable, code: str) -> np.ndarray:
    fixed = ~pd.Series(table.texts(code)).isin(NO_FIXING).to_numpy() & ~np.isnat(table.days)
    return np.asarray(table.days[fixed])


def _ended(table: RateTable, needed: list[str]) -> str:
    sentences = []
    for code in needed:
        days = _fixed_days(table, code)
        last = days.max().item() if len(days) else None
        if last and (table.last_day - last).days > ENDED_AFTER_DAYS:
            sentences.append(
                f"{code} has had no fixing since {last}, the file goes on to {table.last_day}."
            )
    return " ".join(sentences)


def _where_fixed(table: RateTable, needed: list[str]) -> str:
    spans = []
    for code in needed:
        days = _fixed_days(table, code)
        spans.append(f"{code} from {days.min()} to {days.max()}" if len(days) else f"{code} never")
    active = [code for code in table.currencies if not _ended(table, [code])]
    return (
        f"Fixed were: {', '.join(spans)}. Move the feed's start, or choose one of the currencies "
        f"that go on: {', '.join(active)}."
    )
