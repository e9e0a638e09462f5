"""Puts an earlier version of a champion into production, because a person says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fx_assets.bundles.bundle import load
from fx_assets.bundles.copies import restored
from fx_assets.bundles.records import folder
from fx_assets.bundles.signing import require_sealed
from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.rollback import release, step_back, versions_of
from fx_assets.evaluation.universe_skill import may_predict
from fx_assets.lake.panel import Panel
from fx_assets.series.tables import SeriesTables
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.champion import record
from fx_assets.stages.members import Member, members_of
from fx_assets.stages.panel_decide import settle_member
from fx_assets.tables import SKILL

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def roll_back(
    own: SeriesTables,
    version: int | None,
    *,
    by: str,
    reason: str,
    now: datetime,
    name: str = "",
    allow: Callable[[Decision], None] | None = None,
) -> Decision:
    """Record that a version predicts from now on; ``None`` releases the one that does.

    Pointer and aliases follow by :func:`fx_assets.stages.reconcile.reconcile`.

    Parameters
    ----------
    name
        What a person calls it; the forecast's unless it is given.
    allow
        Raises where the version may not predict.

    Raises
    ------
    RegistryError
        It cannot be: see :func:`fx_assets.evaluation.rollback.step_back`; its bundle is gone, or
        somebody has decided meanwhile.
    """
    name = name or own.forecast
    with own.store.lock(f"decisions-{own.forecast}"):
        ledger = own.ledger()
        if version is None:
            made = release(ledger, by=by, reason=reason, now=now, name=name)
        else:
            made = step_back(ledger, version, by=by, reason=reason, now=now, name=name)
            if allow is not None:
                allow(made)
            _require_bundle(own, version, sorted(versions_of(ledger)))
        record(own, [made])
    return made


def roll_back_member(
    spec: UniverseSpec,
    store: Lake,
    instrument: str | None,
    target: str | None,
    version: int | None,
    **said: Any,
) -> Decision:
    """As :func:`roll_back`, of one instrument and target of a universe.

    Only the baseline, or a recipe that may predict by the rows of today, may return.

    Raises
    ------
    RegistryError
        As there; which member is meant is not clear; or the recipe shows no skill.
    """
    panel = Panel(store, spec.name)
    member = _member(spec, panel, instrument, target)
    name = f"{spec.name} --instrument {member.instrument} --target {_target(member)}"

    def skilled(made: Decision) -> None:
        _require_skill(spec, store, member, made)

    made = roll_back(member.own, version, name=name, allow=skilled, **said)
    panel.commit()
    settle_member(member, made)
    return made


def _require_bundle(own: SeriesTables, version: int, versions: list[int]) -> None:
    name, store = own.forecast, own.store
    if not restored(store, name, version):
        whole = [f"v{v}" for v in versions if v != version and restored(store, name, v)]
        raise RegistryError(
            f"The bundle {folder(name, version)} is gone or damaged, and no copy of it is left.",
            remedy=f"Put it back from a backup, or choose one that is whole: {', '.join(whole)}.",
        )
    require_sealed(store, name, version, load(store, name, version).ref.manifest_sha256)


def _require_skill(spec: UniverseSpec, store: Lake, member: Member, made: Decision) -> None:
    if made.recipe == member.forecast.recipe_hash(member.forecast.baseline):
        return
    skill = store.read(SKILL.name, spec.name)
    shown = skill[may_predict(skill)]
    if not ((shown["series"] == member.own.series.id) & (shown["recipe"] == made.recipe)).any():
        raise RegistryError(
            f"{made.champion} of {member.instrument} shows no skill on the rows of today, after "
            f"Holm's correction for all tests of {spec.name}.",
            remedy="Choose another version, such as one of the baseline.",
        )


def _member(spec: UniverseSpec, panel: Panel, instrument: str | None, target: str | None) -> Member:
    members = members_of(spec, panel, instrument)
    found = [m for m in members if target in (None, m.target.kind, _target(m))]
    if len(found) != 1:
        raise RegistryError(
            f"{spec.name} predicts {len(members)} targets of {instrument}: say which."
            if target is None
            else f"{target!r} is not one target of {spec.name}.",
            remedy=f"Give --target, one of {', '.join(map(_target, members))}.",
        )
    return found[0]


def _target(member: Member) -> str:
    return f"{member.target.kind}:{member.target.horizon}"
