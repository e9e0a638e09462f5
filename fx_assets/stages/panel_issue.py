"""What is said of, and found about, every instrument of a universe."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.bundles.records import pointer_path
from fx_assets.bundles.signing import write_signed
from fx_assets.bundles.universes import (
    PanelInstrument,
    PanelTarget,
    UniverseFacts,
    universe_path,
)
from fx_assets.errors import FxAssetsError, NoChampionError
from fx_assets.evaluation.universe_members import members, while_member
from fx_assets.evaluation.universe_skill import best_candidates
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.due import bars_to_predict
from fx_assets.stages.issue import Issued, explain_newest, issue_days
from fx_assets.stages.members import Member, members_at_work
from fx_assets.stages.shadow import drafted, issue_shadows
from fx_assets.tables import PREDICTIONS, SHADOW_PREDICTIONS, SKILL, UNIVERSE_PREDICTIONS

if TYPE_CHECKING:
    from fx_assets.lake import Lake


@dataclass
class IssuedPanel:
    """What came of every instrument."""

    new_rows: pd.DataFrame
    refused: dict[str, str] = field(default_factory=dict)
    """Instruments with bars that nobody could predict from, each with the reason."""
    unexplained: dict[str, str] = field(default_factory=dict)
    unshadowed: dict[str, str] = field(default_factory=dict)
    """Candidates of members that say nothing of a bar, each with the reason."""


def issue_panel(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], now: datetime, run_id: str = ""
) -> IssuedPanel:
    """Predict from every bar of a member that has none, from the first live day on.

    As :func:`fx_assets.stages.issue.issue_days` does of one instrument: from what was known at the
    decision time, by the champion of that time, ``late`` where the outcome is known already. Bars
    while an instrument was pegged or no member, and instruments beside whose bars a refusal stands,
    are left out. ``candidate`` is the best of each instrument and target, and
    ``candidate_prediction`` what it says of the newest bar. Every candidate casts a shadow beside
    each live prediction.
    """
    skill = store.read(SKILL.name, spec.name)
    made: list[pd.DataFrame] = []
    result = IssuedPanel(pd.DataFrame())
    with members_at_work(spec, store, instruments, run_id) as (known, each):
        for member in each:
            issued = _issue(member, known, now, result)
            if issued is None or issued.new_rows.empty:
                continue
            rows, notes = _with_candidate(member, issued, skill), dict[str, str]()
            shadows = issue_shadows(member.own, issued, now, notes)
            member.own.insert(PREDICTIONS, rows, run_id)
            member.own.insert(SHADOW_PREDICTIONS, shadows, run_id)
            made.append(rows)
            result.unshadowed |= {f"{member.name} {name}": why for name, why in notes.items()}
            try:
                explain_newest(issued, member.store)
            except FxAssetsError as error:  # a prediction stands, explained or not
                result.unexplained[member.instrument] = error.message
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
    waiting = bars_to_predict(own, now).to_series()
    names = pd.Series(member.instrument, index=waiting.index)
    waiting = waiting[while_member(names, waiting, known, market)]
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


def _with_candidate(member: Member, issued: Issued, skill: pd.DataFrame) -> pd.DataFrame:
    """The rows with what the best candidate says, of the newest bar."""
    own = member.own
    judged = skill[skill["series"] == own.series.id]
    rows = issued.new_rows.assign(candidate=issued.new_rows["champion"])
    shown = rows["champion"] != rows["baseline_name"]
    rows["candidate_prediction"] = rows["prediction"].where(shown)
    if issued.frames is not None and not shown.iloc[-1]:
        best = best_candidates(judged)["candidate"]
        name = str(best.iloc[0]) if len(best) else member.forecast.candidates[0].name
        with suppress(FxAssetsError):
            predictor = drafted(own, name)
            frames = issued.frames.of(predictor.manifest.feature_set)
            said = predictor.newest(frames.known_at(rows["decision_time"].iloc[-1])).prediction
            rows["candidate"] = rows["candidate"].where(shown, name)
            rows.loc[rows.index[-1], "candidate_prediction"] = said
    tested = judged.set_index("candidate")["p_holm"]
    return own.mark(rows.assign(p_holm=rows["candidate"].map(tested).astype("float64")))


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
        instruments.append(
            PanelInstrument(
                instrument=name,
                feed=spec.feed(name).name,
                state=state,
                series=series,
                strategies=tuple(spec.forecast(name, t).strategy.id for t in spec.targets),
            )
        )
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
        declared=spec.id,
    )
    write_signed(store, universe_path(spec.name), facts.model_dump_json().encode())
