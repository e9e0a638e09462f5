"""What a batch adds to the bitemporal history."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from fx_assets.specs.bars import BAR_DTYPES, PRICE_COLUMNS

_ORDER = ["event_time", "available_at", "ingested_at"]
_STEP = pd.Timedelta(microseconds=1)


def new_rows(stored_raw: pd.DataFrame, batch: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """The rows of a batch that ``raw_prices`` does not know yet.

    A bar with an unseen event time is taken as it is, also when it arrives late: ``available_at``
    says when it could be known, ``ingested_at`` when it was. A bar whose prices differ from the
    ones currently known for its event time is a revision, known from ``now`` on. A bar with the
    same prices is left out, whatever its payload.

    Parameters
    ----------
    stored_raw
        Bars (``BAR_DTYPES``), with several rows an event time where there were revisions; the
        currently known one is the last by ``available_at``, then ``ingested_at``.
    batch
        Bars of a source.
    now
        The clock's time (UTC).

    Returns
    -------
    DataFrame
        Bars to append, in the order of the batch. A revision's ``available_at`` is ``now``, or the
        known row's where that is later; its ``ingested_at`` always follows the known row's, so
        that the newest row wins also under a clock that stands still.
    """
    if stored_raw.empty or batch.empty:
        return batch.reset_index(drop=True)
    known = (
        stored_raw.sort_values(_ORDER, kind="stable")
        .drop_duplicates("event_time", keep="last")
        .set_index("event_time")
        .reindex(batch["event_time"])
        .reset_index()
    )
    seen = known["available_at"].notna().to_numpy()
    prices = list(PRICE_COLUMNS)
    old, new = known[prices].to_numpy(np.float64), batch[prices].to_numpy(np.float64)
    same = ((old == new) | (np.isnan(old) & np.isnan(new))).all(axis=1)
    rows = batch.reset_index(drop=True)
    revised = seen & ~same
    instant = pd.Timestamp(now)
    for name, earliest in (
        ("available_at", known["available_at"]),
        ("ingested_at", known["ingested_at"] + _STEP),
    ):
        rows[name] = rows[name].mask(revised, earliest.where(earliest > instant, instant))
    added: pd.DataFrame = rows[~(seen & same)].astype(BAR_DTYPES)
    return added.reset_index(drop=True)
