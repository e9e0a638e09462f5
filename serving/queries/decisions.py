"""Who was champion when, and why, from the ledger of decisions; runs in the child."""

from __future__ import annotations

import msgspec

from fx_assets.bundles.records import Manifest
from fx_assets.evaluation.decision import Decision
from fx_assets.lake.reader import Reader
from fx_assets.presentation import ledger
from fx_assets.tables import DECISIONS
from serving.queries.columns import texts
from serving.queries.own_rows import own_rows
from serving.schemas import Reign


def reigns(reader: Reader, manifest: Manifest) -> list[Reign]:
    """Every reign, the present one first."""
    table = own_rows(reader, manifest, DECISIONS, ["sequence", "record"])
    if table is None:
        return []
    decisions = [Decision.model_validate_json(record) for record in texts(table, "record")]
    told = [reign.model_dump(mode="json") for reign in reversed(ledger.reigns(decisions))]
    return msgspec.convert(told, list[Reign])
