"""The promotion history as people read it: who was champion when, why, and on which evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fx_assets.evaluation.decision import Decision, Verdict
from fx_assets.presentation.markdown import markdown_table
from fx_assets.specs.base import Spec


class Reign(Spec):
    """A champion's time in office, with the evidence of the decision that began it."""

    forecast: str
    champion: str
    recipe: str
    since: datetime
    until: datetime | None
    """``None`` for the present one."""
    how: Verdict
    why: str
    skill: float | None
    clark_west_p: float | None
    needed_p: float
    diebold_mariano_p: float | None
    trials: int
    """Recipes tried (K)."""
    rows: int
    row_hash: str
    versions: tuple[int, ...]
    """The bundles that it published."""
    refreshes: int
    looks: int
    """How often challengers were tested against it."""
    challengers_refused: int
    """How often the best of them was refused."""
    ended: str
    """Why it ended; empty for the present one."""


def reigns(decisions: Sequence[Decision]) -> list[Reign]:
    """One record a reign, oldest first, of a forecast's ledger in any order."""
    groups: list[list[Decision]] = []
    for decision in sorted(decisions, key=lambda decision: decision.sequence):
        same = groups and groups[-1][-1].recipe == decision.recipe
        if same and decision.verdict != "rollback":
            groups[-1].append(decision)
        else:
            groups.append([decision])
    following = [*(group[0] for group in groups[1:]), None]
    return [_reign(group, successor) for group, successor in zip(groups, following, strict=False)]


def ledger_markdown(decisions: Sequence[Decision], most: int = 20) -> str:
    """The reigns as a Markdown table, newest first, and the newest decision below."""
    told = reigns(decisions)
    if not told:
        return "No decision has been made yet."
    rows = [
        [
            reign.champion,
            f"{reign.since:%Y-%m-%d}",
            f"{reign.until:%Y-%m-%d}" if reign.until else "now",
            reign.how,
            _evidence(reign),
            reign.refreshes,
            reign.looks,
            reign.why + (f" Ended: {reign.ended}" if reign.ended else ""),
        ]
        for reign in reversed(told[-most:])
    ]
    newest = max(decisions, key=lambda decision: decision.sequence)
    said = f"Newest decision, {newest.decided_at:%Y-%m-%d %H:%M} UTC: {newest.sentence}"
    header = ["champion", "from", "until", "how", "evidence", "refreshes", "looks", "why"]
    return f"{markdown_table(header, rows)}\n\n{said}"


def _reign(group: Sequence[Decision], successor: Decision | None) -> Reign:
    first = group[0]
    found = first.statistics_of(first.champion)
    looks = [decision for decision in group[1:] if decision.looked]
    return Reign(
        forecast=first.forecast,
        champion=first.champion,
        recipe=first.recipe,
        since=first.decided_at,
        until=successor.decided_at if successor else None,
        how=first.verdict,
        why=first.sentence,
        skill=found.skill if found else None,
        clark_west_p=found.clark_west_p if found else None,
        needed_p=(found and found.needed_p) or first.thresholds.clark_west_p,
        diebold_mariano_p=found.diebold_mariano_p if found else None,
        trials=first.trials,
        rows=first.rows,
        row_hash=first.row_hash,
        versions=tuple(dict.fromkeys(d.version for d in group if d.version)),
        refreshes=sum(decision.verdict == "refresh" for decision in group),
        looks=len(looks),
        challengers_refused=sum(decision.challenger is not None for decision in looks),
        ended=successor.sentence if successor else "",
    )


def _evidence(reign: Reign) -> str:
    said = f"n = {reign.rows:,}, K = {reign.trials}, rows {reign.row_hash}"
    if reign.clark_west_p is None or reign.skill is None:
        return said
    return f"skill {100 * reign.skill:+.2f} %, Clark–West p = {reign.clark_west_p:.2g}, {said}"
