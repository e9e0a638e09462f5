"""What the newest look at live predictions found; runs in the child."""

from __future__ import annotations

import numpy as np

from fx_assets.lake.reader import Reader
from serving.context import Live
from serving.tables import finite, instants, numbers

COLUMNS = ["measured_at", "skill", "skill_lower", "skill_upper", "rows", "alarm"]


def live(reader: Reader, forecast: str) -> Live | None:
    """The newest row of the ``performance`` table."""
    table = reader.read("performance", forecast, COLUMNS)
    if table is None or not table.num_rows:
        return None
    newest = int(np.argmax(instants(table, "measured_at")))
    skill, lower, upper = (
        finite(numbers(table, name)[newest]) for name in ("skill", "skill_lower", "skill_upper")
    )
    return Live(
        skill, lower, upper, int(numbers(table, "rows")[newest]), table["alarm"][newest].as_py()
    )
