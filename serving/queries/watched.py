"""What the newest look at live predictions found; runs in the child."""

from __future__ import annotations

import numpy as np

from fx_assets.bundles.records import Manifest
from fx_assets.lake.reader import Reader
from fx_assets.tables import PERFORMANCE
from serving.queries.columns import finite, instants, numbers
from serving.queries.context import Live
from serving.queries.own_rows import own_rows

COLUMNS = ["measured_at", "skill", "skill_lower", "skill_upper", "rows", "alarm"]


def live(reader: Reader, manifest: Manifest) -> Live | None:
    """The newest row of the ``performance`` table."""
    table = own_rows(reader, manifest, PERFORMANCE, COLUMNS)
    if table is None:
        return None
    newest = int(np.argmax(instants(table, "measured_at")))
    skill, lower, upper = (
        finite(numbers(table, name)[newest]) for name in ("skill", "skill_lower", "skill_upper")
    )
    return Live(
        skill, lower, upper, int(numbers(table, "rows")[newest]), table["alarm"][newest].as_py()
    )
