"""What is decided about, said of and found of every instrument of a universe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fx_assets.bundles.universes import (
    PanelInstrument,
    PanelTarget,
    UniverseFacts,
    universe_path,
)
from fx_assets.errors import NotEnoughDataError, RegistryError
from fx_assets.evaluation.decision import Decision, caveat_text, ledger_table, read_ledger
from fx_assets.evaluation.family import decide_family
from fx_assets.evaluation.intervals import ewma_volatility, fit_intervals
from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.evaluation.study import Study
from fx_assets.evaluation.suspicion import Acknowledgement
from fx_assets.evaluation.universe import adopted, between, current_rows, one_thread
from fx_assets.evaluation.universe_members import histories, members
from fx_assets.evaluation.universe_skill import best_candidates
from fx_assets.features import add_labels, build_features
from fx_assets.lake.panel import InstrumentLake, Panel
from fx_assets.models import code_version
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.universe import UniverseSpec, UniverseTarget
from fx_assets.stages.acknowledgements import acknowledge, read_acknowledgements
from fx_assets.stages.champion import explained, with_overrides
from fx_assets.stages.issue import about_bar
from fx_assets.stages.overrides import standing_overrides
from fx_assets.stages.panel import held_back
from fx_assets.tables import (
    BACKTEST,
    DECISIONS,
    MEMBERSHIP,
    OUTCOMES,
    PREDICTIONS,
    PRICES,
    RAW_PRICES,
    SERIES_COLUMN,
    SKILL,
    UNIVERSE_OUTCOMES,
    UNIVERSE_PREDICTIONS,
)

if TYPE_CHECKING:
    from fx_assets.lake import Lake

WALKED = [
    *(SERIES_COLUMN, "instrument", "kind", "horizon", "candidate", "recipe", "event_time"),
    *("prediction", "target", "baseline", "batch"),
]
"""What has to be read of the walk-forward rows to learn intervals from them."""


@dataclass(frozen=True)
class Member:
    """One instrument and target of a universe, as its own feed and forecast."""

    instrument: str
    target: UniverseTarget
    feed: FeedSpec
    forecast: ForecastSpec
    store: InstrumentLake
    own: SeriesTables

    @property
    def ledger(self) -> list[Decision]:
        """Its decisions, oldest first."""
        table = self.own.read(DECISIONS)
        return [] if table.empty else read_ledger(table)


def each_member(spec: UniverseSpec, panel: Panel, instruments: Sequence[str]) -> Iterator[Member]:
    """Every target of these instruments."""
    for instrument in instruments:
        feed = spec.feed(instrument)
        for target in spec.targets:
            store = panel.of(instrument, kind=target.kind, horizon=target.horizon)
            forecast = spec.forecast(instrument, target)
            own = SeriesTables(store, forecast, feed)
            yield Member(instrument, target, feed, forecast, store, own)


def members_of(spec: UniverseSpec, panel: Panel, instrument: str | None) -> list[Member]:
    """Every target of an instrument that a person names.

    Raises
    ------
    RegistryError
        The universe has no such instrument.
    """
    known = sorted(panel.lake.read(MEMBERSHIP.name, spec.name)["instrument"].unique())
    if instrument is None or instrument not in known:
        raise RegistryError(
            f"{spec.name} has no instrument {instrument!r}."
            if instrument
            else f"{spec.name} is of many instruments: say which.",
            remedy=f"Give --instrument, one of {', '.join(known)}.",
        )
    return list(each_member(spec, panel, [instrument]))


def decide_panel(
    spec: UniverseSpec,
    store: Lake,
    skill: pd.DataFrame,
    judged: pd.DataFrame,
    now: datetime,
    run_id: str = "",
) -> list[Decision]:
    """Record who predicts, where that or what is held back has changed.

    Parameters
    ----------
    skill, judged
        The table of verdicts, and the rows that it is of.
    """
    panel = Panel(store, spec.name)
    found = {
        member.own.series.id: member
        for member in each_member(spec, panel, sorted(skill["instrument"].unique()))
    }
    ledgers = {series: member.ledger for series, member in found.items()}
    given = read_acknowledgements(store, spec.name)
    told = []
    for series, decision in decide_family(spec, skill, judged, ledgers, given, now).items():
        member = found[series]
        decision = _explained(spec, member, decision, ledgers[series])
        bars = panel.of(member.instrument)
        (decision,) = with_overrides([decision], standing_overrides(bars, member.feed, now))
        member.own.insert(DECISIONS, ledger_table([decision]), run_id)
        told.append(decision)
    panel.commit(run_id)
    return told


def _explained(
    spec: UniverseSpec, member: Member, decision: Decision, ledger: Sequence[Decision]
) -> Decision:
    if not decision.suspicions:
        return decision
    market, target = member.feed.market, member.forecast.target
    bars = member.store.read(PRICES.name, member.feed.name)
    bars = bars.sort_values("event_time", ignore_index=True)
    frame = add_labels(build_features(bars, spec.features, market), target, market)
    study = Study(member.forecast, frame, workers=1)
    subject = f"{spec.name} --instrument {member.instrument}"
    return explained(decision, study, member.own, ledger, subject=subject)


def acknowledge_member(
    spec: UniverseSpec,
    store: Lake,
    instrument: str | None,
    candidate: str,
    *,
    reason: str,
    by: str,
    now: datetime,
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
    given = acknowledge(member.own, candidate, reason=reason, by=by, now=now)
    panel.commit()
    return given


def issue_panel(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], now: datetime, run_id: str = ""
) -> pd.DataFrame:
    """Predict from the newest bar of every member, where that has not been done.

    A member whose newest bar is older than the source's is predicted from while the bar that
    follows it has not closed. Pegged members, and instruments beside whose bars a refusal stands,
    are left out. The ``champion`` of the newest decision predicts, ``candidate`` is the best of
    each instrument and target, and ``candidate_prediction`` what it says.

    Returns
    -------
    DataFrame
        The new rows of the ``predictions`` table.
    """
    panel = Panel(store, spec.name)
    known = store.read(MEMBERSHIP.name, spec.name)
    prices = store.read(PRICES.name, spec.name)
    newest = prices["event_time"].max()
    in_now = set(members(known, now)) & set(instruments)
    held = held_back(spec, panel, sorted(in_now))
    best = best_candidates(store.read(SKILL.name, spec.name))
    walked = _walked(spec, store, in_now)
    versions = {f"{RAW_PRICES.name}/{spec.name}": store.version(RAW_PRICES.name, spec.name)}
    made: list[dict[str, Any]] = []
    with one_thread():
        for instrument, bars in prices[prices["instrument"].isin(in_now)].groupby("instrument"):
            name, last = str(instrument), bars["event_time"].max()
            following = spec.market.next_close(last.to_pydatetime(), 1)
            if name in held or (last != newest and now >= following):
                continue
            waiting = [
                member
                for member in each_member(spec, panel, [name])
                if last not in set(member.own.read(PREDICTIONS).get("event_time", ()))
            ]
            if not waiting:
                continue
            span = histories(known, name)[-1]
            features = build_features(between(bars, span), spec.features, spec.market)
            overridden = standing_overrides(panel.of(name), waiting[0].feed, now)
            for member in waiting:
                row = _row(member, features, best, walked, overridden, now)
                row["table_versions"] = json.dumps(versions)
                table = pd.DataFrame([row], columns=list(UNIVERSE_PREDICTIONS.names))
                member.own.insert(PREDICTIONS, table.astype(UNIVERSE_PREDICTIONS.dtypes), run_id)
                made.append(row)
    panel.commit(run_id)
    publish_facts(spec, store, known, now)
    return pd.DataFrame(made, columns=list(UNIVERSE_PREDICTIONS.names)).astype(
        UNIVERSE_PREDICTIONS.dtypes
    )


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
    prices = dict(iter(store.read(PRICES.name, spec.name).groupby("instrument")))
    added = []
    for member in each_member(spec, panel, [name for name in instruments if name not in held]):
        issued = member.own.read(PREDICTIONS)
        if issued.empty or member.instrument not in prices:
            continue
        bars = prices[member.instrument].sort_values("event_time", ignore_index=True)
        issued = issued.reindex(columns=[*dict.fromkeys([*issued, "lower", "upper"])])
        known = join_outcomes(issued, bars, member.forecast, member.feed.market)
        fresh = member.own.unknown(OUTCOMES, known)
        member.own.insert(OUTCOMES, fresh, run_id)
        added.append(fresh)
    panel.commit(run_id)
    if not store.exists(OUTCOMES.name, spec.name):
        none = pd.DataFrame(columns=list(UNIVERSE_OUTCOMES.names))
        none = none.astype(UNIVERSE_OUTCOMES.dtypes)
        store.append(OUTCOMES.name, spec.name, none, run_id=run_id)
    filled = [rows for rows in added if len(rows)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _walked(
    spec: UniverseSpec, store: Lake, instruments: set[str]
) -> dict[tuple[str, str], pd.DataFrame]:
    """Walk-forward rows by series and candidate."""
    rows = store.read_known(BACKTEST.name, spec.name, WALKED)
    if rows.empty:
        return {}
    rows = current_rows(adopted(spec, rows[rows["instrument"].isin(instruments)]))
    rows = rows.sort_values("event_time", kind="stable")
    return {(str(a), str(b)): part for (a, b), part in rows.groupby([SERIES_COLUMN, "candidate"])}


def _row(
    member: Member,
    features: pd.DataFrame,
    best: pd.DataFrame,
    walked: dict[tuple[str, str], pd.DataFrame],
    overridden: tuple[str, ...],
    now: datetime,
) -> dict[str, Any]:
    spec, market, target = member.forecast, member.feed.market, member.target
    frame = add_labels(features, spec.target, market)
    ledger = member.ledger
    decision = ledger[-1] if ledger else None
    verdict = _verdict(best, member)
    name = verdict["candidate"]
    shown = decision is not None and decision.predicts
    if decision is not None and shown:
        name = decision.champion
    candidate = next(c for c in spec.candidates if c.name == name)
    study = Study(spec, frame, workers=1)
    fitted = study.final(candidate)
    inputs = study.inputs(candidate.family).matrix[-1:]
    said, baseline = float(fitted.model.predict(inputs)[0]), float(study.baseline[-1])
    value, last = said if shown else baseline, frame.iloc[-1]
    rows = walked.get((member.own.series.id, name), pd.DataFrame(columns=WALKED))
    if not shown:
        rows = rows.assign(prediction=rows["baseline"])
    lower, upper = _interval(rows, frame, spec, value)
    decided = market.publication(last["event_time"].to_pydatetime())
    failed = tuple(sorted({*overridden, *(decision.failed_checks if decision else ())}))
    return {
        **about_bar(member.own.series, last, decided, market, now),
        "prediction": value,
        "lower": lower,
        "upper": upper,
        "coverage": spec.coverage,
        "baseline": baseline,
        "baseline_name": target.baseline,
        "champion": candidate.name if shown else target.baseline,
        "champion_version": f"v{decision.version if decision else 0}",
        "candidate": candidate.name,
        "candidate_prediction": said,
        "recipe": fitted.recipe if shown else spec.recipe_hash(spec.baseline),
        "champion_decided_at": pd.Timestamp(decision.decided_at if decision else now),
        "champion_label_end": fitted.label_end,
        "score_name": spec.target.definition.loss_name,
        "score": verdict["loss"] if shown else verdict["baseline_loss"],
        "baseline_score": verdict["baseline_loss"],
        "score_rows": int(verdict["n"]),
        "skill": verdict["skill"],
        "skill_lower": verdict["skill_lower"],
        "skill_upper": verdict["skill_upper"],
        "p_holm": verdict["p_holm"],
        "skill_demonstrated": shown,
        "verdict": "",
        "claim": "",
        "failed_checks": ", ".join(failed),
        "caveat": caveat_text(decision, failed) if decision else "",
        "code_version": code_version(candidate.family if shown else target.baseline),
        "input_hash": hashlib.sha256(np.ascontiguousarray(inputs).tobytes()).hexdigest()[:16],
    }


def _verdict(best: pd.DataFrame, member: Member) -> dict[str, Any]:
    """The skill of the best candidate; of the first declared one if none was judged."""
    target = member.target
    found = best[
        (best["instrument"] == member.instrument)
        & (best["kind"] == target.kind)
        & (best["horizon"] == target.horizon)
    ]
    if len(found):
        return {str(name): value for name, value in found.iloc[0].items()}
    unknown = ("skill", "skill_lower", "skill_upper", "p_holm", "loss", "baseline_loss")
    return {"candidate": target.candidates[0].name, "n": 0, **dict.fromkeys(unknown, np.nan)}


def _interval(
    rows: pd.DataFrame, frame: pd.DataFrame, spec: ForecastSpec, value: float
) -> tuple[float, float]:
    """Bounds that hold the prediction, of what came after such words; NaN while too few did."""
    volatility = pd.Series(
        ewma_volatility(frame["log_return"]), index=pd.DatetimeIndex(frame["event_time"])
    )
    inside = rows[rows["event_time"].isin(volatility.index)]
    try:
        learned = fit_intervals(inside, spec.target.kind, spec.coverage, volatility)
    except NotEnoughDataError:
        return np.nan, np.nan
    lower, upper = learned.interval(value, float(volatility.iloc[-1]))
    return min(lower, value), max(upper, value)
