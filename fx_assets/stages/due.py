"""What is stale: asked by the command line, the schedules and the sensors alike."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd

from fx_assets import clock
from fx_assets.errors import NoChampionError
from fx_assets.evaluation.decision import Decision, active_champion, stand_ins
from fx_assets.evaluation.live import first_live_day, predictable_from
from fx_assets.models import candidate_code
from fx_assets.series.tables import SeriesTables
from fx_assets.specs.cron import last_tick
from fx_assets.tables import (
    ACKNOWLEDGEMENTS,
    DECISIONS,
    FEATURES,
    PREDICTIONS,
    PRICES,
    READING_COLUMN,
    SCORES,
)


def days_to_predict(own: SeriesTables, now: datetime) -> list[date]:
    """Days that have a known bar without an issued prediction, oldest first.

    Not those whose champion is lost for good, with none that could stand in: asking again would not
    help.
    """
    times = _answerable(own, own.ledger(), bars_to_predict(own, now))
    return sorted(own.feed.market.day_index(times).unique().date)


def bars_to_predict(own: SeriesTables, now: datetime) -> pd.DatetimeIndex:
    """Event times of known bars without an issued prediction, oldest first.

    Only bars that the first champion could have predicted from: earlier ones would be refused.
    What counts is when a bar was first known; a revision makes no new bar of it.
    """
    market, ledger = own.feed.market, own.ledger()
    start, since = first_live_day(own.spec, ledger, market), predictable_from(ledger)
    if start is None or since is None or not own.store.exists(PRICES.name, own.feed.name):
        return pd.DatetimeIndex([], tz="UTC")
    bars = own.bars(["event_time"])["event_time"]
    first_known = _first_known(own)
    known = first_known[first_known.index.isin(bars) & (first_known >= since)]
    times = pd.DatetimeIndex(known.index[known <= now])
    issued = own.read(PREDICTIONS)
    if len(issued):
        times = times[~times.isin(issued["event_time"])]
    return times[market.day_index(times) >= pd.Timestamp(start)]


def day_to_refresh(own: SeriesTables) -> date | None:
    """The newest bar's day, for a run that has nothing new to predict; ``None`` if it has none."""
    market, ledger = own.feed.market, own.ledger()
    bars = own.bars(["event_time"])["event_time"]
    start, since = first_live_day(own.spec, ledger, market), predictable_from(ledger)
    if start is None or since is None or bars.empty:
        return None
    day = market.bar_day(bars.max())
    return day if day >= start and market.publication(bars.max()) >= since else None


def live_from(own: SeriesTables) -> date | None:
    """The first day that is predicted, or ``None`` before the first decision."""
    return first_live_day(own.spec, own.ledger(), own.feed.market)


def _answerable(
    own: SeriesTables, ledger: list[Decision], times: pd.DatetimeIndex
) -> pd.DatetimeIndex:
    from fx_assets.bundles.copies import restored

    whole: dict[int, bool] = {}

    def able(version: int) -> bool:
        if version not in whole:
            whole[version] = restored(own.store, own.forecast, version)
        return whole[version]

    def answered(decided: datetime) -> bool:
        try:
            decision = active_champion(ledger, decided)
        except NoChampionError:
            return True
        return any(able(d.bundle) for d in stand_ins(ledger, decision, decided))

    moments = (own.feed.market.publication(time) for time in times.to_pydatetime())
    return times[np.array([answered(moment) for moment in moments], dtype=bool)]


def _first_known(own: SeriesTables) -> pd.Series:
    """When each bar was first known, by event time."""
    raw = own.store.bars_of(own.feed.name, own.feed.reading)
    first: pd.Series = raw.groupby("event_time")["available_at"].min()
    return first


def features_are_behind(own: SeriesTables) -> bool:
    """Whether the prices hold bars, or revisions of bars, that the features have not seen."""
    columns = ["event_time", "close"]
    seen = own.store.read_known(FEATURES.name, own.features_name, [*columns, READING_COLUMN])
    if seen.empty or (seen[READING_COLUMN] != own.series.reading).any():
        return True
    return not _equal(seen[columns], own.bars(columns))


def retrain_reason(own: SeriesTables, now: datetime | None = None) -> str | None:
    """Why the candidates have to be judged again, or ``None``.

    ``retrain_cron`` says when new bars are one; ``now`` is the clock's time unless it is given.
    """
    from fx_assets.stages.candidate import without_draft

    spec, market, decisions = own.spec, own.feed.market, own.read(DECISIONS)
    if decisions.empty:
        before = own.store.exists(DECISIONS.name, spec.name)
        return f"now about {own.series.sentence}" if before else "there is no champion yet"
    if not own.in_service():
        return f"again about {own.series.sentence}"
    scores = own.read(SCORES)
    judged = set(zip(scores.get("recipe", []), scores.get("code_version", []), strict=True))
    for candidate in spec.all_candidates:
        if (
            spec.recipe_hash(candidate),
            candidate_code(spec, candidate),
        ) not in judged:
            return f"{candidate.name} has not been judged as it is declared now"
    champion, declared = own.ledger()[-1], map(spec.recipe_hash, spec.all_candidates)
    if champion.champion != spec.baseline.name and champion.recipe not in declared:
        return f"its champion, {champion.champion}, is no longer declared"
    if spec.strategy.kind != "none":
        from fx_assets.stages.economics import weighed_at

        if weighed_at(own) is None:
            return "its strategy has not been weighed as it is declared now"
    said, ruled = own.read(ACKNOWLEDGEMENTS), decisions[decisions["verdict"] != "rollback"]
    new = said[said["acknowledged_at"] > ruled["decided_at"].max()] if len(said) else said
    if len(new):
        return f"{new['candidate'].iloc[-1]} was acknowledged"
    missing = without_draft(own)
    if missing:
        return f"the draft of {missing[0].name} is missing"
    prices = own.bars(["event_time", "available_at"])
    known = prices["available_at"] <= decisions["data_as_of"].max()
    tick = last_tick(spec.retrain_cron, now or clock.now(), market.timezone)
    if not known.all() and ruled["decided_at"].max() < tick:
        last = market.label(prices["event_time"][known].max())
        return f"the last decision knew bars until {last} only"
    return None


def _equal(left: pd.DataFrame, right: pd.DataFrame) -> bool:
    order = ["event_time"]
    return bool(
        left.sort_values(order)
        .reset_index(drop=True)
        .equals(right.sort_values(order).reset_index(drop=True))
    )
