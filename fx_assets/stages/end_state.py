"""What a run should have left behind: a prediction from every bar that asks for one."""

from __future__ import annotations

from datetime import datetime

from fx_assets.series.tables import SeriesTables
from fx_assets.stages.due import days_to_predict, live_from
from fx_assets.stages.score import known_outcomes
from fx_assets.tables import DECISIONS, OUTCOMES, PREDICTIONS, PRICES


def unpredicted(own: SeriesTables, now: datetime) -> str | None:
    """A sentence about bars that should have a prediction and have none, or ``None``."""
    days, name = days_to_predict(own, now), own.forecast
    if days:
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} days"
        return (
            f"{name} has no prediction from its bars of {span}. Why is in the metadata of "
            f"{name}/predictions in Dagster's UI: make dev."
        )
    if own.store.exists(PRICES.name, own.feed.name) and own.read(DECISIONS).empty:
        return f"{name} has no champion, so it has no prediction."
    return None


def outcomes_wait(own: SeriesTables) -> bool:
    """Whether outcomes of issued predictions are known, and the table has not got them."""
    issued = not own.read(PREDICTIONS).empty
    return issued and len(own.unknown(OUTCOMES, known_outcomes(own))) > 0


def why_none(own: SeriesTables, now: datetime) -> str:
    """Why a forecast has no prediction at all."""
    store, feed = own.store, own.feed
    if not store.exists(PRICES.name, feed.name):
        return f"there are no prices of {feed.name}"
    prices = own.bars()
    if prices.empty:
        return f"{feed.name} has no bars"
    if own.read(DECISIONS).empty:
        before = store.exists(DECISIONS.name, own.forecast)
        about = f" for {own.series.sentence}" if before else ""
        return f"no champion has been decided on{about}"
    known = prices[prices["available_at"] <= now]
    if known.empty:
        return f"no bar of {feed.name} is known at {now:%Y-%m-%d %H:%M} UTC"
    newest = feed.market.bar_day(known["event_time"].max())
    first = live_from(own)
    if first is not None and newest < first:
        return f"its first live day is {first}, and the newest bar is of {newest}"
    if days_to_predict(own, now):
        return f"the bar of {newest} waits for it"
    return f"no bar has come since its champion was decided on; the newest is of {newest}"
