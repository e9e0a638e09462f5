"""Is something late, and whose fault is it? By the feed's calendar: a holiday is not an outage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import pandas as pd
from pydantic import AwareDatetime

from fx_assets.calendars import Calendar
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.base import Spec
from fx_assets.specs.watching import FreshnessRule

Status = Literal["fresh", "waiting", "stale"]
Cause = Literal[
    "none",
    "source_down",
    "fallback_in_use",
    "not_published",
    "gate_failed",
    "schedule_off",
    "run_failed",
    "feed_stale",
    "no_champion",
]


@dataclass(frozen=True)
class FailedRun:
    """A run that failed before it could write anything: what the orchestrator knows of it."""

    at: datetime
    error: str


class Freshness(Spec):
    """Whether a feed or a forecast's predictions are up to date, and why not."""

    kind: Literal["feed", "predictions"]
    name: str
    checked_at: AwareDatetime
    status: Status
    """``waiting``: the newest is not there yet, but still within its grace."""
    cause: Cause
    missing: tuple[date, ...]
    """Open days whose bar or prediction is overdue, oldest first."""
    newest: date | None
    """The newest day that is there."""
    next_due: AwareDatetime
    """When the next one is overdue, if it does not come."""
    sentence: str

    @property
    def alarm(self) -> bool:
        """Whether someone should look."""
        return self.status == "stale"

    @property
    def key(self) -> str:
        """Identifies the outage: the same from its first missing day to its end."""
        first = self.missing[0].isoformat() if self.missing else "none"
        return f"stale:{self.kind}:{self.name}:{first}"


def feed_freshness(
    feed: FeedSpec,
    market: Calendar,
    *,
    prices: pd.DataFrame,
    quality: pd.DataFrame,
    sources: pd.DataFrame,
    now: datetime,
    rule: FreshnessRule | None = None,
    failed: FailedRun | None = None,
) -> Freshness:
    """Judge a feed.

    Parameters
    ----------
    prices, quality, sources
        The feed's tables; an empty frame where there is none yet.
    now
        The clock's time (UTC).
    failed
        The newest ingestion that failed, if the newest one did: a provider that answers nothing
        leaves no row in any table.
    """
    due = _Due(market, now, rule or FreshnessRule())
    have = _days(prices, market)
    missing = [day for day in due.days(feed.start, have) if day not in have]
    waiting = due.within_grace(have)
    newest = max(have, default=None)
    cause, why = _feed_cause(missing, market, quality, sources, failed)
    return _record("feed", feed.name, "bar", due, missing, waiting, newest, cause, why)


def prediction_freshness(
    forecast: ForecastSpec,
    market: Calendar,
    *,
    predictions: pd.DataFrame,
    feed: Freshness,
    has_champion: bool,
    now: datetime,
    rule: FreshnessRule | None = None,
    failed: FailedRun | None = None,
) -> Freshness:
    """Judge a forecast's predictions.

    Parameters
    ----------
    predictions
        The forecast's table; may be empty.
    feed
        The verdict on its feed: a day without a bar cannot be predicted from.
    has_champion
        Whether the forecast's ledger has a decision.
    failed
        The newest prediction run that failed, if the newest one did.
    """
    due = _Due(market, now, rule or FreshnessRule())
    have = {date.fromisoformat(day) for day in predictions["day"]} if len(predictions) else set()
    missing = [day for day in due.days(forecast.live_from, have) if day not in have]
    waiting = due.within_grace(have)
    newest = max(have, default=None)
    cause, why = _prediction_cause(missing, market, feed, has_champion, failed)
    return _record(
        "predictions", forecast.name, "prediction", due, missing, waiting, newest, cause, why
    )


def recovered(before: Freshness | None, after: Freshness) -> str | None:
    """What to say when an outage is over, or ``None``."""
    if before is None or before.status != "stale" or after.status == "stale":
        return None
    first, last = before.missing[0], before.missing[-1]
    span = f"{first}" if first == last else f"{first} to {last}"
    return f"{after.name}: {after.kind} recovered; {span} is there. {after.sentence}"


@dataclass(frozen=True)
class _Due:
    """What should be there by now."""

    market: Calendar
    now: datetime
    rule: FreshnessRule

    @property
    def grace(self) -> timedelta:
        return timedelta(minutes=self.rule.grace_minutes)

    def days(self, start: date, have: Iterable[date]) -> list[date]:
        """Open days after the oldest that is there (else from ``start``) that are overdue."""
        first = max(start, min(have, default=start))
        today = self.market.day_of(self.now)
        return [
            day
            for day in self.market.open_days(first, today)
            if self.market.available_at(day) + self.grace <= self.now
        ]

    def within_grace(self, have: set[date]) -> date | None:
        """Today, if it is published by now, not there, and not overdue."""
        today = self.market.day_of(self.now)
        if today in have or not self.market.is_open(today):
            return None
        at = self.market.available_at(today)
        return today if at <= self.now < at + self.grace else None

    def next_due(self, newest: date | None) -> datetime:
        today = self.market.day_of(self.now)
        day = max(today - timedelta(days=1), newest or today - timedelta(days=1))
        while True:
            day = self.market.following(day, 1)
            at = self.market.available_at(day) + self.grace
            if at > self.now:
                return at


def _days(prices: pd.DataFrame, market: Calendar) -> set[date]:
    if prices.empty:
        return set()
    return set(market.day_index(pd.DatetimeIndex(prices["event_time"])).date)


def _feed_cause(
    missing: Sequence[date],
    market: Calendar,
    quality: pd.DataFrame,
    sources: pd.DataFrame,
    failed: FailedRun | None,
) -> tuple[Cause, str]:
    newest = quality[quality["checked_at"] == quality["checked_at"].max()] if len(quality) else None
    tried_at = None if newest is None else newest["checked_at"].iloc[0].to_pydatetime()
    fallback = None if newest is None else _fallback(newest, sources)
    if not missing:
        if fallback:
            return "fallback_in_use", f" Its live source is not in use: {fallback}."
        return "none", ""
    published = market.available_at(missing[-1])
    if failed is not None and (tried_at is None or failed.at > tried_at):
        return "source_down", f" The run of {_at(failed.at)} failed: {_short(failed.error)}."
    if newest is None or tried_at is None:
        return "schedule_off", " Nothing was ever ingested: is the schedule on?"
    refused = newest[(newest["severity"] == "block") & ~newest["passed"].astype(bool)]
    if len(refused):
        said = "; ".join(f"{row.check}: {row.message}" for row in refused.itertuples())
        return "gate_failed", f" The gate refused the batch of {_at(tried_at)}: {_short(said)}."
    if tried_at < published:
        return (
            "schedule_off",
            f" The last try was at {_at(tried_at)}, before its publication: is the schedule on?",
        )
    if fallback:
        return "source_down", f" {fallback}."
    return (
        "not_published",
        f" The source answered at {_at(tried_at)} without it: a missed fixing, or it is late.",
    )


def _fallback(newest: pd.DataFrame, sources: pd.DataFrame) -> str | None:
    """Why the newest ingestion did not come from the live source; ``None`` if it did."""
    if sources.empty:
        return None
    used = sources[sources["sha256"] == newest["payload"].iloc[0]]
    if used.empty:
        return None
    row = used.sort_values("fetched_at").iloc[-1]
    reason = row["fallback_reason"]
    if reason is None or pd.isna(reason):
        return None
    return f"{_short(str(reason))}; {row['provider']} stands in, last date {row['last_date']}"


def _prediction_cause(
    missing: Sequence[date],
    market: Calendar,
    feed: Freshness,
    has_champion: bool,
    failed: FailedRun | None,
) -> tuple[Cause, str]:
    if not missing:
        return "none", ""
    if not has_champion:
        return "no_champion", " No champion was ever decided on."
    if set(missing) <= set(feed.missing):
        return "feed_stale", f" {feed.sentence}"
    if failed is not None and failed.at >= market.available_at(missing[0]):
        return "run_failed", f" The run of {_at(failed.at)} failed: {_short(failed.error)}."
    return "schedule_off", " Its bar is there and no run has used it: is the sensor on?"


def _record(
    kind: Literal["feed", "predictions"],
    name: str,
    thing: str,
    due: _Due,
    missing: Sequence[date],
    waiting: date | None,
    newest: date | None,
    cause: Cause,
    why: str,
) -> Freshness:
    status: Status = "stale" if missing else "waiting" if waiting else "fresh"
    last = f"newest {newest}" if newest else "none so far"
    if missing:
        shown = ", ".join(day.isoformat() for day in missing[-3:])
        more = f" and {len(missing) - 3} before" if len(missing) > 3 else ""
        count = f"{len(missing)} {thing}{'s' if len(missing) > 1 else ''}"
        said = f"{name} lacks {count} ({shown}{more}); {last}.{why}"
    elif waiting:
        said = f"{name} waits for the {thing} of {waiting}, which is not overdue yet; {last}.{why}"
    else:
        today = due.market.day_of(due.now)
        closed = due.market.closed_reason(today)
        note = f" Closed today: {closed}." if closed else ""
        said = f"{name} has every {thing} that is due; {last}.{note}{why}"
    return Freshness(
        kind=kind,
        name=name,
        checked_at=due.now,
        status=status,
        cause=cause,
        missing=tuple(missing),
        newest=newest,
        next_due=due.next_due(newest),
        sentence=said,
    )


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _short(text: str, most: int = 200) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= most else f"{line[: most - 1]}…"
