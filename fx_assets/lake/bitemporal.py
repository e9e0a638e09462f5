"""What was known at a moment: pure functions of bitemporal bars."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from fx_assets.errors import LakeError

_ORDER = ["event_time", "available_at", "ingested_at"]


def known_rows(raw: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Every row, revisions included, that was available at ``as_of``.

    Parameters
    ----------
    raw : DataFrame
        Bars with ``event_time``, ``available_at`` and ``ingested_at`` (UTC), in any order.
    as_of : datetime
        The moment, with a time zone.

    Returns
    -------
    DataFrame
        The rows with ``available_at <= as_of``, sorted by event time, then by when they became
        available and were ingested. The index is a RangeIndex.

    Raises
    ------
    LakeError
        ``as_of`` has no time zone.
    """
    if as_of.tzinfo is None or as_of.utcoffset() is None:
        raise LakeError(
            f"as_of={as_of.isoformat()} has no time zone.",
            remedy="Pass an instant in UTC, such as datetime(2015, 1, 15, 17, tzinfo=UTC).",
        )
    if raw.empty:
        return raw.reset_index(drop=True)
    known = raw[raw["available_at"] <= pd.Timestamp(as_of)]
    return known.sort_values(_ORDER, kind="stable", ignore_index=True)


def as_known_at(raw: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """The bars as known at ``as_of``: one row an event time, its newest revision by then.

    Of the rows with ``available_at <= as_of``, each event time keeps the one that became available
    last; ties go to the one that was ingested last. Rows that become known later cannot change
    the answer.

    Parameters and errors are those of :func:`known_rows`.

    Returns
    -------
    DataFrame
        The columns of ``raw``, sorted by a unique ``event_time``, with a RangeIndex.
    """
    known = known_rows(raw, as_of)
    if known.empty:
        return known
    return known.drop_duplicates("event_time", keep="last", ignore_index=True)
