"""What moved a prediction, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fx_assets.presentation.markdown import markdown_table

if TYPE_CHECKING:
    from fx_assets.explaining.explain import Explanation

MOST_INPUTS = 10
"""The others are told together."""


def effects_table(said: Explanation) -> str:
    """The inputs by their effect with its standard error, and what they add up to; Markdown."""
    shown, others = said.contributions[:MOST_INPUTS], said.contributions[MOST_INPUTS:]
    rows = [
        [c.name, _number(c.value), _number(c.usual), f"{c.effect:+.4g} ± {c.standard_error:.1g}"]
        for c in shown
    ]
    if others:
        rest = sum(c.effect for c in others)
        rows.append([f"{len(others)} other inputs", "", "", f"{rest:+.4g}"])
    rows += [["usually", "", "", f"{said.base:.4g}"], [said.scale, "", "", f"{said.total:.4g}"]]
    return markdown_table(["input", "value", "usual", "effect"], rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
