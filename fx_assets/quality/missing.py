"""Bars that the calendar says are due and that nobody has."""

from __future__ import annotations

import numpy as np

from fx_assets.calendars import instant_of
from fx_assets.quality.evidence import KEPT_EXAMPLES, RETURNS, Evidence, Outcome, listed
from fx_assets.quality.times import days_of

YEAR = 365
FEW, SHARE = 5, 0.05
"""Days, or their share of those due, that may be missing in the newest year with a warning."""


def missing_days(evidence: Evidence) -> Outcome:
    """Open days without a bar between the first and the last; quarantined days are explained.

    Many in the newest year block, others warn. Of intraday bars the share of those due since 250
    bars before the batch.
    """
    return _days(evidence) if evidence.calendar.daily else _bars(evidence)


def _days(evidence: Evidence) -> Outcome:
    days = evidence.path.days
    if not len(days):
        return Outcome(0, "There are no bars.")
    first, last = days[0].item(), days[-1].item()
    due = np.array(evidence.calendar.open_days(first, last), dtype="datetime64[D]")
    known = np.concatenate([days, np.array(sorted(evidence.explained), dtype="datetime64[D]")])
    absent = due[~np.isin(due, known)]
    if not len(absent):
        return Outcome(0, f"Every open day from {first} to {last} has a bar.")
    newest_year = days[-1] - YEAR
    recent, due_recently = (int((some > newest_year).sum()) for some in (absent, due))
    bearable = max(evidence.limit("missing_days"), FEW, SHARE * due_recently)
    begins, lengths = unbroken(np.isin(due, absent, assume_unique=True))
    texts = [
        f"{due[i]}" if n == 1 else f"{due[i]} to {due[i + n - 1]} ({n} days)"
        for i, n in zip(
            begins[: -KEPT_EXAMPLES - 1 : -1], lengths[: -KEPT_EXAMPLES - 1 : -1], strict=True
        )
    ]
    return Outcome(
        len(absent),
        f"{len(absent)} open days from {first} to {last} have no bar, {recent} of them in the "
        f"newest year: {listed(texts, len(begins))}. "
        "If the provider has none, start the feed later or raise missing_days.limit.",
        tuple(texts),
        only_warns=recent <= bearable,
    )


def _bars(evidence: Evidence) -> Outcome:
    path, market = evidence.path, evidence.calendar
    if not len(path):
        return Outcome(0.0, "There are no bars.")
    first, last = path.times[0], path.times[-1]
    due = market.closes(market.bar_day(instant_of(first)), market.bar_day(instant_of(last)))
    due = due[(due >= first) & (due <= last)]
    if path.new.any():
        oldest_new = path.times[path.new.argmax()]
        due = due[max(0, int(np.searchsorted(due, oldest_new)) - RETURNS) :]
    absent = ~np.isin(due, path.times, assume_unique=True)
    absent &= ~np.isin(due, evidence.explained_times)
    if evidence.explained:
        explained = np.array(sorted(evidence.explained), dtype="datetime64[D]")
        absent &= ~np.isin(days_of(due, market), explained)
    count = int(absent.sum())
    span = " to ".join(evidence.labels(due[[0, -1]])) if len(due) else "nowhere"
    if not count:
        return Outcome(0.0, f"Every one of {len(due)} bars due from {span} UTC is there.")
    begins, lengths = unbroken(absent)
    order = np.argsort(-lengths, kind="stable")[:50]
    names = evidence.labels(due[begins[order]])
    texts = [f"{name} ({length} bars)" for name, length in zip(names, lengths[order], strict=True)]
    share = count / len(due)
    return Outcome(
        share,
        f"{count} of {len(due)} bars due from {span} UTC are missing ({100 * share:.2g} %) in "
        f"{len(begins)} gaps, the longest first: {listed(texts, len(begins))}.",
        tuple(texts),
    )


def unbroken(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each unbroken run of true flags begins, and how long it is."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    begins = np.flatnonzero(edges == 1)
    return begins, np.flatnonzero(edges == -1) - begins
