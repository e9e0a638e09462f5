"""What a run should have left behind: a prediction from every bar that asks for one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.due import days_to_predict, live_from
from fx_assets.tables import DECISIONS, OUTCOMES, PREDICTIONS, PRICES

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def unpredicted(lake: Lake, spec: ForecastSpec, feed: FeedSpec, now: datetime) -> str | None:
    """A sentence about bars that should have a prediction and have none, or ``None``."""
    days = days_to_predict(lake, spec, feed, now)
    if days:
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} days"
        return (
            f"{spec.name} has no prediction from its bars of {span}. Why is in the metadata of "
            f"{spec.name}/predictions in Dagster's UI: make dev."
        )
    decided = SeriesTables(lake, spec, feed).read(DECISIONS)
    if lake.exists(PRICES.name, feed.name) and decided.empty:
        return f"{spec.name} has no champion, so it has no prediction."
    return None


def outcomes_wait(lake: Lake, spec: ForecastSpec, feed: FeedSpec) -> bool:
    """Whether outcomes of issued predictions are known, and the table has not got them."""
    own = SeriesTables(lake, spec, feed)
    issued = own.read(PREDICTIONS)
    if issued.empty:
        return False
    prices = lake.read(PRICES.name, feed.name).sort_values("event_time", ignore_index=True)
    known = join_outcomes(issued, prices, spec, feed.market)
    return len(own.unknown(OUTCOMES, known)) > 0


def why_none(lake: Lake, spec: ForecastSpec, feed: FeedSpec, now: datetime) -> str:
    """Why a forecast has no prediction at all."""
    if not lake.exists(PRICES.name, feed.name):
        return f"there are no prices of {feed.name}"
    prices = lake.read(PRICES.name, feed.name)
    if prices.empty:
        return f"{feed.name} has no bars"
    own = SeriesTables(lake, spec, feed)
    if own.read(DECISIONS).empty:
        before = lake.exists(DECISIONS.name, spec.name)
        about = f" for {own.series.sentence}" if before else ""
        return f"no champion has been decided on{about}"
    known = prices[prices["available_at"] <= now]
    if known.empty:
        return f"no bar of {feed.name} is known at {now:%Y-%m-%d %H:%M} UTC"
    newest = feed.market.bar_day(known["event_time"].max())
    first = live_from(lake, spec, feed)
    if first is not None and newest < first:
        return f"its first live day is {first}, and the newest bar is of {newest}"
    if days_to_predict(lake, spec, feed, now):
        return f"the bar of {newest} waits for it"
    return f"no bar has come since its champion was decided on; the newest is of {newest}"
