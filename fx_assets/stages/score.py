"""What came of a forecast's predictions."""

from __future__ import annotations

import pandas as pd

from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.series.tables import SeriesTables
from fx_assets.tables import PREDICTIONS


def known_outcomes(own: SeriesTables) -> pd.DataFrame:
    """Issued predictions beside what is known to have happened, as ``outcomes`` has them."""
    issued = own.read(PREDICTIONS)
    prices = own.bars().sort_values("event_time", ignore_index=True)
    return join_outcomes(issued, prices, own.spec, own.feed.market)
