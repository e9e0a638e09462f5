"""The walk-forward of a universe's instruments, part by part, and their judgement as one family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.errors import NotEnoughDataError
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.universe import (
    CACHE_COLUMNS,
    INPUT_COLUMNS,
    Progress,
    one_thread,
    spread,
    walk_universe,
    walked_with,
)
from fx_assets.evaluation.universe_skill import (
    SKILL_COLUMNS,
    Judged,
    compare_rows,
    family_table,
    judgeable_rows,
    skill_of,
)
from fx_assets.lake.commits import Commit
from fx_assets.lake.panel import replace_instruments
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.panel_decide import decide_panel
from fx_assets.tables import (
    BACKTEST,
    INSTRUMENT_COLUMN,
    INSTRUMENTS,
    MEMBERSHIP,
    PRICES,
    SKILL,
    UNCALIBRATED,
    UNIVERSE_BACKTEST,
    WALKS,
)

if TYPE_CHECKING:
    from fx_assets.lake import Lake

NAMED = 20
"""Instruments that a message names."""
_KEY = [INSTRUMENT_COLUMN, *(c for c in UNIVERSE_BACKTEST.key if c != INSTRUMENT_COLUMN)]


@dataclass(frozen=True)
class JudgedFamily:
    """What came of the judgement of a whole universe."""

    skill: pd.DataFrame
    commit: Commit
    decisions: list[Decision]


def walk_panel(
    spec: UniverseSpec,
    store: Lake,
    instruments: Sequence[str],
    run_id: str = "",
    progress: Progress | None = None,
) -> Commit:
    """Walk these instruments forward, and note what they were walked forward with.

    What is written is the same whichever instruments are walked forward together, in whichever
    order, and how often. The note comes last: without it a run that was killed is not counted.
    """
    known = store.read(MEMBERSHIP.name, spec.name)
    prices = store.read_values(PRICES.name, spec.name, INSTRUMENT_COLUMN, instruments)
    columns = [*CACHE_COLUMNS, UNCALIBRATED]
    stored = store.read_values(BACKTEST.name, spec.name, INSTRUMENT_COLUMN, instruments, columns)
    rows = walk_universe(spec, prices, known, stored, progress)
    commit = store.insert_new(BACKTEST.name, spec.name, rows, _KEY, run_id=run_id)
    made_with = walked_with(spec, prices, known)
    replace_instruments(store, WALKS.name, spec.name, made_with, instruments, run_id=run_id)
    return commit


def not_walked(spec: UniverseSpec, store: Lake) -> list[str]:
    """Instruments whose walk-forward rows are of other bars, recipes or code than there are now.

    A lake from before notes were taken has none of them.
    """
    if not store.exists(WALKS.name, spec.name):
        return []
    known = store.read(MEMBERSHIP.name, spec.name)
    names = set(known[INSTRUMENT_COLUMN])
    listed = store.read_or_empty(INSTRUMENTS.name, spec.name)
    if len(listed):
        names &= set(listed[INSTRUMENT_COLUMN])
    done = set(store.read(WALKS.name, spec.name).itertuples(index=False, name=None))
    columns = [INSTRUMENT_COLUMN, *INPUT_COLUMNS]
    return [
        str(instrument)
        for shard in spec.shards(sorted(names))
        for instrument, inputs in walked_with(
            spec,
            store.read_values(PRICES.name, spec.name, INSTRUMENT_COLUMN, shard, columns),
            known,
        ).itertuples(index=False, name=None)
        if (instrument, inputs) not in done
    ]


def judge_panel(spec: UniverseSpec, store: Lake, now: datetime, run_id: str = "") -> JudgedFamily:
    """Judge every candidate of every instrument as one family, and decide who predicts.

    The rows of ``shard_size`` instruments are in memory at a time, in each of the processes that
    many shards are spread over; only Holm's correction needs all, and it has their p-values.

    Raises
    ------
    NotEnoughDataError
        Instruments have not been walked forward from the bars as they are known now.
    """
    missing = not_walked(spec, store)
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise NotEnoughDataError(
            f"{spec.name} is judged as one family, and {len(missing)} of its instruments have not "
            f"been walked forward from their present bars, by the present code: "
            f"{', '.join(missing[:NAMED])}{more}.",
            remedy=f"Materialize {spec.name}/{BACKTEST.name} of them first, or run "
            f"fx-assets universe {spec.name}.",
        )
    known = store.read(MEMBERSHIP.name, spec.name)
    shards = spec.shards(sorted(known[INSTRUMENT_COLUMN].unique()))
    if len(shards) == 1:
        rows = _judgeable(spec, store, known, shards[0])
        with one_thread():
            skill = skill_of(spec, rows)
        commit = store.replace(SKILL.name, spec.name, skill, run_id=run_id)
        return JudgedFamily(skill, commit, decide_panel(spec, store, skill, rows, now, run_id))
    compared = spread(partial(_compared, spec, store, known), shards, spec.workers)
    skill = family_table(spec, [each for shard in compared for each in shard])
    commit = store.replace(SKILL.name, spec.name, skill, run_id=run_id)
    decide = partial(_decided, spec, store, known, skill, now, run_id)
    decided = spread(decide, shards, spec.workers)
    return JudgedFamily(skill, commit, [made for shard in decided for made in shard])


def _compared(
    spec: UniverseSpec, store: Lake, known: pd.DataFrame, shard: list[str]
) -> list[Judged]:
    with one_thread():
        return compare_rows(spec, _judgeable(spec, store, known, shard))


def _decided(
    spec: UniverseSpec,
    store: Lake,
    known: pd.DataFrame,
    skill: pd.DataFrame,
    now: datetime,
    run_id: str,
    shard: list[str],
) -> list[Decision]:
    rows = _judgeable(spec, store, known, shard)
    with store.deferred_views():
        return decide_panel(spec, store, skill, rows, now, run_id, shard)


def _judgeable(
    spec: UniverseSpec, store: Lake, known: pd.DataFrame, shard: list[str]
) -> pd.DataFrame:
    rows = store.read_values(BACKTEST.name, spec.name, INSTRUMENT_COLUMN, shard, SKILL_COLUMNS)
    return judgeable_rows(spec, rows, known)
