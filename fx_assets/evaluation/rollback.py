"""A person's step back to an earlier version, as a row of the ledger that the rule understands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile

from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import Decision, Rollback

SHORTEST_REASON = 10
"""Characters of a reason that says something."""


def meaningful(reason: str) -> str:
    """The reason without blanks around it.

    Raises
    ------
    RegistryError
        It says nothing.
    """
    if len(reason.strip()) < SHORTEST_REASON:
        raise RegistryError(
            f"The reason is {reason!r}: it stays in the ledger, for those who come after.",
            remedy=f"Say what you saw, and why this follows; {SHORTEST_REASON} characters or more.",
        )
    return reason.strip()


def versions_of(ledger: Sequence[Decision]) -> dict[int, Decision]:
    """The versions that were ever in production, each with the decision that published it."""
    return {int(d.version): d for d in reversed(ledger) if d.version is not None}


def standing_rollback(ledger: Sequence[Decision]) -> Decision | None:
    """The rollback that holds the champion as it is; ``None`` if the rule alone decides."""
    last = next((d for d in reversed(ledger) if d.verdict != "keep"), None)
    return last if last and last.rollback and last.rollback.holds else None


def rolled_away(ledger: Sequence[Decision]) -> set[str]:
    """Recipes that a standing rollback, and those just before it, took out of production."""
    if standing_rollback(ledger) is None:
        return set()
    steps = takewhile(lambda d: d.verdict in ("keep", "rollback"), reversed(ledger))
    return {str(d.recipe_before) for d in steps if d.verdict == "rollback"} - {ledger[-1].recipe}


def step_back(
    ledger: Sequence[Decision], version: int, *, by: str, reason: str, now: datetime, name: str
) -> Decision:
    """The row that puts an earlier version, or again the newest, into production.

    The evidence in it is that of the decision before: nothing is judged. A recipe that is left
    counts as demoted. One that the rule had demoted is put back without a claim to skill.

    Parameters
    ----------
    ledger
        All decisions of the series, oldest first.
    name
        The forecast, as people name it to the command.

    Raises
    ------
    RegistryError
        No such version was ever in production, it is there now, or the reason says nothing.
    """
    reason = meaningful(reason)
    known = versions_of(ledger)
    last = ledger[-1] if ledger else None
    if last is None or version not in known:
        raise RegistryError(
            f"{name} never had a v{version} in production.",
            remedy=_choice(known, last) or f"There is no champion yet: fx-assets run {name}",
        )
    target, left = known[version], last.bundle
    if version == left:
        held = standing_rollback(ledger)
        end = f" Or let the rule go on from it: fx-assets rollback {name} --release" if held else ""
        raise RegistryError(
            f"{name} v{version} is in production already.",
            remedy=(_choice(known, last) or "There is no other version.") + end,
        )
    fell = next(
        (
            d
            for d in ledger[ledger.index(target) :]
            if d.verdict == "demote" and d.recipe_before == target.recipe
        ),
        None,
    )
    said = f"put back by {by} after its demotion on {fell.decided_at:%Y-%m-%d}" if fell else ""
    earlier = version < max(known)
    verb = "Rolled back" if version < left else "Went on"
    return _row(
        last,
        now,
        f"{verb} from {last.champion} v{left} to {target.champion} v{version}, by {by}: {reason}",
        Rollback(by=by, reason=reason, left=left, holds=earlier),
        champion=target.champion,
        recipe=target.recipe,
        label_end=target.label_end,
        version=version,
        published_at=now,
        starts_cool_down=target.recipe != last.recipe,
        recipes_seen=tuple(
            sorted({*last.recipes_seen, *({target.recipe} & {*target.recipes_seen})})
        ),
        challenger=None if last.challenger == target.champion else last.challenger,
        acknowledgement=target.acknowledgement,
        failed_checks=target.failed_checks,
        claim=target.claim,
        put_back=said,
    )


def release(
    ledger: Sequence[Decision], *, by: str, reason: str, now: datetime, name: str
) -> Decision:
    """The row that ends a rollback: the version stays, and the rule goes on from it.

    Raises
    ------
    RegistryError
        No rollback stands, or the reason says nothing.
    """
    reason, held = meaningful(reason), standing_rollback(ledger)
    if held is None:
        raise RegistryError(
            f"No rollback of {name} stands.",
            remedy="There is nothing to release: the rule decides as ever.",
        )
    last = ledger[-1]
    version = last.bundle
    return _row(
        last,
        now,
        f"Released {last.champion} v{version}, by {by}: {reason}",
        Rollback(by=by, reason=reason, left=version, holds=False),
        starts_cool_down=False,
    )


def _row(
    last: Decision, now: datetime, sentence: str, said: Rollback, **changes: object
) -> Decision:
    """What all such rows have in common; figures are those of the decision before."""
    common = {
        "sequence": last.sequence + 1,
        "decided_at": now,
        "verdict": "rollback",
        "champion_before": last.champion,
        "recipe_before": last.recipe,
        "looked": False,
        "suspicions": (),
        "refresh_degradation": None,
        "refresh_upper": None,
        "boundary": None,
        "boundary_champion": None,
        "fall": None,
        "ground": "",
        "behind": False,
        "rollback": said,
        "sentence": sentence if sentence.endswith((".", "!", "?")) else f"{sentence}.",
        "reasons": (),
    }
    return last.model_copy(update=common | changes)


def _choice(known: dict[int, Decision], last: Decision | None) -> str:
    others = sorted(set(known) - {last.version if last else None})
    listed = ", ".join(f"v{number} ({known[number].champion})" for number in others)
    return f"Choose one of {listed}." if listed else ""
