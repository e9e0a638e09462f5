"""Who was in a universe at a moment, decided from what was known at that moment.

Nobody announces that a currency will end: a member whose fixings stop leaves when it has missed so
many publications that its absence is beyond doubt. It stays in the table, and in the evaluation of
the time in which it was a member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.calendars import Calendar, Instants
from fx_assets.errors import FxAssetsError
from fx_assets.specs.universe import MembershipRule
from fx_assets.tables import MEMBERSHIP

Mask = NDArray[np.bool_]

MEMBER_DTYPES: dict[str, str] = MEMBERSHIP.dtypes
"""The columns of the ``universe`` table with their pandas dtypes."""


def membership(prices: pd.DataFrame, rule: MembershipRule, market: Calendar) -> pd.DataFrame:
    """Every interval in which an instrument was a member.

    Parameters
    ----------
    prices
        Bars of all instruments with ``instrument``, ``event_time`` (UTC) and ``close``; one row an
        instrument and event time, in any order.
    rule
        What it takes to be a member.
    market
        Says when each fixing was published.

    Returns
    -------
    DataFrame
        Columns of ``MEMBER_DTYPES``, sorted. A row is a time in which an instrument was a member
        and always pegged, or never. ``first_fixing``, ``last_fixing`` and ``fixings`` describe its
        history between two long pauses. ``member_from`` is the first moment, ``member_until`` the
        first moment after the last; the latter is NaT while it lasts, both are NaT for a history
        that was too short. What was known later has no influence on who was a member at a moment.
    """
    naive = _naive(prices["event_time"])
    publications = np.unique(naive)
    published = market.published(publications)
    rows: list[dict[str, Any]] = []
    for instrument, positions in sorted(prices.groupby("instrument").indices.items()):
        order = positions[np.argsort(naive[positions], kind="stable")]
        at = np.searchsorted(publications, naive[order])
        close = prices["close"].to_numpy(dtype=np.float64)[order]
        for fixed, closes in _histories(at, close, rule):
            history = {
                "instrument": instrument,
                "first_fixing": publications[fixed[0]],
                "last_fixing": publications[fixed[-1]],
                "fixings": len(fixed),
            }
            for start, end, pegged in _runs(fixed, closes, rule, market.bars_a_year):
                rows.append(
                    history
                    | {
                        "member_from": _when(published, start),
                        "member_until": _when(published, end),
                        "pegged": pegged,
                    }
                )
    table = pd.DataFrame(rows, columns=list(MEMBER_DTYPES))
    for name in ("first_fixing", "last_fixing", "member_from", "member_until"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table.astype(MEMBER_DTYPES)


def members(table: pd.DataFrame, at: datetime, *, pegged: bool = False) -> list[str]:
    """The instruments that were members at an instant, sorted.

    Parameters
    ----------
    table
        From :func:`membership`.
    at
        The instant, with a time zone.
    pegged
        Whether those count that were pegged at the instant.

    Raises
    ------
    FxAssetsError
        ``at`` has no time zone.
    """
    if at.utcoffset() is None:
        raise FxAssetsError(
            f"at={at.isoformat()} has no time zone.",
            remedy="Pass an instant in UTC, such as datetime(2021, 6, 30, 17, tzinfo=UTC).",
        )
    instant = pd.Timestamp(at)
    inside = (table["member_from"] <= instant) & ~(table["member_until"] <= instant)
    if not pegged:
        inside &= ~table["pegged"]
    return sorted(table["instrument"][inside].unique())


def newest_of(issued: pd.DataFrame, instruments: Iterable[str]) -> pd.DataFrame:
    """Of these instruments' predictions the one issued last for each target."""
    return (
        issued[issued["instrument"].isin(list(instruments))]
        .sort_values("issued_at", kind="stable")
        .drop_duplicates(["instrument", "kind", "horizon"], keep="last")
    )


def while_member(
    instruments: pd.Series[str], event_times: pd.Series[Any], table: pd.DataFrame, market: Calendar
) -> Mask:
    """Which bars were published while their instrument was a member and not pegged."""
    free = table[~table["pegged"] & table["member_from"].notna()]
    distinct, position = np.unique(_naive(event_times), return_inverse=True)
    known = market.published(distinct)[position]
    starts, ends = _naive(free["member_from"]), _naive(free["member_until"])
    inside = np.zeros(len(known), dtype=bool)
    positions = instruments.groupby(instruments.to_numpy()).indices
    for instrument, start, end in zip(free["instrument"], starts, ends, strict=True):
        rows = positions.get(instrument, np.array([], dtype=np.intp))
        inside[rows] |= (known[rows] >= start) & ~(known[rows] >= end)
    return inside


def histories(table: pd.DataFrame, instrument: str) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """First and last fixing of each history in which an instrument was a member and not pegged."""
    rows = table[
        (table["instrument"] == instrument) & table["member_from"].notna() & ~table["pegged"]
    ]
    pairs = rows[["first_fixing", "last_fixing"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))


def _histories(
    at: NDArray[np.intp], close: NDArray[np.float64], rule: MembershipRule
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Positions among the publications, and closes, cut at every long pause."""
    cuts = np.flatnonzero(np.diff(at) > rule.max_missed) + 1
    yield from zip(np.split(at, cuts), np.split(close, cuts), strict=True)


def _runs(
    fixed: NDArray[np.intp], close: NDArray[np.float64], rule: MembershipRule, bars_a_year: int
) -> Iterator[tuple[int | None, int | None, bool]]:
    """First and end publication of each membership in a history, and whether it was pegged."""
    first = rule.min_history - 1
    if first >= len(fixed):
        yield None, None, False
        return
    pegged = _pegged(close, rule, bars_a_year)[first:]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(pegged)) + 1])
    ends = [*(int(fixed[first + k]) for k in starts[1:]), int(fixed[-1]) + rule.max_missed]
    for start, end in zip(starts, ends, strict=True):
        yield int(fixed[first + start]), end, bool(pegged[start])


def _pegged(close: NDArray[np.float64], rule: MembershipRule, bars_a_year: int) -> Mask:
    returns = pd.Series(np.log(close)).diff()
    volatility = returns.rolling(rule.peg_window).std() * np.sqrt(bars_a_year)
    state = pd.Series(np.nan, index=volatility.index)
    state[volatility < rule.peg_volatility] = 1.0
    state[volatility > 2 * rule.peg_volatility] = 0.0
    return np.asarray(state.ffill().fillna(0.0) > 0)


def _when(published: Instants, position: int | None) -> np.datetime64:
    """When a publication came; NaT if it has not yet."""
    if position is None or position >= len(published):
        return np.datetime64("NaT", "us")
    moment: np.datetime64 = published[position]
    return moment


def _naive(times: pd.Series[Any]) -> Instants:
    """UTC instants as NumPy's zoneless ones."""
    return pd.DatetimeIndex(times).tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]")
