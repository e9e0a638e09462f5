"""What is said of, and found about, every instrument of a universe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fx_assets.bundles.bundle import load
from fx_assets.bundles.predictor import Predictor
from fx_assets.bundles.records import pointer_path
from fx_assets.bundles.universes import (
    PanelInstrument,
    PanelTarget,
    UniverseFacts,
    universe_path,
)
from fx_assets.calendars import moment
from fx_assets.errors import FxAssetsError, NoChampionError
from fx_assets.evaluation.live import predictable_from
from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.evaluation.universe import one_thread
from fx_assets.evaluation.universe_members import members, while_member
from fx_assets.evaluation.universe_skill import best_candidates
from fx_assets.lake.panel import Panel
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.issue import Issued, explain_newest, issue_days
from fx_assets.stages.look import Look, look_at
from fx_assets.stages.panel import held_back
from fx_assets.stages.panel_decide import Member, each_member, said_by, walked_rows
from fx_assets.tables import (
    MEMBERSHIP,
    OUTCOMES,
    PREDICTIONS,
    SKILL,
    UNIVERSE_OUTCOMES,
    UNIVERSE_PREDICTIONS,
)

if TYPE_CHECKING:
    from fx_assets.lake import Lake


@dataclass
class IssuedPanel:
    """What came of every instrument."""

    new_rows: pd.DataFrame
    refused: dict[str, str] = field(default_factory=dict)
    """Instruments with bars that nobody could predict from, each with the reason."""
    unexplained: dict[str, str] = field(default_factory=dict)


def issue_panel(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], now: datetime, run_id: str = ""
) -> IssuedPanel:
    """Predict from every bar of a member that has none, from the first live day on.

    As :func:`fx_assets.stages.issue.issue_days` does of one instrument: from what was known at the
    decision time, by the champion of that time, ``late`` where the outcome is known already. Bars
    while an instrument was pegged or no member, and instruments beside whose bars a refusal stands,
    are left out. ``candidate`` is the best of each instrument and target, and
    ``candidate_prediction`` what it says of the newest bar.
    """
    panel, known = Panel(store, spec.name), store.read(MEMBERSHIP.name, spec.name)
    held = held_back(spec, panel, sorted(set(instruments)))
    best = best_candidates(store.read(SKILL.name, spec.name)).set_index("series")
    made: list[pd.DataFrame] = []
    result = IssuedPanel(pd.DataFrame())
    with one_thread():
        for member in each_member(
            spec, panel, [name for name in instruments if name not in held], known
        ):
            issued = _issue(member, known, now, result)
            if issued is None or issued.new_rows.empty:
                continue
            rows = _with_candidate(member, issued, best)
            member.own.insert(PREDICTIONS, rows, run_id)
            made.append(rows)
            try:
                explain_newest(issued, member.store)
            except FxAssetsError as error:  # a prediction stands, explained or not
                result.unexplained[member.instrument] = error.message
    panel.commit(run_id)
    publish_facts(spec, store, known, now)
    none = pd.DataFrame(columns=list(UNIVERSE_PREDICTIONS.names))
    result.new_rows = pd.concat(made or [none], ignore_index=True).astype(
        UNIVERSE_PREDICTIONS.dtypes
    )
    return result


def _issue(
    member: Member, known: pd.DataFrame, now: datetime, result: IssuedPanel
) -> Issued | None:
    market, own = member.feed.market, member.own
    if not own.store.blob_exists(pointer_path(own.forecast)):
        return None
    raw = own.store.bars_of(member.feed.name, member.feed.reading)
    closed = raw.loc[raw["available_at"] <= pd.Timestamp(now), "event_time"].drop_duplicates()
    told = own.read(PREDICTIONS)
    waiting = closed[~closed.isin(told["event_time"])] if len(told) else closed
    names = pd.Series(member.instrument, index=waiting.index)
    waiting = waiting[while_member(names, waiting, known, market)]
    first = predictable_from(member.ledger)
    times = pd.DatetimeIndex(waiting).tz_localize(None).to_numpy("datetime64[us]")
    if first is None or not len(times):
        return None
    waiting = waiting[market.published(times) >= moment(first)]
    days = sorted({market.bar_day(one.to_pydatetime()) for one in waiting})
    if not days:
        return None
    try:
        issued = issue_days(days, own, now, bars=set(waiting))
    except NoChampionError as refusal:
        result.refused[member.instrument] = refusal.message
        return None
    for reason in issued.refused.values():
        result.refused[member.instrument] = reason
    return issued


def _with_candidate(member: Member, issued: Issued, best: pd.DataFrame) -> pd.DataFrame:
    """The rows with what the best candidate says, of the newest bar."""
    own, name = member.own, member.forecast.name
    rows = issued.new_rows.assign(candidate=issued.new_rows["champion"])
    shown = rows["champion"] != rows["baseline_name"]
    rows["candidate_prediction"] = rows["prediction"].where(shown)
    version = member.ledger[-1].version
    if issued.newest is not None and not shown.iloc[-1]:
        try:
            challenger = load(member.challenger, name, version)
        except FxAssetsError:
            challenger = None
        if challenger is not None:
            said = Predictor(challenger).newest(issued.newest.frame).prediction
            rows["candidate"] = rows["candidate"].where(shown, challenger.manifest.candidate)
            rows.loc[rows.index[-1], "candidate_prediction"] = said
    verdict = best["p_holm"].get(own.series.id, np.nan)
    return own.mark(rows.assign(p_holm=verdict))


def publish_facts(spec: UniverseSpec, store: Lake, known: pd.DataFrame, now: datetime) -> None:
    """Write what is served under the universe's name, where it has changed.

    Parameters
    ----------
    known
        The table of memberships.
    """
    everyone, free = members(known, now, pegged=True), members(known, now)
    judged = set(known["instrument"][known["member_from"].notna()])
    instruments = []
    for name in sorted(known["instrument"].unique()):
        state = "left" if name in judged else "young"
        if name in everyone:
            state = "member" if name in free else "pegged"
        series = tuple(spec.series(name, target).id for target in spec.targets)
        feed = spec.feed(name).name
        instruments.append(PanelInstrument(instrument=name, feed=feed, state=state, series=series))
    facts = UniverseFacts(
        forecast=spec.name,
        description=spec.description,
        calendar=spec.market.key,
        feature_set=spec.features,
        coverage=spec.coverage,
        targets=tuple(
            PanelTarget(
                kind=target.kind,
                horizon=target.horizon,
                unit=target.target.definition.unit,
                baseline=target.baseline,
            )
            for target in spec.targets
        ),
        instruments=tuple(instruments),
    )
    path, content = universe_path(spec.name), facts.model_dump_json().encode()
    if not store.blob_exists(path) or store.read_blob(path) != content:
        store.write_blob(path, content)


def score_panel(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], run_id: str = ""
) -> pd.DataFrame:
    """Put every issued prediction whose outcome is known beside it, once; a revised truth again.

    Returns
    -------
    DataFrame
        The new rows of the ``outcomes`` table.
    """
    panel = Panel(store, spec.name)
    held = held_back(spec, panel, instruments)
    known = store.read(MEMBERSHIP.name, spec.name)
    added = []
    chosen = [name for name in instruments if name not in held]
    for member in each_member(spec, panel, chosen, known):
        issued = member.own.read(PREDICTIONS)
        if issued.empty:
            continue
        bars = member.own.bars().sort_values("event_time", ignore_index=True)
        issued = issued.reindex(columns=[*dict.fromkeys([*issued, "lower", "upper"])])
        truth = join_outcomes(issued, bars, member.forecast, member.feed.market)
        fresh = member.own.unknown(OUTCOMES, truth)
        member.own.insert(OUTCOMES, fresh, run_id)
        added.append(fresh)
    panel.commit(run_id)
    if not store.exists(OUTCOMES.name, spec.name):
        none = pd.DataFrame(columns=list(UNIVERSE_OUTCOMES.names))
        none = none.astype(UNIVERSE_OUTCOMES.dtypes)
        store.append(OUTCOMES.name, spec.name, none, run_id=run_id)
    filled = [rows for rows in added if len(rows)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def look_panel(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], now: datetime, run_id: str = ""
) -> dict[str, Look]:
    """Judge drift and live performance of every present member; by instrument and target.

    A member is looked at as soon as there is a bar that its champion was not decided on with.
    """
    panel, known = Panel(store, spec.name), store.read(MEMBERSHIP.name, spec.name)
    held = held_back(spec, panel, sorted(instruments))
    chosen = sorted(set(members(known, now)) & set(instruments) - set(held))
    walked, seen = walked_rows(spec, store, chosen), {}
    with one_thread():
        for member in each_member(spec, panel, chosen, known):
            ledger = member.ledger
            if not ledger or not member.store.blob_exists(pointer_path(spec.name)):
                continue
            if member.frame["available_at"].max() <= ledger[-1].data_as_of:
                continue
            rows = walked.get(member.own.series.id)
            past = said_by(rows, member.forecast, ledger[-1].champion)
            name = f"{member.instrument} {member.target.kind} {member.target.horizon}"
            seen[name] = look_at(member.own, now, run_id, past=past, frame=member.frame)
    panel.commit(run_id)
    return seen
