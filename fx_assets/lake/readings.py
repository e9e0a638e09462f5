"""By which reading of a feed its stored bars were made: pure functions of two tables.

A reading is everything that decides what a bar means (``FeedSpec.reading``). Bars of several
readings lie in one ``raw_prices`` beside each other; whoever reads it wants those of one.
"""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from fx_assets.tables import READING_COLUMN

COLUMN = READING_COLUMN


def reading_in_force(readings: pd.DataFrame, as_of: datetime | None = None) -> str | None:
    """The reading whose bars counted at ``as_of`` (None: the newest), ``None`` without any.

    Before the first it is the first.
    """
    if readings.empty:
        return None
    ordered = readings.sort_values("since", kind="stable")
    by_then = ordered if as_of is None else ordered[ordered["since"] <= pd.Timestamp(as_of)]
    return str(by_then[COLUMN].iloc[-1] if len(by_then) else ordered[COLUMN].iloc[0])


def first_reading(readings: pd.DataFrame) -> str | None:
    """The reading to which rows belong that name none: earlier releases wrote them."""
    if readings.empty:
        return None
    return str(readings.sort_values("since", kind="stable")[COLUMN].iloc[0])


def rows_of_reading(raw: pd.DataFrame, reading: str | None, readings: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``raw_prices`` that were made by a reading, all columns, in their order.

    Parameters
    ----------
    raw
        Rows with or without the column ``reading``.
    reading
        ``None`` for every row.
    readings
        The table ``readings``; while it is empty, rows that name no reading count as those of the
        one that is asked for.
    """
    if reading is None or raw.empty:
        return raw
    unnamed = first_reading(readings) in (None, reading)
    if COLUMN not in raw:
        return raw if unnamed else raw.iloc[:0]
    mine = raw[COLUMN] == reading
    if unnamed:
        mine |= raw[COLUMN].isna()
    return raw if mine.all() else raw[mine].reset_index(drop=True)
