"""The promotion history as people read it: who was champion when, why, and on which evidence."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fx_assets.evaluation.decision import Decision

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


def reigns(decisions: Sequence[Decision]) -> pd.DataFrame:
    """One row a reign: a champion's time in office, from the decision that began it.

    Parameters
    ----------
    decisions
        The forecast's ledger, in any order.

    Returns
    -------
    DataFrame
        ``REIGN_COLUMNS``, oldest first. ``until`` is NaT and ``ended`` empty for the present one;
        ``skill``, p-values, ``trials`` and ``rows`` are the evidence at its beginning;
        ``versions`` are the bundles that it published; ``looks`` counts how often challengers were
        tested against it, and ``challengers_refused`` how often the best of them was refused.
    """
    ordered = sorted(decisions, key=lambda decision: decision.sequence)
    groups: list[list[Decision]] = []
    for decision in ordered:
        if groups and groups[-1][-1].recipe == decision.recipe:
            groups[-1].append(decision)
        else:
            groups.append([decision])
    rows = [
        _reign(group, groups[i + 1][0] if i + 1 < len(groups) else None)
        for i, group in enumerate(groups)
    ]
    table = pd.DataFrame(rows, columns=list(REIGN_COLUMNS))
    for column in ("from", "until"):  # a lone reign has no end, and so no time zone
        table[column] = pd.to_datetime(table[column], utc=True)
    return table.astype(REIGN_COLUMNS)


def ledger_markdown(decisions: Sequence[Decision], most: int = 20) -> str:
    """The reigns as a Markdown table, newest first, and the newest decision below."""
    table = reigns(decisions)
    if table.empty:
        return "No decision has been made yet."
    lines = [
        "| champion | from | until | how | evidence | refreshes | looks | why |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in reversed(table.to_dict("records")[-most:]):
        until = "now" if pd.isna(row["until"]) else f"{row['until']:%Y-%m-%d}"
        cells = [
            row["champion"],
            f"{row['from']:%Y-%m-%d}",
            until,
            row["how"],
            _evidence(row),
            row["refreshes"],
            row["looks"],
            row["why"] + (f" Ended: {row['ended']}" if row["ended"] else ""),
        ]
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    newest = max(decisions, key=lambda decision: decision.sequence)
    lines.append(f"\nNewest decision, {newest.decided_at:%Y-%m-%d %H:%M} UTC: {newest.sentence}")
    return "\n".join(lines)


def _reign(group: Sequence[Decision], successor: Decision | None) -> dict[str, object]:
    first = group[0]
    found = first.statistics_of(first.champion)
    looks = [decision for decision in group[1:] if decision.looked]
    return {
        "forecast": first.forecast,
        "champion": first.champion,
        "recipe": first.recipe,
        "from": pd.Timestamp(first.decided_at),
        "until": pd.Timestamp(successor.decided_at) if successor else pd.NaT,
        "how": first.verdict,
        "why": first.sentence,
        "skill": found.skill if found else float("nan"),
        "clark_west_p": _number(found.clark_west_p if found else None),
        "needed_p": first.thresholds.clark_west_p,
        "diebold_mariano_p": _number(found.diebold_mariano_p if found else None),
        "trials": first.trials,
        "rows": first.rows,
        "row_hash": first.row_hash,
        "versions": ", ".join(
            f"v{version}" for version in dict.fromkeys(d.version for d in group) if version
        ),
        "refreshes": sum(decision.verdict == "refresh" for decision in group),
        "looks": len(looks),
        "challengers_refused": sum(decision.challenger is not None for decision in looks),
        "ended": successor.sentence if successor else "",
    }


def _evidence(row: dict[object, object]) -> str:
    said = f"n = {row['rows']:,}, K = {row['trials']}, rows {row['row_hash']}"
    p = row["clark_west_p"]
    if isinstance(p, float) and not pd.isna(p):
        said = f"skill {100 * float(str(row['skill'])):+.2f} %, Clark–West p = {p:.2g}, " + said
    return said


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
