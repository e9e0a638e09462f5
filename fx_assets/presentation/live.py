"""What live rows say of candidates, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fx_assets.plural import counted
from fx_assets.presentation.markdown import markdown_table

if TYPE_CHECKING:
    import pandas as pd


def evidence_text(row: Mapping[str, Any]) -> str:
    """A candidate's live skill against the baseline, since when, and how sure that is.

    Skill and bounds are of differences of losses of which large ones are cut.
    """
    text = f"{row['candidate']} {_percent(row['skill'])} on {counted(int(row['rows']), 'row')}"
    text += f" since {row['since']:%Y-%m-%d}"
    if row["e_better"] != row["e_better"]:
        return text
    bounds = f"{_percent(row['skill_lower'])} to {_percent(row['skill_upper'])}"
    better, worse = (f"{row[name]:.2g}" for name in ("e_better", "e_worse"))
    evidence = f"e-value that it is better {better}, that it is worse {worse}"
    return f"{text} ({bounds}, large differences cut; {evidence})"


def evidence_lines(rows: pd.DataFrame, name: str) -> list[str]:
    """A line for each candidate of a forecast or member of this name, the best first."""
    return [f"live: {name}: {evidence_text(row)}" for row in ranked(rows)]


EVIDENCE = ("candidate", "since", "rows", "skill live, cut", "95 %, at any time", "better", "worse")
"""What :func:`evidence_cells` are of."""


def evidence_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A candidate's live evidence as cells of a table."""
    return (
        *(str(row["candidate"]), f"{row['since']:%Y-%m-%d}", str(int(row["rows"]))),
        _percent(row["skill"]),
        f"{_percent(row['skill_lower'])} to {_percent(row['skill_upper'])}",
        *(f"{row['e_better']:.3g}", f"{row['e_worse']:.3g}"),
    )


def evidence_table(rows: pd.DataFrame) -> str:
    """Markdown, the best first."""
    return markdown_table(EVIDENCE, map(evidence_cells, ranked(rows)))


def ranked(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the table ``live_evidence``, the best first; none where nothing is known yet."""
    if rows.empty:
        return []
    ordered = rows.sort_values("skill", ascending=False, kind="stable")
    return [{str(k): v for k, v in row.items()} for row in ordered.to_dict("records")]


def _percent(value: float) -> str:
    return "unknown" if value != value else f"{100 * value:+.2f} %"
