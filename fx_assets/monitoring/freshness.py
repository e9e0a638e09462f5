"""Is something late, and whose fault is it? By the feed's calendar: a holiday is not an outage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import AwareDatetime

from fx_assets.calendars import DAY, Calendar, Instants, instant_of, moment
from fx_assets.quality.times import bar_times
from fx_assets.specs import FeedSpec
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
    missing: tuple[AwareDatetime, ...]
    """Closes whose bar or prediction is overdue, oldest first (UTC)."""
    missing_span: str
    """First and last of them, for people."""
    behind: int = 0
    """How many of them are newer than the newest that is there: what the present lacks."""
    severe: bool = False
    """Whether they are so many that it is an error, by the rule's ``error_bars``."""
    newest: AwareDatetime | None
    """The newest close that is there (UTC)."""
    next_due: AwareDatetime
    """When the next one is overdue, if it does not come."""
    sentence: str

    @property
    def alarm(self) -> bool:
        """Whether someone should look."""
        return self.status == "stale"

    @property
    def key(self) -> str:
        """Identifies the outage: the same from its first missing bar to its end."""
        first = self.missing_span.partition(" to ")[0] or "none"
        return f"stale:{self.kind}:{self.name}:{first}"


def feed_freshness(
    feed: FeedSpec,
    *,
    prices: pd.DataFrame,
    quality: pd.DataFrame,
    sources: pd.DataFrame,
    now: datetime,
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
    due, have = _Due(feed.market, now, feed.freshness), _closes(prices)
    missing = due.missing(feed.start, have)
    waiting = due.within_grace(have)
    newest = instant_of(have.max()) if len(have) else None
    cause, why = _feed_cause(missing, feed.market, quality, sources, failed)
    return _record("feed", feed.name, "bar", due, missing, waiting, newest, cause, why)


def prediction_freshness(
    name: str,
    market: Calendar,
    *,
    predictions: pd.DataFrame,
    feed: Freshness,
    has_champion: bool,
    now: datetime,
    live_from: date | None = None,
    rule: FreshnessRule | None = None,
    failed: FailedRun | None = None,
) -> Freshness:
    """Judge the predictions of a forecast; of a universe the newest of them.

    Parameters
    ----------
    predictions
        Those that count; may be empty.
    feed
        The verdict on its bars: a day without a bar cannot be predicted from.
    has_champion
        Whether the forecast's ledger has a decision.
    live_from
        First day that is predicted; unset means that of the feed's newest bar.
    failed
        The newest prediction run that failed, if the newest one did.
    """
    due, have = _Due(market, now, rule or FreshnessRule()), _closes(predictions)
    newest_day = market.bar_day(feed.newest) if feed.newest else market.day_of(now)
    missing = due.missing(live_from or newest_day, have)
    newest = instant_of(have.max()) if len(have) else None
    cause, why = _prediction_cause(missing, market, feed, has_champion, failed)
    waiting = due.within_grace(have)
    return _record("predictions", name, "prediction", due, missing, waiting, newest, cause, why)


def panel_freshness(
    feed: FeedSpec,
    *,
    prices: pd.DataFrame,
    quality: pd.DataFrame,
    sources: pd.DataFrame,
    now: datetime,
    most_missed: int,
    failed: FailedRun | None = None,
) -> Freshness:
    """Judge the prices of many instruments: the newest bar of all, then each instrument by it.

    Parameters
    ----------
    feed
        The feed of any of them, under the universe's name.
    prices
        ``instrument`` and ``event_time``.
    most_missed
        Bars in a row after which an instrument has left, and is late no more.
    """
    due, market = _Due(feed.market, now, feed.freshness), feed.market
    newest = prices.groupby("instrument")["event_time"].max() if len(prices) else pd.Series()
    verdict = feed_freshness(
        feed,
        prices=pd.DataFrame({"event_time": newest.max()}, index=[0]) if len(newest) else prices,
        quality=quality,
        sources=sources,
        now=now,
        failed=failed,
    )
    late = {}
    for instrument, last in newest[newest < newest.max()].items():
        missed = due.missing_after(np.datetime64(last.tz_convert(None), "us"))
        missed = [close for close in missed if close <= newest.max()]
        if 1 <= len(missed) <= most_missed:
            late[str(instrument)] = missed
    if not late:
        return verdict
    shown = "; ".join(f"{name} since {market.label(late[name][0])}" for name in sorted(late)[:10])
    more = f" and {len(late) - 10} others" if len(late) > 10 else ""
    first = min(missed[0] for missed in late.values())
    return verdict.model_copy(
        update={
            "status": "stale",
            "cause": verdict.cause if verdict.missing else "not_published",
            "behind": max(verdict.behind, *(len(missed) for missed in late.values())),
            "missing_span": verdict.missing_span or market.label(first),
            "sentence": (
                f"{verdict.sentence} Of {len(newest)} instruments {len(late)} lack the newest bar: "
                f"{shown}{more}."
            ),
        }
    )


def recovered(before: Freshness | None, after: Freshness) -> str | None:
    """What to say when an outage is over, or ``None``."""
    if before is None or before.status != "stale" or after.status == "stale":
        return None
    return f"{after.name}: {after.kind} recovered; {before.missing_span} is there. {after.sentence}"


@dataclass(frozen=True)
class _Due:
    """What should be there by now."""

    market: Calendar
    now: datetime
    rule: FreshnessRule

    @property
    def grace(self) -> timedelta:
        return timedelta(minutes=self.rule.grace_minutes)

    def missing(self, start: date, have: Instants) -> list[datetime]:
        """Closes that are overdue and not there, after the oldest that is (else from ``start``).

        Of intraday bars only those after the newest that is there: an hour in which nobody traded
        is no outage, and what is missing in between is for the gate to judge.
        """
        market = self.market
        if len(have):
            after = self._known(have)
            start = max(start, market.bar_day(instant_of(after)))
        else:
            after = np.datetime64(start, "us") - np.timedelta64(DAY)
        late = self._overdue(start, after)
        return [instant_of(value) for value in late[~np.isin(late, have)]]

    def missing_after(self, newest: np.datetime64) -> list[datetime]:
        """Closes after one instant that are overdue."""
        late = self._overdue(self.market.bar_day(instant_of(newest)), newest)
        return [instant_of(value) for value in late]

    def _overdue(self, start: date, after: np.datetime64) -> Instants:
        due = self.market.closes(start, self.market.day_of(self.now))
        overdue = self.market.published(due) + np.timedelta64(self.grace) <= moment(self.now)
        return due[overdue & (due > after)]

    def within_grace(self, have: Instants) -> datetime | None:
        """The newest close that is published by now, not there, and not overdue."""
        today = self.market.day_of(self.now)
        due = self.market.closes(today - DAY, today)
        published, now = self.market.published(due), moment(self.now)
        waiting = (published <= now) & (now < published + np.timedelta64(self.grace))
        late = due[waiting & ~np.isin(due, have)]
        late = late[late > self._known(have)] if len(have) else late
        return instant_of(late[-1]) if len(late) else None

    def _known(self, have: Instants) -> np.datetime64:
        """What is there after which bars are told to lack; nothing before it is waited for."""
        known: np.datetime64 = have.min() if self.market.daily else have.max()
        return known

    def severe(self, lacking: Sequence[datetime]) -> bool:
        """Whether what the present lacks, oldest first, is an error."""
        most = self.rule.error_bars
        if most is None or len(lacking) < most:
            return False
        return self.market.publication(lacking[0]) + 2 * self.grace <= self.now

    def next_due(self, newest: datetime | None) -> datetime:
        """When the next one is overdue that is not there."""
        at = max(self.now - self.grace - 2 * DAY, newest or self.now - self.grace - 2 * DAY)
        while True:
            at = self.market.next_close(at)
            overdue = self.market.publication(at) + self.grace
            if overdue > self.now:
                return overdue


def _closes(table: pd.DataFrame) -> Instants:
    if table.empty:
        return np.array([], dtype="datetime64[us]")
    return bar_times(table)


def _feed_cause(
    missing: Sequence[datetime],
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
    published = market.publication(missing[-1])
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
    missing: Sequence[datetime],
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
    if failed is not None and failed.at >= market.publication(missing[0]):
        return "run_failed", f" The run of {_at(failed.at)} failed: {_short(failed.error)}."
    return "schedule_off", " Its bar is there and no run has used it: is the sensor on?"


def _record(
    kind: Literal["feed", "predictions"],
    name: str,
    thing: str,
    due: _Due,
    missing: Sequence[datetime],
    waiting: datetime | None,
    newest: datetime | None,
    cause: Cause,
    why: str,
) -> Freshness:
    status: Status = "stale" if missing else "waiting" if waiting else "fresh"
    label = due.market.label
    last = f"newest {label(newest)}" if newest else "none so far"
    if missing:
        shown = ", ".join(map(label, missing[-3:]))
        more = f" and {len(missing) - 3} before" if len(missing) > 3 else ""
        count = f"{len(missing)} {thing}{'s' if len(missing) > 1 else ''}"
        said = f"{name} lacks {count} ({shown}{more}); {last}.{why}"
    elif waiting:
        said = f"{name} waits for the {thing} of {label(waiting)}, not overdue yet; {last}.{why}"
    else:
        today = due.market.day_of(due.now)
        closed = due.market.closed_reason(today)
        note = f" Closed today: {closed}." if closed else ""
        said = f"{name} has every {thing} that is due; {last}.{note}{why}"
    lacking = [close for close in missing if newest is None or close > newest]
    return Freshness(
        kind=kind,
        name=name,
        checked_at=due.now,
        status=status,
        cause=cause,
        missing=tuple(missing),
        behind=len(lacking),
        severe=due.severe(lacking),
        missing_span=" to ".join(dict.fromkeys(map(label, [*missing[:1], *missing[-1:]]))),
        newest=newest,
        next_due=due.next_due(newest),
        sentence=said,
    )


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _short(text: str, most: int = 200) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= most else f"{line[: most - 1]}…"
