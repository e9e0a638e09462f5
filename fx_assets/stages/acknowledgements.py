"""A person's word that a result which is too good is real, kept for good."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.rollback import meaningful
from fx_assets.evaluation.suspicion import Acknowledgement, Suspicion
from fx_assets.series.tables import SeriesTables
from fx_assets.tables import ACKNOWLEDGEMENTS

if TYPE_CHECKING:
    from fx_assets.lake import Lake


def read_acknowledgements(store: Lake, forecast: str) -> list[Acknowledgement]:
    """All that was ever acknowledged of a forecast, oldest first."""
    table = store.read_or_empty(ACKNOWLEDGEMENTS.name, forecast)
    found = [Acknowledgement.model_validate_json(record) for record in table.get("record", [])]
    return sorted(found, key=lambda given: given.acknowledged_at)


def acknowledge(
    own: SeriesTables,
    candidate: str,
    *,
    reason: str,
    by: str,
    now: datetime,
) -> Acknowledgement:
    """Record that a held result is real; the next decision on the same rows may promote it.

    It covers the recipe on the rows that were judged, and on those that follow. Another recipe, a
    revised bar or another reading of the feed is not covered.

    Raises
    ------
    RegistryError
        Nothing of that candidate is held, or the reason says nothing.
    """
    reason = meaningful(reason)
    decision, found = _held(own, candidate)
    given = Acknowledgement(
        forecast=own.forecast,
        candidate=candidate,
        recipe=found.recipe,
        judged=found.judged,
        excess=found.excess,
        reason=reason,
        by=by,
        acknowledged_at=now,
        sequence=decision.sequence,
    )
    row = {
        "forecast": given.forecast,
        "candidate": given.candidate,
        "recipe": given.recipe,
        "series": given.judged.series,
        "rows": given.judged.rows,
        "last_row": pd.Timestamp(given.judged.last_row),
        "row_hash": given.judged.row_hash,
        "figures": found.figures,
        "reason": given.reason,
        "by": given.by,
        "acknowledged_at": pd.Timestamp(given.acknowledged_at),
        "sequence": given.sequence,
        "record": given.model_dump_json(),
    }
    table = pd.DataFrame([row]).astype(ACKNOWLEDGEMENTS.dtypes)
    own.store.insert_new(ACKNOWLEDGEMENTS.name, own.forecast, table, list(ACKNOWLEDGEMENTS.key))
    return given


def _held(own: SeriesTables, candidate: str) -> tuple[Decision, Suspicion]:
    """The newest decision that suspects a candidate as it is declared, and what it says."""
    declared = {c.name: own.spec.recipe_hash(c) for c in own.spec.all_candidates}
    waiting: dict[str, tuple[Decision, Suspicion]] = {}
    for decision in own.ledger():
        for found in decision.suspicions:
            if declared.get(found.candidate) == found.recipe:
                waiting[found.candidate] = (decision, found)
    if candidate in waiting:
        return waiting[candidate]
    names = ", ".join(sorted(waiting))
    raise RegistryError(
        f"{own.forecast}: nothing of {candidate} is held back for being too good.",
        remedy=f"Held back are: {names}."
        if names
        else "There is nothing to acknowledge; decisions say so when there is.",
    )
