"""The promotion history as people read it: who was champion when, why, and on which evidence.

Needs pandas for the table only: the server tells the same history without.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from fx_assets.evaluation.decision import Decision, Verdict
from fx_assets.presentation.markdown import markdown_table
from fx_assets.specs.base import Spec

if TYPE_CHECKING:
    import pandas as pd

REIGN_COLUMNS: dict[str, str] = {
    "forecast": "object",
    "champion": "object",
    "recipe": "object",
    "from": "datetime64[us, UTC]",
    "until": "datetime64[us, UTC]",
    "how": "object",
    "why": "object",
    "skill": "float64",
    "clark_west_p": "float64",
    "needed_p": "float64",
    "diebold_mariano_p": "float64",
    "trials": "int64",
    "rows": "int64",
    "row_hash": "object",
    "versions": "object",
    "refreshes": "int64",
    "looks": "int64",
    "challengers_refused": "int64",
    "ended": "object",
}
"""Columns of :func:`reigns` with their pandas dtypes."""


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


def reign_records(decisions: Sequence[Decision]) -> list[Reign]:
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


def reigns(decisions: Sequence[Decision]) -> pd.DataFrame:
    """The same as a table: ``REIGN_COLUMNS``, oldest first; ``until`` is NaT where it has no end.

    Parameters
    ----------
    decisions
        The forecast's ledger, in any order.
    """
    import pandas as pd

    rows = []
    for reign in reign_records(decisions):
        versions = ", ".join(f"v{version}" for version in reign.versions)
        rows.append(reign.model_dump() | {"from": reign.since, "versions": versions})
    table = pd.DataFrame(rows, columns=list(REIGN_COLUMNS))
    for column in ("from", "until"):  # a lone reign has no end, and so no time zone
        table[column] = pd.to_datetime(table[column], utc=True)
    return table.astype(REIGN_COLUMNS)


def ledger_markdown(decisions: Sequence[Decision], most: int = 20) -> str:
    """The reigns as a Markdown table, newest first, and the newest decision below."""
    told = reign_records(decisions)
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
