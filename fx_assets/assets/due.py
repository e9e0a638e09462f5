"""What is stale: asked by the command line, the schedules and the sensors alike."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fx_assets.calendars import calendar
from fx_assets.models import code_version
from fx_assets.specs import FeedSpec, ForecastSpec

if TYPE_CHECKING:
    from fx_assets.lake import Lake

RETRAIN_EVERY = timedelta(days=7)
FIRST_YEAR, LAST_YEAR = 2020, 2027
"""Years in which the longest pause of a calendar is looked for; weekdays of holidays come round."""


@lru_cache(maxsize=32)
def longest_pause(key: str) -> timedelta:
    """The longest time between two publications of a calendar that nothing is wrong with."""
    market = calendar(key)
    published = market.published(market.closes(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)))
    longest: timedelta = np.diff(published).max().item()
    return longest


def days_to_predict(lake: Lake, spec: ForecastSpec, feed: FeedSpec, now: datetime) -> list[date]:
    """Days that have a known bar without an issued prediction, oldest first.

    Only bars that the first champion could have predicted from: earlier ones would be refused.
    """
    decisions = lake.read_or_empty("decisions", spec.name)
    prices = lake.read_or_empty("prices", feed.name)
    if decisions.empty or prices.empty:
        return []
    known = prices[
        (prices["available_at"] >= decisions["data_as_of"].min()) & (prices["available_at"] <= now)
    ]
    issued = lake.read_or_empty("predictions", spec.name)
    if len(issued):
        known = known[~known["event_time"].isin(issued["event_time"])]
    days = feed.market.day_index(pd.DatetimeIndex(known["event_time"])).unique()
    return sorted(day for day in days.date if day >= spec.live_from)


def features_are_behind(lake: Lake, spec: ForecastSpec, feed: FeedSpec) -> bool:
    """Whether the prices hold bars, or revisions of bars, that the features have not seen."""
    columns = ["event_time", "close"]
    if not lake.exists("features", spec.name):
        return True
    seen = lake.read("features", spec.name, columns=columns)
    return not _equal(seen, lake.read("prices", feed.name)[columns])


def retrain_reason(lake: Lake, spec: ForecastSpec, feed: FeedSpec) -> str | None:
    """Why the candidates have to be judged again, or ``None``."""
    decisions = lake.read_or_empty("decisions", spec.name)
    if decisions.empty:
        return "there is no champion yet"
    scores = lake.read_or_empty("scores", spec.name)
    judged = set(zip(scores.get("recipe", []), scores.get("code_version", []), strict=True))
    for candidate in spec.all_candidates:
        if (spec.recipe_hash(candidate), code_version(candidate.family)) not in judged:
            return f"{candidate.name} has not been judged as it is declared now"
    said = lake.read_or_empty("acknowledgements", spec.name)
    new = said[said["acknowledged_at"] > decisions["decided_at"].max()] if len(said) else said
    if len(new):
        return f"{new['candidate'].iloc[-1]} was acknowledged"
    prices = lake.read("prices", feed.name)
    newest = prices["available_at"].max()
    if newest - decisions["data_as_of"].max() >= RETRAIN_EVERY:
        return f"the last decision knew bars until {decisions['data_as_of'].max():%Y-%m-%d} only"
    return None


def _equal(left: pd.DataFrame, right: pd.DataFrame) -> bool:
    order = ["event_time"]
    return bool(
        left.sort_values(order)
        .reset_index(drop=True)
        .equals(right.sort_values(order).reset_index(drop=True))
    )
