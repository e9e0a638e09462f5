"""The skill of a whole universe in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fx_assets.presentation.figures import BLUE, GREY, to_png

if TYPE_CHECKING:
    import pandas as pd

INCHES_A_ROW = 0.17


def skill_figure(best: pd.DataFrame) -> bytes:
    """Skill with its 95 % interval, one row an instrument, one panel a target; a PNG file.

    Parameters
    ----------
    best : DataFrame
        Rows of the ``skill`` table: the best candidate of each instrument and target. Filled points
        are demonstrated after correction, hollow ones are not.
    """
    from matplotlib.figure import Figure

    panels = list(best.groupby(["kind", "horizon"]))
    rows = max([len(table) for _, table in panels], default=1)
    figure = Figure(figsize=(10, 1.2 + INCHES_A_ROW * rows), layout="constrained")
    drawn = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
    for axes, ((kind, horizon), table) in zip(drawn, panels, strict=False):
        ordered = table.sort_values("skill", ignore_index=True)
        place = np.arange(len(ordered))
        value = ordered["skill"].to_numpy(dtype=float)
        reach = np.maximum(value - ordered["skill_lower"].to_numpy(dtype=float), 0)
        shown = ordered["skill_demonstrated"].to_numpy(dtype=bool)
        for mask, colour, filled in ((shown, BLUE, BLUE), (~shown, GREY, "white")):
            axes.errorbar(
                100 * value[mask],
                place[mask],
                xerr=100 * reach[mask],
                fmt="o",
                markersize=3.5,
                linewidth=0.8,
                color=colour,
                markerfacecolor=filled,
            )
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_yticks(place, ordered["instrument"], fontsize=6)
        axes.set_xlabel("skill against the baseline, %")
        axes.set_title(f"{kind}, {horizon} bar(s): {int(shown.sum())} of {len(shown)} demonstrated")
    return to_png(figure)
