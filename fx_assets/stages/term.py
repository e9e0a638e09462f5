"""The newest predictions of a forecast of several horizons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fx_assets.presentation.term import TermRow, term_rows
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.tables import PREDICTIONS

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def newest_term(
    store: Lake,
    members: Sequence[ForecastSpec],
    feed: FeedSpec,
    issued: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[TermRow]:
    """What is said of each horizon after the newest bar, by ascending horizon.

    Parameters
    ----------
    issued
        Rows by forecast that are newer than what is stored.
    """
    rows = dict(issued or {})
    for spec in members:
        if spec.name in rows:
            continue
        stored = SeriesTables(store, spec, feed).read(PREDICTIONS)
        if len(stored):
            newest = stored.loc[stored["event_time"].idxmax()]
            rows[spec.name] = cast("dict[str, Any]", newest.to_dict())
    return term_rows(members[0].target.definition, rows) if members else []
