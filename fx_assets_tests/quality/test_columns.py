"""Every column of a bar is judged: highs, lows, opens, volumes, and closes that stand still."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.calendars import Frequency
from fx_assets.quality import GateReport
from fx_assets.testing.gate.extremes import HONEST
from fx_assets.testing.gate.kinds import KINDS, Kind, honest
from fx_assets_tests.quality.test_intraday_gate import failed, feed, judge, world

pytestmark = pytest.mark.long

Bars = pd.DataFrame
FIXING, DAILY, HOURLY, MINUTE, COIN, COIN_HOURLY = KINDS


def verdict(kind: Kind, bars: Bars, stored: Bars | None = None, **gate: Any) -> GateReport:
    spec = kind.spec
    if gate:
        spec = type(spec).model_validate({"name": "bench", **kind.feed, "gate": gate})
    return judge(spec, bars, stored)


def changed(bars: Bars, place: int, **values: float) -> Bars:
    copy = bars.copy()
    for name, value in values.items():
        copy.loc[place, name] = value
    return copy


# High, low and open


@pytest.mark.parametrize("kind", [DAILY, HOURLY, COIN_HOURLY], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("column", "factor"),
    [
        ("high", 10),
        ("low", 0.1),
        pytest.param("high", 100, marks=pytest.mark.slow),
        pytest.param("low", 0.01, marks=pytest.mark.slow),
    ],
)
def test_a_high_or_low_out_of_all_proportion_is_refused_with_its_bar(
    kind: Kind, column: str, factor: float
) -> None:
    bars = honest(kind, 1)
    for place, stored in ((0, None), (500, None), (len(bars) - 1, len(bars) - 1)):
        wild = changed(bars, place, **{column: bars[column][place] * factor})
        known = None if stored is None else wild.iloc[:stored]
        report = verdict(kind, wild.iloc[stored or 0 :], known)
        assert "price_ranges" in failed(report)
        assert not report.passed
        label = kind.spec.market.label(bars["event_time"][place].to_pydatetime())
        assert report.quarantined["event_date"].tolist() == [label]
        assert f"{label}: {column} " in report.finding("price_ranges").message


def test_an_open_far_from_both_closes_is_refused_even_where_high_and_low_are_empty() -> None:
    bars = honest(DAILY, 2).assign(high=np.nan, low=np.nan)
    assert failed(verdict(DAILY, bars)) <= {"jumps"}
    for factor in (100, 0.01, 1.6):
        report = verdict(DAILY, changed(bars, 900, open=bars["open"][900] * factor))
        assert failed(report) - {"jumps"} == {"price_ranges"}


def test_how_far_a_wick_may_reach_follows_from_the_volatility_of_the_market() -> None:
    coin, currency = honest(COIN_HOURLY, 1), honest(HOURLY, 1)
    for bars, kind, passes in ((coin, COIN_HOURLY, True), (currency, HOURLY, False)):
        report = verdict(kind, changed(bars, 700, low=bars["low"][700] * 0.45))
        assert report.passed == passes
    half = verdict(HOURLY, changed(currency, 700, low=currency["low"][700] * 0.8))
    assert half.passed
    assert half.finding("price_ranges").severity == "warn"
    assert not half.finding("price_ranges").passed


def test_a_wick_that_was_real_is_confirmed_by_the_bars_day_and_close() -> None:
    bars = honest(DAILY, 1)
    wild = changed(bars, 700, low=bars["low"][700] * 0.5)
    event = {
        "day": DAILY.spec.market.bar_day(bars["event_time"][700].to_pydatetime()),
        "close": bars["close"][700],
        "reason": "flash crash",
    }
    assert not verdict(DAILY, wild).passed
    assert verdict(DAILY, wild, confirmed=[event]).passed
    assert not verdict(DAILY, wild, confirmed=[event | {"close": 2.0}]).passed
    assert not verdict(DAILY, wild, confirmed=[event | {"day": date(2015, 1, 5)}]).passed


# Bars that carry longer ones


def carrying(bars: Bars, hour: int, share: float, span: int, seed: int = 0) -> Bars:
    rng = np.random.default_rng(seed)
    at = np.flatnonzero(bars["event_time"].dt.hour == hour)
    at = at[(at > span) & (at < len(bars) - span) & (rng.random(len(at)) < share)]
    wide = bars.copy()
    for i in at.tolist():
        part = bars.iloc[i : i + span]
        wide.loc[i, ["high", "low"]] = part["high"].max(), part["low"].min()
    return wide


@pytest.mark.parametrize(
    ("hour", "share"),
    [
        (0, 1.0),
        (22, 0.6),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in ((1, 1.0), (13, 1.0), (22, 1.0), (0, 0.6), (1, 0.6), (13, 0.6))
        ),
    ],
)
def test_hours_that_carry_the_days_range_are_refused_and_named(hour: int, share: float) -> None:
    bars = honest(HOURLY, 3)
    report = verdict(HOURLY, carrying(bars, hour, share, 24))
    assert failed(report) - {"jumps", "price_ranges"} == {"wide_bars"}
    assert not report.passed
    assert set(report.quarantined["event_date"].str[11:13]) == {f"{hour:02d}"}
    assert "the range of a whole day" in report.finding("wide_bars").message


def test_bars_that_carry_the_day_are_found_also_where_only_a_quarter_of_the_history_does() -> None:
    bars = honest(HOURLY, 3)
    for rows in (slice(0, 2500), slice(8000, 10500), slice(len(bars) - 2500, None)):
        part = bars.iloc[rows].reset_index(drop=True)
        wide = bars.copy()
        wide.iloc[rows] = carrying(part, 0, 1.0, 24)
        assert "wide_bars" in failed(verdict(HOURLY, wide.astype(bars.dtypes)))


def test_a_new_bar_that_continues_such_a_row_is_refused() -> None:
    bars = carrying(honest(HOURLY, 3), 0, 1.0, 24)
    midnight = np.flatnonzero(bars["event_time"].dt.hour == 0)[-10]
    report = verdict(HOURLY, bars.iloc[midnight : midnight + 30], bars.iloc[:midnight])
    assert "wide_bars" in failed(report)


def test_midnight_bars_with_the_days_volume_are_refused() -> None:
    bars = honest(COIN_HOURLY, 2)
    heavy = bars.copy()
    at = np.flatnonzero(bars["event_time"].dt.hour == 1)[:-1]
    total = np.concatenate([[0.0], np.cumsum(bars["volume"].to_numpy())])
    heavy.loc[at, "volume"] = total[at + 24] - total[at]
    report = verdict(COIN_HOURLY, heavy)
    assert failed(report) - {"jumps"} == {"wide_bars"}
    assert "the volume of a whole day" in report.finding("wide_bars").message


def test_minutes_that_carry_their_hour_are_refused() -> None:
    bars = honest(MINUTE, 1)
    wide = bars.copy()
    at = np.flatnonzero(bars["event_time"].dt.minute == 1)[:-1]
    for name, best in (("high", np.maximum), ("low", np.minimum)):
        starts = np.append(at, len(bars) - 1)
        wide.loc[at, name] = best.reduceat(bars[name].to_numpy(), starts)[:-1]
    report = verdict(MINUTE, wide)
    assert failed(report) - {"jumps"} == {"wide_bars"}
    assert "a whole hour" in report.finding("wide_bars").message


# Closes that stand still or come again


@pytest.mark.parametrize(("length", "passes"), [(20, True), (22, False), (99, False)])
def test_a_run_of_daily_closes_is_refused_by_its_length(length: int, passes: bool) -> None:
    bars = honest(FIXING, 1)
    for at in (300, 1500, len(bars) - length):
        stuck = bars.copy()
        stuck.loc[at : at + length - 1, "close"] = bars["close"][at - 1]
        report = verdict(FIXING, stuck, references={"severity": "off"})
        assert ("stuck_prices" not in failed(report)) == passes


def test_frozen_hours_are_refused_and_two_days_of_holiday_are_not() -> None:
    bars = honest(HOURLY, 2)
    prices = ["open", "high", "low", "close"]
    for length, passes in ((48, True), (60, True), (62, False), (100, False)):
        frozen = bars.copy()
        frozen.loc[2000 : 2000 + length - 1, prices] = bars["close"][1999]
        report = verdict(HOURLY, frozen, references={"severity": "off"})
        assert ("stuck_prices" not in failed(report)) == passes
        assert report.passed == passes
    assert len(report.quarantined) == 100
    assert "100 bars from" in report.finding("stuck_prices").message


def test_a_frozen_feed_is_refused_when_its_newest_bars_arrive() -> None:
    bars = honest(HOURLY, 2)
    frozen = bars.copy()
    frozen.loc[len(bars) - 80 :, "close"] = bars["close"][len(bars) - 81]
    last = len(bars) - 3
    assert "stuck_prices" in failed(verdict(HOURLY, frozen.iloc[last:], frozen.iloc[:last]))


def test_a_standstill_that_ends_where_it_began_is_a_pegs() -> None:
    rng = np.random.default_rng(0)
    bars = honest(FIXING, 1)
    peg = np.round(7.46 + 0.0005 * rng.integers(0, 2, len(bars)), 4)
    peg[1000:1060] = peg[999]
    assert "stuck_prices" not in failed(verdict(FIXING, bars.assign(close=peg)))


@pytest.mark.parametrize("kind", [HOURLY, COIN_HOURLY], ids=lambda kind: kind.name)
def test_a_day_that_comes_twice_is_refused(kind: Kind) -> None:
    bars = honest(kind, 4)
    twice = bars.copy()
    prices = ["open", "high", "low", "close"]
    twice.loc[3000:3023, prices] = bars.loc[2976:2999, prices].to_numpy()
    report = verdict(kind, twice, references={"severity": "off"})
    assert "stuck_prices" in failed(report)
    assert len(report.quarantined) >= 24


# Volume and market cap


@pytest.mark.parametrize(
    ("column", "value", "check"),
    [
        ("volume", 1e300, "volumes"),
        ("volume", 1e12, "volumes"),
        ("volume", -1.0, "non_positive"),
        ("market_cap", 1e300, "volumes"),
        ("market_cap", -1.0, "non_positive"),
    ],
)
def test_a_volume_or_market_cap_that_cannot_be_is_refused(
    column: str, value: float, check: str
) -> None:
    bars = honest(COIN, 1)
    for place, stored in ((800, None), (len(bars) - 1, len(bars) - 1)):
        wild = changed(bars, place, **{column: value})
        known = None if stored is None else wild.iloc[:stored]
        report = verdict(COIN, wild.iloc[stored or 0 :], known)
        assert failed(report) - {"jumps"} == {check}
        assert len(report.quarantined) == 1


def test_a_market_cap_that_leaves_the_price_and_comes_back_is_refused() -> None:
    bars = honest(COIN, 1)
    for factor, passes in ((10.0, False), (0.1, False), (1.5, True)):
        wild = changed(bars, 800, market_cap=bars["market_cap"][800] * factor)
        assert ("volumes" not in failed(verdict(COIN, wild))) == passes
    issued = bars.assign(
        market_cap=bars["market_cap"].where(bars.index < 800, bars["market_cap"] * 10)
    )
    assert "volumes" not in failed(verdict(COIN, issued))


def test_a_constant_volume_is_a_warning_and_no_volume_is_none() -> None:
    bars = honest(HOURLY, 1)
    report = verdict(HOURLY, bars.assign(volume=7.0))
    assert failed(report) - {"jumps"} == {"volumes"}
    assert report.passed
    half = bars.assign(volume=bars["volume"].where(bars.index < 4000, 7.0))
    assert "volumes" in failed(verdict(HOURLY, half))
    for empty in (0.0, np.nan):
        assert failed(verdict(HOURLY, bars.assign(volume=empty))) <= {"jumps"}


# All history


@pytest.mark.parametrize("at", [0, 1200, 2000])
def test_stale_closes_are_found_wherever_they_lie_and_one_bad_low_hides_nothing(at: int) -> None:
    bars = honest(DAILY, 5)
    stale = bars.copy()
    rows = np.arange(max(at, 1), at + 500)
    stale.loc[rows, ["open", "close"]] = bars[["open", "close"]].to_numpy()[rows - 1]
    stale["high"] = stale[["open", "high", "close"]].max(axis=1)
    stale["low"] = stale[["open", "low", "close"]].min(axis=1)
    stale.loc[at + 250, "low"] *= 0.6
    gate = {"price_ranges": {"severity": "off"}, "references": {"severity": "off"}}
    report = verdict(DAILY, stale, **gate)
    assert "stale_close" in failed(report)
    assert report.finding("stale_close").count > 0.3
    assert not report.passed


# Dates


@pytest.mark.parametrize("seed", range(6))
def test_six_dates_with_day_and_month_exchanged_are_named(seed: int) -> None:
    from fx_assets.testing.gate.faults import FAULTS

    fault = next(f for f in FAULTS if f.name.startswith("six dates"))
    bars = honest(DAILY, seed)
    planted = fault.plant(bars, DAILY, np.random.default_rng(seed))
    days = DAILY.spec.market.day_index(pd.DatetimeIndex(planted["event_time"]))
    true = DAILY.spec.market.day_index(pd.DatetimeIndex(bars["event_time"]))
    price = dict(zip(true, bars["close"], strict=True))
    moved = {
        f"{day:%Y-%m-%d}"
        for day, close in zip(days, planted["close"], strict=True)
        if price.get(day) != close
    }
    report = verdict(DAILY, planted, references={"severity": "off"})
    assert not report.passed
    assert "date_errors" in failed(report)
    named = set(report.quarantined["event_date"])
    assert named <= moved
    assert len(named) >= 4
    assert all(day in " ".join(report.finding("date_errors").examples) for day in named)


@pytest.mark.parametrize("frequency", ["1h", "1d"])
def test_old_bars_that_are_revised_long_after_the_newest_one_are_no_exchanged_dates(
    frequency: Frequency,
) -> None:
    spec = feed("24x7", frequency)
    bars = world(spec, "2024-01-01" if frequency == "1h" else "2022-01-01", "2024-06-30", 1)
    early = bars["event_time"].dt.day.isin([9, 10, 11, 12]) & (bars["event_time"].dt.year == 2024)
    some = bars[early].iloc[:: 40 if frequency == "1h" else 2].copy()
    some["close"] *= 1.0001
    some["high"] = some[["high", "close"]].max(axis=1)
    assert failed(judge(spec, some.iloc[:15], bars)) == set()


# Honest extremes


@pytest.mark.parametrize("kind", [COIN, COIN_HOURLY], ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", [e.name for e in HONEST if e.name.startswith("a coin falls")])
def test_a_coin_may_fall_by_more_than_half_and_come_back(kind: Kind, name: str) -> None:
    fall = next(extreme for extreme in HONEST if extreme.name == name)
    bars = fall.change(honest(kind, 3), kind, np.random.default_rng(3))
    report = verdict(kind, bars)
    assert report.passed
    assert failed(report) <= {"jumps"}


def test_a_jump_across_one_is_no_inversion_unless_it_mirrors_the_price() -> None:
    rng = np.random.default_rng(0)
    bars = honest(FIXING, 1)
    x = 0.03 + np.cumsum(0.0005 * rng.standard_normal(len(bars)))
    x -= np.linspace(0, x[-1] - x[0], len(x))
    off = {"references": {"severity": "off"}}
    for after, passes in ((-0.03, False), (-0.05, True), (-0.012, True)):
        jumped = x.copy()
        jumped[1500:] += after - x[1500]
        mirrored = np.where(np.arange(len(x)) < 1500, x, -x)
        path = mirrored if not passes else jumped
        report = verdict(FIXING, bars.assign(close=np.exp(path)), **off)
        assert ("scale_errors" not in failed(report)) == passes
