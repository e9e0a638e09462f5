"""Who predicts each instrument of a universe: decided as one family, published one by one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from fx_assets.bundles.bundle import champion_ref, point_to
from fx_assets.bundles.copies import keep_copies, restored
from fx_assets.bundles.records import ScoredMetric, pointer_path
from fx_assets.bundles.signing import signed_by_all
from fx_assets.errors import FxAssetsError, NotEnoughDataError, RegistryError
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.family import decide_family
from fx_assets.evaluation.metrics import score
from fx_assets.evaluation.study import Study
from fx_assets.evaluation.suspicion import Acknowledgement
from fx_assets.evaluation.universe import one_thread
from fx_assets.evaluation.universe_members import members
from fx_assets.explaining.explain import background_path
from fx_assets.lake.panel import Panel
from fx_assets.specs import CandidateSpec, ForecastSpec
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.acknowledgements import acknowledge, read_acknowledgements
from fx_assets.stages.candidate import (
    Draft,
    fit,
    keep_density,
    keep_draft,
    load_draft,
    without_draft,
)
from fx_assets.stages.champion import carry_out, restated
from fx_assets.stages.economics import weigh_economics, weighed_at
from fx_assets.stages.members import Member, each_member, members_of, said_by, walked_rows
from fx_assets.stages.reconcile import keep_background
from fx_assets.stages.shadow import live_contradiction
from fx_assets.tables import MEMBERSHIP, SERIES_COLUMN

if TYPE_CHECKING:
    from fx_assets.lake import Lake

WEIGHED_EVERY = timedelta(days=7)
"""How long figures of what a strategy would have earned stay, unless something is decided."""


def decide_panel(
    spec: UniverseSpec,
    store: Lake,
    skill: pd.DataFrame,
    judged: pd.DataFrame,
    now: datetime,
    run_id: str = "",
    instruments: Sequence[str] | None = None,
) -> list[Decision]:
    """Record who predicts, where that or what is held back has changed, and publish who does.

    The champion of a present member has a bundle of its own, in the member's folder; where the
    baseline predicts, the best candidate has one beside it. A member with too few rows to learn
    intervals from has neither yet.

    Parameters
    ----------
    skill, judged
        The table of verdicts, and the rows that it is of.
    instruments
        Those that are decided about; all of them where it is unset.
    """
    part = "" if instruments is None else f"-{min(instruments)}"
    with store.lock(f"decisions-{spec.name}{part}"), one_thread():
        return _decide_panel(spec, store, skill, judged, now, run_id, instruments)


def _decide_panel(
    spec: UniverseSpec,
    store: Lake,
    skill: pd.DataFrame,
    judged: pd.DataFrame,
    now: datetime,
    run_id: str,
    instruments: Sequence[str] | None,
) -> list[Decision]:
    known = store.read(MEMBERSHIP.name, spec.name)
    present = set(members(known, now))
    named = sorted({*skill["instrument"], *present} & {*(instruments or known["instrument"])})
    panel = Panel(store, spec.name, named)
    found = {m.own.series.id: m for m in each_member(spec, panel, named, known)}
    ledgers = {series: member.ledger for series, member in found.items()}
    served = {series for series, member in found.items() if member.instrument in present}
    lost = {series for series in served if not _published(found[series], ledgers[series])}
    about = {series: (member.instrument, member.target) for series, member in found.items()}
    given = read_acknowledgements(store, spec.name)
    decided = decide_family(
        spec, skill, judged, about, ledgers, given, now, lost,
        against=lambda series, recipe: live_contradiction(found[series].own, recipe),
    )  # fmt: skip
    publishing = {series for series, made in decided.items() if made.publishes} & served
    fitting = {
        series: found[series].forecast.all_candidates
        if series in publishing
        else _undrafted(found[series], ledgers[series])
        for series in publishing | {s for s in served if ledgers[s]}
    }
    fitting = {series: candidates for series, candidates in fitting.items() if candidates}
    weighing = {s for s in served if _weighs(found[s], now, decided=s in decided)}
    walked = walked_rows(spec, store, {about[series][0] for series in {*fitting, *weighing}})
    told = []
    for series in [*decided, *sorted(fitting.keys() - decided.keys())]:
        member, ledger, made = found[series], ledgers[series], decided.get(series)
        study = Study(
            member.forecast,
            member.frame,
            stored=walked.get(series) if spec.calibrates else None,
            workers=1,
            bars_a_day=spec.market.bars_a_day,
        )
        verdicts = skill[skill[SERIES_COLUMN] == series]
        drafts = {
            candidate.name: _draft(
                member, candidate, study, verdicts, walked.get(series), now, run_id
            )
            for candidate in fitting.get(series, ())
        }
        if made is None:
            continue
        if series in publishing:
            draft = drafts[made.champion]
            if draft is None:
                continue
            about_data = {"data_as_of": draft.facts.data_as_of, "label_end": draft.facts.label_end}
            made = made.model_copy(update=about_data)
        carried = carry_out(
            [made], study, member.own, ledger, now, run_id,
            subject=f"{spec.name} --instrument {member.instrument}", serves=series in publishing,
        )  # fmt: skip
        ledger += carried
        told += carried
    for series in sorted(weighing):
        member = found[series]
        if ledgers[series]:
            said = partial(_said, member, walked.get(series))
            known = member.frame["available_at"].max()
            weigh_economics(member.own, ledgers[series], said, known, run_id=run_id, now=now)
    panel.commit(run_id)
    for series in served:
        if ledgers[series]:
            settle_member(found[series], ledgers[series][-1])
    return told


def _weighs(member: Member, now: datetime, *, decided: bool) -> bool:
    """Whether its strategy is weighed anew: as it is declared now, after a decision, each week."""
    if member.forecast.strategy.kind == "none":
        return False
    if decided:
        return True
    weighed = weighed_at(member.own)
    return weighed is None or now - weighed >= WEIGHED_EVERY


def _said(member: Member, walked: pd.DataFrame | None, candidate: CandidateSpec) -> pd.DataFrame:
    """The walk-forward rows of a candidate in the present history of its member."""
    if walked is not None:
        walked = walked[walked["event_time"] >= member.frame["event_time"].iloc[0]]
    return said_by(walked, member.forecast, candidate.name)


def _published(member: Member, ledger: Sequence[Decision]) -> bool:
    return (
        bool(ledger)
        and restored(member.store, member.forecast.name, ledger[-1].bundle)
        and not restated(member.own, ledger)
    )


def _undrafted(member: Member, ledger: Sequence[Decision]) -> list[CandidateSpec]:
    """The candidates that have not been fitted as they are declared."""
    forecast, missing = member.forecast, without_draft(member.own)
    declared = {forecast.recipe_hash(candidate) for candidate in forecast.candidates}
    if declared == set(ledger[-1].recipes_seen):
        return missing
    changed = (
        candidate
        for candidate in forecast.all_candidates
        if candidate not in missing
        and load_draft(member.own, candidate.name)[0].facts.recipe
        != forecast.recipe_hash(candidate)
    )
    return [*missing, *changed]


def _draft(
    member: Member,
    candidate: CandidateSpec,
    study: Study,
    verdicts: pd.DataFrame,
    walked: pd.DataFrame | None,
    now: datetime,
    run_id: str,
) -> Draft | None:
    """Fit a candidate and keep it, to be published or to cast shadows; ``None`` where it cannot."""
    rows = _said(member, walked, candidate)
    try:
        fitted = fit(candidate, study, member.own, rows, measures=False)
        told = _measured(member.forecast, candidate, verdicts, rows)
    except NotEnoughDataError:
        return None
    density = keep_density(member.own, fitted, pd.Timestamp(now).as_unit("us"), run_id)
    return keep_draft(member.own, fitted, (*told, *density), run_id)


def _measured(
    forecast: ForecastSpec, candidate: CandidateSpec, verdicts: pd.DataFrame, rows: pd.DataFrame
) -> tuple[ScoredMetric, ScoredMetric]:
    """Proper score and skill that are told of a candidate: those of the family's verdict.

    Beside the baseline the skill is that of the best candidate. Of an instrument that has not been
    judged yet they are those of all its walk-forward rows.
    """
    name = forecast.target.definition.loss_name
    if verdicts.empty:
        told = score(rows, forecast.target.kind, forecast.target.horizon).to_dict("records")
        found = {row["metric"]: ScoredMetric.model_validate(row) for row in told}
        return found[name], found["skill"]
    order = verdicts.sort_values(["may_predict", "skill"], ascending=False, kind="stable")
    mine = order[order["candidate"] == candidate.name]
    best = (mine if len(mine) else order).iloc[0]
    n, theirs = int(best["n"]), float(best["baseline_loss"])
    loss = theirs if candidate == forecast.baseline else float(best["loss"])
    return (
        ScoredMetric(
            metric=name, value=loss, lower=loss, upper=loss, n=n, baseline_value=theirs
        ),
        ScoredMetric(
            metric="skill", value=best["skill"], lower=best["skill_lower"],
            upper=best["skill_upper"], n=n, baseline_value=0.0,
        ),
    )  # fmt: skip


def settle_member(member: Member, decision: Decision) -> None:
    """Let the pointer, the copies and the background follow a recorded decision."""
    store, name, version = member.store, member.forecast.name, decision.bundle
    try:
        present = champion_ref(store, name)
        same = (present.version, present.put_back) == (version, decision.put_back)
        if same and signed_by_all(store, pointer_path(name)) is None:
            return
    except FxAssetsError:
        pass
    with suppress(RegistryError):  # what is damaged is published anew by the next decision
        keep_copies(store, name, version)
        if not store.blob_exists(background_path(name, version)):
            keep_background(store, name, version, member.frame)
        point_to(store, name, version, decision.put_back)


def acknowledge_member(
    spec: UniverseSpec,
    store: Lake,
    instrument: str | None,
    candidate: str,
    **said: Any,
) -> Acknowledgement:
    """As :func:`fx_assets.stages.acknowledgements.acknowledge`, of an instrument of a universe.

    Raises
    ------
    RegistryError
        No such instrument is held back, or the reason says nothing.
    """
    panel = Panel(store, spec.name)
    asked = members_of(spec, panel, instrument)
    held = [
        m for m in asked if any(s.candidate == candidate for d in m.ledger for s in d.suspicions)
    ]
    member = (held or asked)[0]
    given = acknowledge(member.own, candidate, **said)
    panel.commit()
    return given
