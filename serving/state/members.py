"""The members of universes as services: made from the newest rows of the universe's tables."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import ValidationError

from fx_assets.bundles.records import BaselineFacts, SkillFacts, version_of
from fx_assets.bundles.universes import (
    FOLDER,
    Member,
    PanelInstrument,
    PanelTarget,
    UniverseFacts,
)
from fx_assets.calendars import calendar
from fx_assets.evaluation.intervals import IntervalModel
from fx_assets.specs.forecast import TargetSpec
from fx_assets.targets import target_definition
from serving.blobs import Files
from serving.http.problems import Problem, shortened
from serving.queries.query import LiveSkill, Newest, Reigns
from serving.queries.reader import Tables
from serving.schemas import Reign
from serving.state.champions import Champion, ref_of
from serving.state.declared import DeclaredUniverse
from serving.state.service import Service
from serving.state.trust import Trust

_log = logging.getLogger("serving")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Choice:
    """Which member of a universe is asked for."""

    instrument: str | None = None
    target: str | None = None
    horizon: int | None = None

    @property
    def made(self) -> bool:
        """Whether anything is chosen."""
        return (self.instrument, self.target, self.horizon) != (None, None, None)


@dataclass(frozen=True)
class Aim:
    """What the words of an answer depend on."""

    target: TargetSpec


class MemberChampion:
    """What answers need of a champion that has no bundle."""

    def __init__(self, manifest: Member) -> None:
        self.manifest = manifest
        self.definition = target_definition(manifest.target)
        self.market = calendar(manifest.calendar)
        self.version = manifest.version
        self.ref = ref_of(manifest)
        self.predictor = Aim(TargetSpec(kind=manifest.target, horizon=manifest.horizon))


def read_universes(
    files: Files, present: Mapping[str, UniverseFacts], trust: Trust
) -> Mapping[str, UniverseFacts]:
    """Every universe that the lake publishes; what was read last of one that cannot be followed."""
    found = {}
    for path in files.list_blobs(f"{FOLDER}/"):
        name, raw = path.rpartition("/")[2].removesuffix(".json"), files.read_blob(path)
        if name in present:
            found[name] = present[name]
        if trust.reason(raw, path) is not None:
            continue
        try:
            found[name] = UniverseFacts.model_validate_json(raw)
            trust.accept(raw, path)
        except ValidationError as error:
            _log.warning("%s cannot be read: %s values are wrong", path, error.error_count())
    return found


Published = Callable[[Member], Awaitable[Champion | None]]
"""The champion that a member has published."""


async def member_service(
    tables: Tables,
    published: Published,
    facts: UniverseFacts,
    choice: Choice,
    declared: DeclaredUniverse | None = None,
) -> Service:
    """The service of the member that is asked for.

    One of which nothing was issued has its bars, and the walk-forward rows of whoever was decided
    on last. A champion of another series than the member's is not its champion.

    Raises
    ------
    Problem
        400 where the choice is not complete, 404 where there is no such member, 503 where what is
        published of it is of another series than the declared one.
    """
    instrument, target = _chosen(facts, choice)
    manifest = _manifest(facts, instrument, target)
    weighed = dict(zip(facts.targets, instrument.strategies, strict=False)).get(target)
    reason = declared and declared.contradiction(manifest)
    if reason:
        raise Problem(
            503,
            "champion-of-another-series",
            f"{instrument.instrument} of {facts.forecast} has no champion yet: {reason}",
            field="instrument",
            value=instrument.instrument,
            remedy=f"Run fx-assets universe {facts.forecast}, or declare it as it was.",
        )
    found = await published(manifest)
    if found is not None and found.manifest.series not in ("", manifest.series):
        found = None
    if found is not None:
        manifest = cast("Member", found.manifest)
    row, context, drift = await tables.ask(Newest(manifest))
    live = await tables.ask(LiveSkill(manifest))
    if found is not None:
        return Service(found, b"", row, context, drift, live, strategy=weighed)
    if row is not None:
        champion = cast("Champion", MemberChampion(_of_row(manifest, row)))
        return Service(champion, b"", row, context, drift, live, strategy=weighed)
    reigns = await tables.ask(Reigns(manifest))
    champion = cast("Champion", MemberChampion(_of_reign(manifest, reigns[0] if reigns else None)))
    unsaid = Problem(
        404,
        "nothing-said",
        f"Nothing has been said of {instrument.instrument} in {facts.forecast}: it is "
        f"{_STATES.get(instrument.state, instrument.state)}.",
        field="instrument",
        value=instrument.instrument,
        remedy=f"GET /v1/forecasts/{facts.forecast}/instruments lists who is a member; .../history "
        "with mode=backtest has what was said of it walking forward, .../prices its bars.",
    )
    return Service(champion, b"", None, context, drift, live, strategy=weighed, unsaid=unsaid)


_STATES = {
    "member": "a member, and its first prediction is awaited",
    "pegged": "pegged, so that there is nothing to forecast",
    "left": "no member any longer",
    "young": "not a member yet, its history is too short",
}


def _chosen(facts: UniverseFacts, choice: Choice) -> tuple[PanelInstrument, PanelTarget]:
    names = ", ".join(one.instrument for one in facts.instruments)
    if choice.instrument is None:
        raise Problem(
            400,
            "which-instrument",
            f"{facts.forecast} is of {len(facts.instruments)} instruments: say which.",
            field="instrument",
            remedy=f"Add instrument=, one of {names}.",
        )
    found = facts.of(choice.instrument.upper())
    if found is None:
        raise Problem(
            404,
            "no-such-instrument",
            f"{facts.forecast} has no instrument {shortened(choice.instrument)!r}.",
            field="instrument",
            value=choice.instrument,
            remedy=f"Choose one of {names}.",
        )
    fits = [
        target
        for target in facts.targets
        if choice.target in (None, target.kind) and choice.horizon in (None, target.horizon)
    ]
    if len(fits) == 1:
        return found, fits[0]
    offered = " or ".join(target.name for target in facts.targets)
    if not fits:
        raise Problem(
            404,
            "no-such-target",
            f"{facts.forecast} does not predict target={choice.target or 'any'} with "
            f"horizon={choice.horizon or 'any'}.",
            field="target",
            value=choice.target,
            remedy=f"Choose {offered}.",
        )
    raise Problem(
        400,
        "which-target",
        f"{facts.forecast} predicts {len(fits)} things of each instrument: say which.",
        field="target",
        remedy=f"Add {offered}.",
    )


def _manifest(facts: UniverseFacts, instrument: PanelInstrument, target: PanelTarget) -> Member:
    series = dict(zip(facts.targets, instrument.series, strict=True))[target]
    told: dict[str, Any] = {
        "forecast": facts.forecast,
        "feed": instrument.feed,
        "calendar": facts.calendar,
        "instrument": instrument.instrument,
        "series": series,
        "target": target.kind,
        "horizon": target.horizon,
        "target_unit": target.unit,
        "baseline": BaselineFacts(family=target.baseline),
        "candidate": target.baseline,
        "family": target.baseline,
        "params": {},
        "recipe": "",
        "code_version": "",
        "feature_set": facts.feature_set,
        "columns": (),
        "input_names": (),
        "intervals": cast("Any", IntervalModel).model_construct(coverage=facts.coverage),
        "trained_through": _NEVER,
        "label_end": _NEVER,
        "version": 0,
        "skill": cast("Any", SkillFacts).model_construct(interval_coverage=None),
        "baseline_predicts": True,
    }
    return Member.model_construct(**told)


def _of_reign(manifest: Member, reign: Reign | None) -> Member:
    """With the champion that is in office; without a decision the baseline."""
    if reign is None:
        return manifest
    told = {
        "candidate": reign.champion,
        "family": reign.champion,
        "recipe": reign.recipe,
        "baseline_predicts": reign.champion == manifest.candidate,
    }
    return manifest.model_copy(update=told)


def _of_row(manifest: Member, row: Mapping[str, Any]) -> Member:
    """With the champion that made a row."""
    return manifest.model_copy(
        update={
            "candidate": row["champion"],
            "family": row["champion"],
            "recipe": row["recipe"],
            "code_version": row["code_version"],
            "version": version_of(row),
            "label_end": row["champion_label_end"],
            "trained_through": row["champion_label_end"],
            "baseline_predicts": row["champion"] == row["baseline_name"],
        }
    )
