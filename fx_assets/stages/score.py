"""What came of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.series.tables import SeriesTables
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.members import WALKED, members_at_work, walked_rows
from fx_assets.stages.shadow import weigh_candidates
from fx_assets.tables import LIVE_EVIDENCE, OUTCOMES, PREDICTIONS, UNIVERSE_OUTCOMES

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def known_outcomes(own: SeriesTables) -> pd.DataFrame:
    """Issued predictions beside what is known to have happened, as ``outcomes`` has them."""
    issued = own.read(PREDICTIONS)
    issued = issued.reindex(columns=[*dict.fromkeys([*issued, "lower", "upper"])])
    prices = own.bars().sort_values("event_time", ignore_index=True)
    return join_outcomes(issued, prices, own.spec, own.feed.market)


def score_panel(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], run_id: str = ""
) -> int:
    """Put every issued prediction whose outcome is known beside it, once; a revised truth again.

    What the live rows say of each candidate goes to the table ``live_evidence``.

    Returns
    -------
    int
        New rows of the ``outcomes`` table.
    """
    added = 0
    chosen: list[Mapping[str, pd.DataFrame]] = []

    def walked(own: SeriesTables) -> pd.DataFrame:
        if not chosen:
            chosen.append(walked_rows(spec, store, instruments))
        return chosen[0].get(own.series.id, pd.DataFrame(columns=WALKED))

    with members_at_work(spec, store, instruments, run_id) as (_, members):
        for member in members:
            own = member.own
            if not own.read(PREDICTIONS).empty:
                known = known_outcomes(own)
                added += own.insert(OUTCOMES, own.unknown(OUTCOMES, known), run_id).rows
                own.insert(LIVE_EVIDENCE, weigh_candidates(own, known, partial(walked, own)))
    if not store.exists(OUTCOMES.name, spec.name):
        none = pd.DataFrame(columns=list(UNIVERSE_OUTCOMES.names)).astype(UNIVERSE_OUTCOMES.dtypes)
        store.append(OUTCOMES.name, spec.name, none, run_id=run_id)
    return added
