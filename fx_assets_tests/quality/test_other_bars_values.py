"""Bars that hold values of other bars are found one by one, and honest ones are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fx_assets.testing.gate.kinds import KINDS, Kind, honest
from fx_assets_tests.quality.test_columns import verdict
from fx_assets_tests.quality.test_intraday_gate import failed

Bars = pd.DataFrame
FIXING, DAILY, HOURLY, MINUTE, COIN, COIN_HOURLY = KINDS


def contained(bars: Bars) -> Bars:
    """High and low that contain open and close again."""
    top, bottom = bars[["open", "close", "high"]].max(axis=1), bars[["open", "close", "low"]].min(1)
    return bars.assign(high=top, low=bottom)


@pytest.mark.parametrize("ahead", [True, False])
def test_a_single_bar_with_the_high_and_low_of_a_day_is_warned_of_by_its_name(ahead: bool) -> None:
    bars = honest(COIN_HOURLY, 3)
    for place in (500, 5000):
        day = bars.iloc[place : place + 24] if ahead else bars.iloc[place - 23 : place + 1]
        wide = bars.copy()
        wide.loc[place, ["high", "low"]] = day["high"].max(), day["low"].min()
        report = verdict(COIN_HOURLY, wide)
        label = COIN_HOURLY.spec.market.label(bars["event_time"][place].to_pydatetime())
        found = report.finding("wide_bars")
        assert (found.passed, found.severity) == (False, "warn")
        assert label in found.message
    assert "wide_bars" not in failed(verdict(COIN_HOURLY, bars))


def test_a_bar_that_opens_where_the_last_one_ended_at_its_high_is_no_copy() -> None:
    bars = honest(COIN_HOURLY, 3)
    place = 700
    top = bars["high"].iloc[place : place + 25].max() * 1.02
    low = bars["low"].iloc[place : place + 25].min() * 0.98
    bars.loc[place, ["high", "close", "low"]] = top, top, low
    bars.loc[place + 1, ["open", "high"]] = top
    assert "wide_bars" not in failed(verdict(COIN_HOURLY, bars))


def test_a_fifth_of_the_midnight_bars_with_the_days_range_is_refused() -> None:
    bars = honest(COIN_HOURLY, 4)
    rng = np.random.default_rng(4)
    midnights = np.flatnonzero(bars["event_time"].dt.hour.to_numpy() == 1)[5:-5]
    for place in rng.choice(midnights, len(midnights) // 5, replace=False):
        day = bars.iloc[place : place + 24]
        # Another vendor's prices: near those of the bars, and none of them.
        bars.loc[place, ["high", "low"]] = day["high"].max() * 1.0003, day["low"].min() * 0.9997
    assert "wide_bars" in failed(verdict(COIN_HOURLY, bars))


@pytest.mark.parametrize("kind", [DAILY, HOURLY, COIN_HOURLY], ids=lambda kind: kind.name)
@pytest.mark.parametrize("count", [25, 200, None])
def test_closes_of_the_bar_after_are_refused_for_a_while_and_for_good(
    kind: Kind, count: int | None
) -> None:
    bars = honest(kind, 5)
    assert verdict(kind, bars).passed
    end = len(bars) - 1 if count is None else 400 + count
    early = bars.copy()
    early.loc[400 : end - 1, "close"] = bars["close"].to_numpy()[401 : end + 1]
    report = verdict(kind, contained(early))
    assert "stale_close" in failed(report)
    assert not report.passed


def test_closes_of_the_bar_after_are_refused_where_opens_are_theirs_or_missing() -> None:
    for kind in (DAILY, COIN_HOURLY):
        bars = honest(kind, 6)
        close = bars["close"].shift(-1)
        opens = [bars["close"], np.nan]
        for open_ in opens:
            early = contained(bars.assign(open=open_, close=close).iloc[:-1])
            assert "stale_close" in failed(verdict(kind, early.reset_index(drop=True)))


@pytest.mark.parametrize("count", [20, 60])
def test_a_stretch_of_closes_of_the_bar_before_is_refused(count: int) -> None:
    bars = honest(COIN_HOURLY, 7)
    stale = bars.copy()
    rows = slice(900, 899 + count)
    stale.loc[rows, "close"] = bars["close"].shift(1)[rows]
    stale.loc[rows, "open"] = stale["close"][rows]
    report = verdict(COIN_HOURLY, contained(stale))
    assert "stale_close" in failed(report)
    assert not report.passed


def test_whole_bars_that_come_again_are_refused_whatever_lies_between() -> None:
    bars = honest(COIN_HOURLY, 8)
    columns = ["open", "high", "low", "close", "volume"]
    for count, lag in ((3, 3), (12, 12), (6, 431)):
        copied = bars.copy()
        copied.loc[2000 : 1999 + count, columns] = bars.loc[
            2000 - lag : 1999 - lag + count, columns
        ].to_numpy()
        report = verdict(COIN_HOURLY, copied)
        assert "stuck_prices" in failed(report)
        assert not report.passed


def test_a_bar_that_comes_twice_in_a_row_is_a_warning() -> None:
    bars = honest(COIN_HOURLY, 8)
    columns = ["open", "high", "low", "close", "volume"]
    body = (bars["open"] - bars["close"]).abs() / (bars["high"] - bars["low"])
    place = int(np.flatnonzero(body.to_numpy() > 0.5)[100])
    bars.loc[place + 1, columns] = bars.loc[place, columns].to_numpy()
    report = verdict(COIN_HOURLY, bars)
    assert report.passed
    assert "stuck_prices" in failed(report)


def test_volumes_of_the_bar_after_are_refused_and_of_the_bar_before_a_warning() -> None:
    bars = honest(COIN_HOURLY, 9)
    spread = np.log(bars["high"] / bars["low"])
    noise = np.random.default_rng(9).normal(0, 0.3, len(bars))
    own = (1e4 * spread * np.exp(noise)).round(2)
    assert verdict(COIN_HOURLY, bars.assign(volume=own)).passed
    ahead = verdict(COIN_HOURLY, bars.assign(volume=own.shift(-1)).iloc[:-1])
    assert "know what comes" in ahead.finding("volumes").message
    assert not ahead.passed
    behind = verdict(COIN_HOURLY, bars.assign(volume=own.shift(1)).iloc[1:].reset_index(drop=True))
    assert "volumes" in failed(behind)
    assert behind.passed


def test_a_wick_that_returns_of_before_never_made_is_a_warning() -> None:
    bars = honest(COIN_HOURLY, 10)
    bars.loc[4000, "high"] *= 1.6
    report = verdict(COIN_HOURLY, bars)
    assert report.passed
    label = COIN_HOURLY.spec.market.label(bars["event_time"][4000].to_pydatetime())
    assert label in report.finding("price_ranges").message
