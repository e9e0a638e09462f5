"""Weighs what following a forecast would have earned after costs, from stored predictions alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fx_assets.errors import FxAssetsError
from fx_assets.evaluation.decision import Decision, tried_ever
from fx_assets.evaluation.economic_figures import FIGURES
from fx_assets.evaluation.economics import Figure, Followed, weigh
from fx_assets.evaluation.strategy import FEWEST_BARS, Prices, earn
from fx_assets.presentation.economics import earned_sentence
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import CandidateSpec
from fx_assets.stages.candidate import load_draft
from fx_assets.tables import (
    BACKTEST,
    ECONOMICS,
    OUTCOMES,
    PREDICTIONS,
    STRATEGY_ROWS,
)

if TYPE_CHECKING:
    from fx_assets.registry.runs import ModelRegistry

ISSUED = "issued"
"""The candidate of live rows: whoever was champion."""
_NO_TRIALS = frozenset({"deflated_sharpe", "backtest_overfitting"})


@dataclass(frozen=True)
class Weighed:
    """Figures of every recipe for the table ``economics``, the champion's sentence and its bars."""

    figures: pd.DataFrame
    sentence: str
    rows: pd.DataFrame


def weigh_economics(
    own: SeriesTables,
    ledger: Sequence[Decision],
    walked: Callable[[CandidateSpec], pd.DataFrame],
    data_as_of: datetime,
    *,
    run_id: str,
    now: datetime,
    registry: ModelRegistry | None = None,
) -> Weighed | None:
    """Store what the declared strategy would have earned by every recipe's predictions.

    Parameters
    ----------
    walked
        The walk-forward rows of a candidate.
    data_as_of
        When the newest of the data became available.

    Returns
    -------
    Weighed or None
        ``None`` where no strategy is declared. Where nothing can be said the one row of the figures
        is ``refused``, and the sentence says why: the decision stands whatever comes of this.

    Raises
    ------
    RegistryError
        MLflow is away.
    """
    if own.spec.strategy.kind == "none":
        return None
    moments = {
        "data_as_of": pd.Timestamp(data_as_of).as_unit("us"),
        "measured_at": pd.Timestamp(now).as_unit("us"),
    }
    try:
        figures, rows = _all(own, ledger, walked)
    except FxAssetsError as error:
        refused = Figure("refused", math.nan, math.nan, math.nan, 0)
        recipe, who = ledger[-1].recipe, ledger[-1].champion
        figures = _table([refused], who, recipe, own, "backtest", error.message)
        rows = pd.DataFrame()
    own.insert(ECONOMICS, figures.assign(**moments), run_id)
    if len(rows):
        marked = own.mark(rows)
        own.store.replace(STRATEGY_ROWS.name, own.forecast, marked, run_id=run_id)
        if registry is not None:
            _log(own, figures, registry)
        rows = rows[(rows["recipe"] == ledger[-1].recipe) & (rows["evidence"] == "backtest")]
    mine = figures[figures["recipe"] == ledger[-1].recipe]
    sentence = str(mine["sentence"].iloc[0]) if len(mine) else ""
    return Weighed(figures, sentence, rows)


def earned_text(own: SeriesTables) -> str:
    """What the champion's strategy would have earned, in words; empty where none was weighed."""
    ledger, strategy = own.ledger(), own.spec.strategy
    if strategy.kind == "none" or not ledger:
        return ""
    weighed = own.newest(ECONOMICS)
    if weighed.empty:
        return ""
    mine = (weighed["recipe"] == ledger[-1].recipe) & (weighed["strategy"] == strategy.id)
    said = weighed[mine & (weighed["evidence"] == "backtest")].sort_values("measured_at")
    return "" if said.empty else str(said["sentence"].iloc[-1])


def weighed_at(own: SeriesTables) -> datetime | None:
    """When the strategy was weighed; ``None`` where not as it is declared, or never."""
    weighed = own.read(ECONOMICS)
    if weighed.empty:
        return None
    last = weighed["measured_at"].max()
    newest = weighed[weighed["measured_at"] == last]
    at: datetime = last.to_pydatetime()
    return at if own.spec.strategy.id in set(newest["strategy"]) else None


def _all(
    own: SeriesTables,
    ledger: Sequence[Decision],
    walked: Callable[[CandidateSpec], pd.DataFrame],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    spec, market = own.spec, own.feed.market
    strategy, target, definition = spec.strategy, spec.target, spec.target.definition
    columns = ["event_time", "close", *(["open"] if strategy.fill == "next_open" else [])]
    prices = Prices.of(own.bars(columns), market, strategy, own.feed.instrument)

    def followed(candidate: str, recipe: str, said: pd.DataFrame) -> Followed:
        earned = earn(said, prices, strategy, definition, target.horizon, market.bars_a_year)
        return Followed(candidate, recipe, said, earned)

    found = [
        followed(candidate.name, spec.recipe_hash(candidate), walked(candidate))
        for candidate in spec.all_candidates
    ]
    current = {each.recipe for each in found}
    former = {recipe for decision in ledger for recipe in decision.recipes_seen} - current
    for recipe, said in _former(own, former):
        try:
            found.append(followed(str(said["candidate"].iloc[-1]), recipe, said))
        except FxAssetsError:
            continue
    about = {"horizon": target.horizon, "bars_a_year": market.bars_a_year}
    weighed = weigh(found, strategy, tried=tried_ever(ledger), **about)
    baseline = weighed[found[0].recipe]
    tables = []
    for each in found:
        if each.recipe in current:
            figures = weighed[each.recipe]
            beside = [] if each is found[0] else baseline
            told = earned_sentence(each.candidate, strategy, figures, beside)
            tables.append(_table(figures, each.candidate, each.recipe, own, "backtest", told))
    rows = [_rows(each, own, "backtest") for each in found if each.recipe in current]
    live = _live(own)
    if len(live) > FEWEST_BARS:
        try:
            issued = followed(ISSUED, ledger[-1].recipe, live)
        except FxAssetsError:
            issued = None
        if issued is not None:
            (figures,) = weigh([issued], strategy, tried=1, **about).values()
            figures = [figure for figure in figures if figure.figure not in _NO_TRIALS]
            told = earned_sentence("what was issued live", strategy, figures, [])
            tables.append(_table(figures, ISSUED, issued.recipe, own, "live", told))
            rows.append(_rows(issued, own, "live"))
    return pd.concat(tables, ignore_index=True), pd.concat(rows, ignore_index=True)


def _former(own: SeriesTables, recipes: set[str]) -> list[tuple[str, pd.DataFrame]]:
    """The walk-forward rows of recipes that are no longer declared, as far as they are stored."""
    if not recipes:
        return []
    stored = own.read(BACKTEST)
    stored = stored[stored["recipe"].isin(recipes)].sort_values("event_time", kind="stable")
    stored = stored.drop_duplicates(["recipe", "event_time"], keep="last")
    return [(str(recipe), rows) for recipe, rows in stored.groupby("recipe")]


def _live(own: SeriesTables) -> pd.DataFrame:
    """Predictions that were issued before their target time, with what came of them."""
    issued = own.read(PREDICTIONS)
    if issued.empty:
        return issued
    live = issued[issued["mode"] == "live"].sort_values("event_time", kind="stable")
    live = live[["event_time", "prediction"]]
    came = own.newest(OUTCOMES)
    if came.empty:
        return live.assign(target=np.nan)
    return live.merge(came[["event_time", "target"]], on="event_time", how="left")


def _table(
    figures: Sequence[Figure],
    candidate: str,
    recipe: str,
    own: SeriesTables,
    evidence: str,
    sentence: str,
) -> pd.DataFrame:
    known = [f for f in figures if math.isfinite(f.value) or f.figure == "refused"]
    order = list(FIGURES)
    known.sort(key=lambda f: order.index(f.figure) if f.figure in order else -1)
    return pd.DataFrame(known).assign(
        candidate=candidate,
        recipe=recipe,
        strategy=own.spec.strategy.id,
        evidence=evidence,
        sentence=sentence,
    )


def _rows(each: Followed, own: SeriesTables, evidence: str) -> pd.DataFrame:
    return each.earned.table().assign(
        candidate=each.candidate,
        recipe=each.recipe,
        strategy=own.spec.strategy.id,
        evidence=evidence,
    )


def _log(own: SeriesTables, figures: pd.DataFrame, registry: ModelRegistry) -> None:
    for candidate, rows in figures[figures["evidence"] == "backtest"].groupby("candidate"):
        draft, _ = load_draft(own, str(candidate))
        values = dict(zip("economics_" + rows["figure"], rows["value"].tolist(), strict=True))
        if draft.logged is not None:
            registry.log_figures(draft.logged.run_id, values)
