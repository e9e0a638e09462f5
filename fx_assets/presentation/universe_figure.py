"""The skill of a whole universe in one picture."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fx_assets.plural import counted
from fx_assets.presentation.chart import BLUE, GREY, Chart, ends

_ROW, _REST = 14, 90
"""Pixels for an instrument, and for title and axis."""


def skill_figure(best: pd.DataFrame) -> str:
    """Skill with its 95 % interval, one row an instrument, one panel a target; as SVG.

    Parameters
    ----------
    best : DataFrame
        Rows of the ``skill`` table: the best candidate of each instrument and target. Filled points
        are better than the baseline after correction, hollow ones are not.
    """
    targets = best.groupby(["kind", "horizon"])
    panels = [
        _panel(f"{kind}, {counted(int(str(horizon)), 'bar')}", rows)
        for (kind, horizon), rows in targets
    ]
    return Chart.stacked(panels or [Chart("no skill to show yet", (0, 1), (0, 1))])


def _panel(target: str, rows: pd.DataFrame) -> Chart:
    ordered = rows.sort_values("skill", ignore_index=True)
    value, lower = (100 * ordered[c].to_numpy(float) for c in ("skill", "skill_lower"))
    reach = np.maximum(value - lower, 0)
    shown = ordered["may_predict"].to_numpy(bool)
    count = len(ordered)
    chart = Chart(
        f"{target}: {int(shown.sum())} of {count} better than the baseline",
        ends(value - reach, value + reach, np.zeros(1)),
        (-0.8, count - 0.2),
        height=_REST + _ROW * count,
    )
    chart.numbers("skill against the baseline, %")
    chart.zero()
    for place, (name, skill, far, good) in enumerate(
        zip(ordered["instrument"], value, reach, shown, strict=True)
    ):
        colour = BLUE if good else GREY
        chart.name(place, name)
        if np.isfinite(skill):
            chart.span(place, (skill - far, skill + far), colour)
            chart.dot(skill, place, colour, hollow=not good)
    return chart
