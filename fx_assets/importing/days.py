"""Which calendar the days of daily bars are of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fx_assets.calendars import DAY_CLOSES, calendar
from fx_assets.sources.files_questions import Option, Question
from fx_assets.specs import FeedSpec

CANDIDATES: tuple[tuple[str, str | None], ...] = (
    ("target", None),
    ("US", "12:00 America/New_York"),
    ("NYSE", None),
    ("GB", "17:00 Europe/London"),
)
"""Calendars that files of daily closes have, with a close where the calendar has no custom."""
_FEW = 5
_CLEARLY = 0.2


@dataclass(frozen=True)
class Fit:
    """How well a calendar explains the days that have bars."""

    missing: int
    closed: int

    @property
    def wrong(self) -> int:
        return self.missing + self.closed

    def __str__(self) -> str:
        return f"{self.missing:,} days missing, {self.closed:,} bars on closed days"


def fit_of(days: np.ndarray, key: str) -> Fit:
    """Compare days with those of a calendar, from the first day to the last."""
    market = calendar(key)
    due = np.array(market.open_days(days[0].item(), days[-1].item()), dtype="datetime64[D]")
    closed = sum(not market.is_open(day) for day in np.setdiff1d(days, due).tolist())
    return Fit(len(np.setdiff1d(due, days)), closed)


def calendar_question(feed: FeedSpec, event_times: pd.Series) -> tuple[Question, ...]:
    """Ask for the calendar where holidays of another one explain the days without bars."""
    if not feed.market.daily or feed.calendar != "24x5" or feed.day_close is not None:
        return ()
    times = pd.DatetimeIndex(event_times)
    days = np.unique(feed.market.day_index(times).to_numpy("datetime64[D]"))
    ours = fit_of(days, feed.market.key)
    if ours.wrong <= _FEW:
        return ()
    options = []
    for name, close in CANDIDATES:
        fit = fit_of(days, f"{name}|1d|{close or DAY_CLOSES.get(name, '')}|0")
        if fit.wrong <= max(_FEW, _CLEARLY * ours.wrong):
            settings = {"calendar": name, **({"day_close": close} if close else {})}
            options.append((fit.wrong, Option(settings, str(fit))))
    if not options:
        return ()
    ordered = [option for _, option in sorted(options, key=lambda pair: pair[0])]
    return (
        Question(
            "calendar",
            f"The days are not those of currency markets (24x5): {ours}.",
            "Say which calendar they are of, and when a day closes.",
            (*ordered, Option({"calendar": "24x5"}, str(ours))),
        ),
    )
