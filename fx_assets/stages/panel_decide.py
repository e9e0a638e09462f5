"""Who predicts each instrument of a universe: decided as one family, published one by one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from fx_assets.bundles.bundle import champion_ref, point_to, published_versions, store_bundle
from fx_assets.bundles.copies import keep_copies, restored
from fx_assets.bundles.records import ScoredMetric, pointer_path
from fx_assets.bundles.signing import signed_by_all
from fx_assets.errors import FxAssetsError, NotEnoughDataError, RegistryError
from fx_assets.evaluation.decision import Decision, ledger_table
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
from fx_assets.stages.candidate import fit
from fx_assets.stages.champion import bundle_of, explained, with_overrides
from fx_assets.stages.members import Member, each_member, members_of, said_by, walked_rows
from fx_assets.stages.overrides import standing_overrides
from fx_assets.stages.reconcile import keep_background
from fx_assets.tables import DECISIONS, MEMBERSHIP, SERIES_COLUMN

if TYPE_CHECKING:
    from fx_assets.lake import Lake


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
    decided = decide_family(spec, skill, judged, about, ledgers, given, now, lost)
    publishing = {series for series, made in decided.items() if made.publishes} & served
    walked = walked_rows(spec, store, {about[series][0] for series in publishing})
    told = []
    for series, decision in decided.items():
        member, ledger = found[series], ledgers[series]
        made = decision
        if made.suspicions:
            subject = f"{spec.name} --instrument {member.instrument}"
            study = Study(member.forecast, member.frame, workers=1)
            made = explained(made, study, member.own, ledger, subject=subject)
        (made,) = with_overrides([made], standing_overrides(member.store, member.feed, now))
        if series in publishing:
            verdicts = skill[skill[SERIES_COLUMN] == series]
            try:
                made = _publish(member, made, verdicts, walked.get(series), run_id)
            except NotEnoughDataError:
                continue
        member.own.insert(DECISIONS, ledger_table([made]), run_id)
        ledger.append(made)
        told.append(made)
    panel.commit(run_id)
    for series in served:
        if ledgers[series]:
            settle_member(found[series], ledgers[series][-1])
    return told


def _published(member: Member, ledger: Sequence[Decision]) -> bool:
    return bool(ledger) and restored(
        member.store, member.forecast.name, int(ledger[-1].version or 0)
    )


def _publish(
    member: Member,
    decision: Decision,
    verdicts: pd.DataFrame,
    walked: pd.DataFrame | None,
    run_id: str,
) -> Decision:
    """Store the bundle of a decision; the decision as it is carried out."""
    store, forecast, frame = member.store, member.forecast, member.frame
    study = Study(forecast, frame, workers=1)
    version = int(decision.version or 1)
    if store.is_remote:
        version = max([version, *(v + 1 for v in published_versions(store, forecast.name))])
    candidates = {candidate.name: candidate for candidate in forecast.all_candidates}
    best = _best(verdicts, decision)
    if walked is not None:
        walked = walked[walked["event_time"] >= frame["event_time"].iloc[0]]
    rows = said_by(walked, forecast, decision.champion)
    fitted = fit(candidates[decision.champion], study, member.own, rows, measures=False)
    made = decision.model_copy(
        update={
            "version": version,
            "data_as_of": frame["available_at"].max().to_pydatetime(),
            "label_end": fitted.facts.label_end,
        }
    )
    shown = *_measured(forecast, made, best, rows), fitted.coverage
    overwrite = not store.is_remote
    bundle = bundle_of(fitted.facts, fitted.onnx, made, shown, study, dagster_run_id=run_id)
    store_bundle(store, bundle, overwrite=overwrite)
    other = str(best["candidate"]) if best else forecast.candidates[0].name
    if made.champion == forecast.baseline.name:
        _publish_challenger(member, candidates[other], made, shown, study, walked)
    return made


def _publish_challenger(
    member: Member,
    candidate: CandidateSpec,
    decision: Decision,
    shown: tuple[ScoredMetric, ScoredMetric, float | None],
    study: Study,
    walked: pd.DataFrame | None,
) -> None:
    """Keep the best candidate as it was fitted, to say what it would have said."""
    rows = said_by(walked, member.forecast, candidate.name)
    with suppress(NotEnoughDataError):
        fitted = fit(candidate, study, member.own, rows, measures=False)
        bundle = bundle_of(fitted.facts, fitted.onnx, decision, shown, study)
        store_bundle(member.challenger, bundle, overwrite=not member.store.is_remote)


def _best(verdicts: pd.DataFrame, decision: Decision) -> dict[str, Any] | None:
    """The verdict on the champion, or on the best candidate where the baseline predicts."""
    if verdicts.empty:
        return None
    order = verdicts.sort_values(["may_predict", "skill"], ascending=False, kind="stable")
    mine = order[order["candidate"] == decision.champion]
    row = (mine if len(mine) else order).iloc[0]
    return {str(name): value for name, value in row.items()}


def _measured(
    forecast: ForecastSpec, decision: Decision, best: dict[str, Any] | None, rows: pd.DataFrame
) -> tuple[ScoredMetric, ScoredMetric]:
    """Proper score and skill that are told with a champion: those of the family's verdict.

    Of an instrument that has not been judged yet they are those of all its walk-forward rows.
    """
    if best is None:
        name = forecast.target.definition.loss_name
        told = score(rows, forecast.target.kind, forecast.target.horizon).to_dict("records")
        found = {row["metric"]: ScoredMetric.model_validate(row) for row in told}
        return found[name], found["skill"]
    n, theirs = int(best["n"]), float(best["baseline_loss"])
    loss = float(best["loss"]) if decision.predicts else theirs
    bounds = {"n": n, "baseline_value": theirs}
    return (
        ScoredMetric(
            metric=forecast.target.definition.loss_name,
            value=loss, lower=loss, upper=loss, **bounds,
        ),
        ScoredMetric(
            metric="skill", value=best["skill"], lower=best["skill_lower"],
            upper=best["skill_upper"], n=n, baseline_value=0.0,
        ),
    )  # fmt: skip


def settle_member(member: Member, decision: Decision) -> None:
    """Let the pointer, the copies and the background follow a recorded decision."""
    store, name, version = member.store, member.forecast.name, int(decision.version or 0)
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
