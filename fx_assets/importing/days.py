"""Which calendar the days of daily bars are of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fx_assets.calendars import DAY_CLOSES, calendar
from fx_assets.quality.times import bar_times
from fx_assets.sources.files.questions import Option, Question
from fx_assets.sources.files.source import MAJORS
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


def calendar_question(feed: FeedSpec, bars: pd.DataFrame) -> tuple[Question, ...]:
    """Ask for the calendar where the bars speak for another one than was guessed.

    Parameters
    ----------
    bars
        The feed's bars (``BAR_DTYPES``).
    """
    return (*_weekends(feed, bars), *_holidays(feed, bars["event_time"]))


def _weekends(feed: FeedSpec, bars: pd.DataFrame) -> tuple[Question, ...]:
    """Currencies do not trade at weekends, though some exports fill them with bars."""
    pair = feed.instrument
    if feed.calendar != "24x7" or len(pair) != 6 or not {pair[:3], pair[3:]} <= MAJORS:
        return ()
    times = bar_times(bars)
    close = feed.day_close or ("00:00 UTC" if feed.market.daily else "")
    week = calendar(f"24x5|{feed.frequency}|{close}|0")
    outside = ~week.possible(times)
    still = (bars["high"] == bars["low"]) | bars["close"].diff().eq(0)
    share = float(still[outside].mean()) if outside.any() else 0.0
    weekdays = Option(
        {"calendar": "24x5", **({"day_close": close} if close else {})},
        f"keeps the {int(outside.sum()):,} bars of weekends out, {share:.0%} of which do not move",
    )
    always = Option({"calendar": "24x7"}, "takes them for prices")
    return (
        Question(
            "calendar",
            f"{pair} is a currency pair, and {int(outside.sum()):,} of {len(bars):,} bars close "
            "when currency markets are closed.",
            "Say whether these bars are prices.",
            (weekdays, always),
        ),
    )


def _holidays(feed: FeedSpec, event_times: pd.Series) -> tuple[Question, ...]:
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
