"""Membership as known at the time, on the ECB's real history and in worlds with gaps."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.errors import FxAssetsError
from fx_assets.evaluation.universe_members import histories, members, membership, while_member
from fx_assets.specs.universe import MembershipRule
from fx_assets.testing import worlds
from fx_assets_tests.examples import examples
from fx_assets_tests.universe.helpers import moment, prices_of, walk, with_gaps

MARKET = worlds.TARGET
REAL = (
    *("USD", "RUB", "HRK", "BGN", "DKK", "EEK", "ISK", "TRL", "TRY", "ROL", "RON", "LTL"),
    *("CZK", "ILS"),
)
RULE = MembershipRule(min_history=21, max_missed=4, peg_window=20)


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    return prices_of({f"EUR{code}": worlds.ecb_bars("EUR", code) for code in REAL})


@pytest.fixture(scope="module")
def table(prices: pd.DataFrame) -> pd.DataFrame:
    return membership(prices, MembershipRule(), MARKET)


@pytest.mark.parametrize(
    ("instrument", "member", "not_member"),
    [
        ("EURRUB", "2021-06-30", "2023-06-30"),
        ("EURRUB", "2022-03-07", "2022-03-16"),
        ("EURHRK", "2022-12-30", "2023-02-01"),
        ("EURISK", "2008-06-30", "2012-06-29"),
        ("EURISK", "2023-06-30", "2020-06-30"),
        ("EURTRL", "2004-06-30", "2005-06-30"),
        ("EURTRY", "2009-06-30", "2005-06-30"),
        ("EURROL", "2004-06-30", "2006-06-30"),
        ("EURRON", "2010-06-30", "2006-06-30"),
        ("EURILS", "2015-06-30", "2012-06-29"),
        ("EURUSD", "2026-10-30", "2000-06-30"),
    ],
)
def test_a_currency_is_a_member_from_enough_fixings_until_its_absence_is_plain(
    table: pd.DataFrame, instrument: str, member: str, not_member: str
) -> None:
    assert instrument in members(table, moment(member))
    assert instrument not in members(table, moment(not_member))


def test_those_that_left_stay_in_the_table(table: pd.DataFrame) -> None:
    assert {*table["instrument"]} == {f"EUR{code}" for code in REAL}
    left = table[table["member_until"].notna()].groupby("instrument")["last_fixing"].max()
    assert left["EURRUB"].date().isoformat() == "2022-03-01"
    assert left["EURBGN"].date().isoformat() == "2025-12-31"


def test_bulgaria_left_when_it_joined_the_euro(table: pd.DataFrame) -> None:
    assert "EURBGN" in members(table, moment("2025-06-30"), pegged=True)
    assert "EURBGN" not in members(table, moment("2026-02-02"), pegged=True)


def test_pegs_are_members_that_are_neither_forecast_nor_judged(
    prices: pd.DataFrame, table: pd.DataFrame
) -> None:
    for instrument in ("EURDKK", "EURBGN", "EURLTL"):
        at = moment("2010-06-30")
        assert instrument in members(table, at, pegged=True)
        assert instrument not in members(table, at)
    assert histories(table, "EURDKK") == []
    assert "EURCZK" in members(table, moment("2016-06-30"))
    inside = while_member(prices["instrument"], prices["event_time"], table, MARKET)
    judged = prices[inside].groupby("instrument")["event_time"].agg(["min", "max"])
    assert not {"EURDKK", "EURBGN", "EUREEK"} & {*judged.index}
    assert judged.loc["EURRUB", "max"].date().isoformat() == "2022-03-01"


def test_a_pause_of_years_makes_two_histories(table: pd.DataFrame) -> None:
    first, second = histories(table, "EURISK")
    assert first[1].date().isoformat() == "2008-12-09"
    assert second[0].date().isoformat() == "2018-02-01"


@pytest.mark.parametrize("day", ["2003-01-22", "2008-12-22", "2022-03-15", "2026-01-15"])
def test_the_real_members_of_a_day_are_the_same_without_what_came_later(
    prices: pd.DataFrame, table: pd.DataFrame, day: str
) -> None:
    at = moment(day)
    known = prices[prices["available_at"] <= at]
    then = membership(known, MembershipRule(), MARKET)
    for pegged in (False, True):
        assert members(then, at, pegged=pegged) == members(table, at, pegged=pegged)


@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_the_members_of_a_moment_do_not_depend_on_what_came_later(data: st.DataObject) -> None:
    n = 120
    gap = st.tuples(st.integers(0, n - 1), st.integers(1, 12)).map(lambda g: (g[0], g[0] + g[1]))
    bars = {"AAAAAA": walk(n, 1), "DDDDDD": _peg_that_breaks(n)}
    for name in ("BBBBBB", "CCCCCC"):
        bars[name] = with_gaps(n, data.draw(st.lists(gap, max_size=4)), seed=2)
    prices = prices_of(bars)
    at = _instant(data.draw(st.integers(0, n - 1)), data.draw(st.integers(-3, 3)))
    then = membership(prices[prices["available_at"] <= at], RULE, MARKET)
    now = membership(prices, RULE, MARKET)
    assert members(then, at) == members(now, at)
    assert members(then, at, pegged=True) == members(now, at, pegged=True)


def test_a_member_leaves_with_the_publication_that_is_one_too_many_without_it() -> None:
    whole, short = walk(60, 1), with_gaps(60, [(40, 60)])
    table = membership(prices_of({"AAAAAA": whole, "BBBBBB": short}), RULE, MARKET)
    published = whole["available_at"]
    assert "BBBBBB" in members(table, published[42].to_pydatetime())
    assert "BBBBBB" not in members(table, published[43].to_pydatetime())


def test_silence_of_the_whole_source_ends_no_membership() -> None:
    table = membership(prices_of({"AAAAAA": walk(60, 1)}), RULE, MARKET)
    assert members(table, moment("2025-01-02")) == ["AAAAAA"]


def test_prices_that_never_move_are_pegged_and_break_nothing() -> None:
    days = worlds.trading_days(60)
    table = membership(
        prices_of({"AAAAAA": worlds.bars_from_closes(days, np.full(60, 15.6466))}), RULE, MARKET
    )
    assert table["pegged"].tolist() == [True]


def test_a_history_that_is_too_short_has_no_membership() -> None:
    table = membership(prices_of({"AAAAAA": walk(20, 1)}), RULE, MARKET)
    assert table["member_from"].isna().all()
    assert members(table, moment("2025-01-02")) == []


def test_a_moment_without_a_time_zone_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(FxAssetsError, match="no time zone"):
        members(table, datetime(2021, 6, 30))  # noqa: DTZ001


@cache
def _peg_that_breaks(n: int) -> pd.DataFrame:
    closes = np.full(n, 7.46) * np.exp(1e-5 * np.arange(n))
    closes[n // 2 :] *= np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.006, n - n // 2)))
    return worlds.bars_from_closes(worlds.trading_days(n), closes)


def _instant(position: int, minutes: int) -> datetime:
    published = MARKET.available_at(worlds.trading_days(position + 1)[-1])
    return (pd.Timestamp(published) + pd.Timedelta(minutes=minutes)).to_pydatetime()
