"""Carries a decision out: judge the candidates, record the verdict, publish the champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fx_assets import models
from fx_assets.calendars import calendar
from fx_assets.evaluation.decision import Decision, ledger_table, read_ledger
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.folds import Fold, feature_columns, folds, labelled_rows
from fx_assets.evaluation.promotion import decide
from fx_assets.evaluation.walk_forward import previous_fits, walk_forward
from fx_assets.registry import links
from fx_assets.registry.bundle import Bundle, Manifest, publish
from fx_assets.registry.candidate import Draft, load_draft
from fx_assets.specs import CandidateSpec, FeedSpec, ForecastSpec

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.registry.mlflow_registry import ModelRegistry

FRESH_WITHIN_BARS = 5
"""A champion is not refreshed from prices that lack more open days than these."""
GOLDEN_ROWS = 8


@dataclass(frozen=True)
class Decided:
    """What was decided now, the whole ledger, and the version in production."""

    decisions: list[Decision]
    ledger: list[Decision]
    version: str
    mlflow_path: str


def read_decisions(store: Lake, forecast: str) -> list[Decision]:
    """The forecast's ledger, oldest first; empty before the first decision."""
    table = store.read_or_empty("decisions", forecast)
    return [] if table.empty else read_ledger(table)


def version_in_force(ledger: Sequence[Decision], decision: Decision) -> str:
    """The bundle that a decision left in production, such as ``v12``.

    A version is numbered after the decision that published it.
    """
    published = max(d.sequence for d in ledger if d.publishes and d.sequence <= decision.sequence)
    return f"v{published}"


def decide_champion(
    spec: ForecastSpec,
    feed: FeedSpec,
    frame: pd.DataFrame,
    *,
    store: Lake,
    registry: ModelRegistry,
    run_id: str,
    now: datetime,
) -> Decided:
    """Judge the drafts of all candidates on identical rows, and put the verdict into effect.

    The bundle is written before the decision is recorded, and the pointer to it is moved after: a
    run that dies in between leaves the old champion in force, and can be repeated.

    Raises
    ------
    RegistryError
        A candidate has not been tried, or MLflow or the bundle store refused.
    """
    ledger = read_decisions(store, spec.name)
    cut = folds(frame, spec)
    cached = store.read_or_empty("backtest", spec.name)
    evidence = [
        _evidence(candidate, spec, frame, cut, cached, ledger)
        for candidate in spec.all_candidates
    ]
    data_as_of = frame["available_at"].max().to_pydatetime()
    fresh = _open_days_missing(feed, data_as_of, now) <= FRESH_WITHIN_BARS
    decisions = decide(spec, ledger, evidence, now, data_as_of, fresh)
    ledger = [*ledger, *decisions]
    mlflow_versions = {
        decision.sequence: _publish(decision, ledger, spec, feed, frame, store, registry)
        for decision in decisions
        if decision.publishes
    }
    store.insert_new(
        "decisions", spec.name, ledger_table(decisions), ["sequence"], run_id=run_id
    )
    latest = decisions[-1]
    if mlflow_versions:
        registry.set_champion(spec.name, max(mlflow_versions.values()), latest.sentence)
    _name_challenger(spec, latest, store, registry)
    version = version_in_force(ledger, latest)
    move_pointer(store, spec.name, version)
    return Decided(decisions, ledger, version, links.model_path(spec.name))


def _evidence(
    candidate: CandidateSpec,
    spec: ForecastSpec,
    frame: pd.DataFrame,
    cut: list[Fold],
    cached: pd.DataFrame,
    ledger: Sequence[Decision],
) -> Evidence:
    recipe = spec.recipe_hash(candidate)
    rows = walk_forward(candidate, spec, frame, cut, cached).predictions
    in_production = ledger and ledger[-1].recipe == recipe and candidate != spec.baseline
    previous = (
        previous_fits(candidate, spec, frame, cut, spec.promotion.refresh_rows)
        if in_production
        else None
    )
    return Evidence(candidate.name, recipe, rows, previous)
