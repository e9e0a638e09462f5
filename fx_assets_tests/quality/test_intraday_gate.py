"""The gate's checks of OHLC bars: daily and intraday, around the clock and five days a week."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.calendars import FREQUENCIES, Frequency
from fx_assets.quality import CHECKS, GateReport, inspect
from fx_assets.quality.times import bar_times
from fx_assets.sources import new_rows
from fx_assets.specs import FeedSpec, GateSpec
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES
from fx_assets.specs.feed import gate_defaults

pytestmark = pytest.mark.long

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NONE_REJECTED = pd.DataFrame(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
Bars = pd.DataFrame


def feed(calendar: str = "24x7", frequency: str = "1h", **gate: Any) -> FeedSpec:
    return FeedSpec.model_validate(
        {
            "name": "feed",
            "calendar": calendar,
            "frequency": frequency,
            "source": {"kind": "simulated"},
            "gate": gate,
        }
    )


def bars_at(times: np.ndarray, seed: int = 0, daily_volatility: float = 0.01) -> Bars:
    """A random walk with honest highs and lows."""
    count = len(times)
    rng = np.random.default_rng(seed)
    gaps = np.diff(times, prepend=times[:1] - np.timedelta64(1, "h")) / np.timedelta64(1, "D")
    size = daily_volatility * np.sqrt(np.minimum(gaps, 1.0))
    close = 1.1 * np.exp(np.cumsum(size * rng.standard_t(5, count) / np.sqrt(5 / 3)))
    open_ = np.concatenate([[1.1], close[:-1]])
    up, down = np.abs(rng.standard_normal((2, count))) * size / 2
    index = pd.DatetimeIndex(times).tz_localize("UTC")
    return pd.DataFrame(
        {
            "event_time": index,
            "available_at": index,
            "open": open_,
            "high": np.maximum(open_, close) * (1 + up),
            "low": np.minimum(open_, close) * (1 - down),
            "close": close,
            "volume": rng.integers(0, 99, count).astype(float),
            "market_cap": np.nan,
            "source": "test",
            "ingested_at": index,
            "payload": "p",
        }
    ).astype(BAR_DTYPES)


def world(spec: FeedSpec, first: str, last: str, seed: int = 0) -> Bars:
    return bars_at(spec.market.closes(date.fromisoformat(first), date.fromisoformat(last)), seed)


def judge(
    spec: FeedSpec, batch: Bars, stored: Bars | None = None, now: datetime = NOW
) -> GateReport:
    known = batch.iloc[:0] if stored is None else stored.reset_index(drop=True)
    batch = batch.reset_index(drop=True)
    report = inspect(known, batch, NONE_REJECTED, spec, spec.market, now)
    assert [finding.check for finding in report.findings] == list(CHECKS)
    assert {name: str(kind) for name, kind in report.accepted.dtypes.items()} == BAR_DTYPES
    assert (report.quarantined["reason"] != "").all()
    return report


def failed(report: GateReport) -> set[str]:
    return {finding.check for finding in report.findings if not finding.passed}


def at(bars: Bars, moment: str) -> int:
    """The position of the bar that closes at an instant."""
    return int(bars.index[bars["event_time"] == pd.Timestamp(moment, tz="UTC")][0])


def opened(bars: Bars) -> pd.Series:
    """When hourly bars open."""
    first: pd.Series = bars["event_time"] - timedelta(hours=1)
    return first


@pytest.fixture(scope="module")
def hourly() -> Bars:
    return world(feed("24x5"), "2023-01-02", "2024-06-28")


# Honest bars


@pytest.mark.slow
@pytest.mark.parametrize("calendar", ["24x7", "24x5"])
@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_honest_bars_pass_at_every_frequency(calendar: str, frequency: str) -> None:
    spec = feed(calendar, frequency)
    last = "2024-03-15" if frequency.endswith("min") else "2026-01-01"
    for seed in range(2):
        bars = world(spec, "2024-01-02", last, seed)
        bars = bars[bars["event_time"] <= pd.Timestamp(NOW)]
        report = judge(spec, bars)
        assert failed(report) <= {"jumps"}
        assert report.passed
        assert len(report.accepted) == len(bars)


@pytest.mark.slow
def test_each_bar_passes_when_it_arrives_also_after_the_weekend(hourly: Bars) -> None:
    spec = feed("24x5")
    openings = np.flatnonzero(hourly["event_time"].diff() > pd.Timedelta(hours=2))[-20:]
    for i in [*openings, *range(5000, 5400, 13)]:
        assert failed(judge(spec, hourly.iloc[i : i + 1], hourly.iloc[:i])) <= {"jumps"}
    assert judge(spec, hourly.iloc[:0], hourly).passed


def test_bars_that_fill_an_old_gap_pass(hourly: Bars) -> None:
    for first in ("2024-02-06", "2024-01-03", "2024-03-05"):
        start = at(hourly, f"{first} 01:00")
        hole = hourly.iloc[start : start + 30]
        rest = hourly.drop(index=hole.index)
        assert failed(judge(feed("24x5"), hole, rest)) <= {"jumps"}


# Instants


def test_bars_of_the_weekend_and_off_the_grid_are_refused_or_kept_out(hourly: Bars) -> None:
    moments = ["2024-06-22 13:00", "2024-06-23 21:00", "2024-06-24 10:20"]
    extra = bars_at(np.array(moments, dtype="datetime64[us]"))
    batch = pd.concat([hourly, extra], ignore_index=True)
    kept = judge(feed("24x5"), batch)
    assert failed(kept) == {"closed_days"}
    assert kept.passed
    assert set(kept.quarantined["event_date"]) == set(moments)
    assert kept.accepted["event_time"].tolist() == hourly["event_time"].tolist()
    few = judge(feed("24x5"), extra, hourly)
    assert not few.passed
    assert "2024-06-22 13:00" in few.finding("closed_days").message
    assert "severity: warn" in few.finding("closed_days").message
    assert judge(feed("24x5", closed_days={"severity": "warn"}), extra, hourly).passed


@pytest.mark.parametrize("hours", [1, 2, 5, -3])
def test_bars_of_another_zone_are_refused_and_bars_beside_all_that_are_due_are_not(
    hourly: Bars, hours: int
) -> None:
    spec = feed("24x5")
    shifted = hourly.assign(event_time=hourly["event_time"] + timedelta(hours=hours))
    assert not judge(spec, shifted).passed
    start, end = hourly["event_time"].iloc[0], hourly["event_time"].iloc[-1]
    clock = pd.date_range(start, end, freq="h", unit="us")
    beside = hourly.set_index("event_time").reindex(clock).ffill().rename_axis("event_time")
    every_hour = beside.reset_index()[list(BAR_DTYPES)]
    report = judge(spec, every_hour)
    assert report.passed
    assert len(report.accepted) == spec.market.possible(bar_times(every_hour)).sum()
    assert failed(report) - {"jumps"} == {"closed_days"}


def test_missing_bars_are_a_share_and_a_warning(hourly: Bars) -> None:
    spec = feed("24x5")
    gappy = hourly.drop(index=range(300, 340)).drop(index=[700, 702])
    few = judge(spec, gappy).finding("missing_days")
    assert few.passed
    assert few.count == pytest.approx(42 / len(hourly))
    assert f"{hourly['event_time'][300]:%Y-%m-%d %H:%M} (40 bars)" in few.message
    assert few.examples[0].endswith("(40 bars)")
    many = judge(spec, hourly.drop(index=range(300, 700)))
    assert many.passed
    assert "missing_days" in failed(many)
    strict = judge(feed("24x5", missing_days={"severity": "block", "limit": 0}), gappy)
    assert not strict.passed


def test_a_pause_before_the_newest_bar_is_noticed_among_the_bars_before_it(hourly: Bars) -> None:
    report = judge(feed("24x5"), hourly.iloc[5020:5021], hourly.iloc[:5010])
    assert failed(report) - {"jumps"} == {"missing_days"}
    assert report.finding("missing_days").count == pytest.approx(10 / 251)


def test_the_quiet_days_of_currency_markets_are_not_missed(hourly: Bars) -> None:
    days = opened(hourly).dt.strftime("%m-%d")
    assert not days.isin(["12-25"]).any()
    assert judge(feed("24x5"), hourly).finding("missing_days").count == 0


def test_quarantined_bars_are_not_missing(hourly: Bars) -> None:
    batch = hourly.copy()
    batch.loc[100, "close"] = -1.0
    label = f"{hourly['event_time'][200]:%Y-%m-%d %H:%M}"
    cells = [label, "close", "x", "local_time", "why", "files", pd.Timestamp(NOW), "p"]
    rejected = pd.DataFrame([cells], columns=list(REJECTED_DTYPES))
    spec = feed("24x5", missing_days={"limit": 0}, non_positive={"severity": "warn"})
    report = inspect(
        batch.iloc[:0],
        batch.drop(index=200),
        rejected.astype(REJECTED_DTYPES),
        spec,
        spec.market,
        NOW,
    )
    assert report.finding("missing_days").count == 0
    assert report.finding("non_positive").count == 1
    assert report.quarantined["event_date"].tolist() == [
        label,
        f"{hourly['event_time'][100]:%Y-%m-%d %H:%M}",
    ]


def test_a_known_bad_day_takes_all_its_bars_out(hourly: Bars) -> None:
    wild = hourly.copy()
    day = opened(wild).dt.strftime("%Y-%m-%d") == "2024-05-15"
    wild.loc[day, "close"] *= 100
    assert not judge(feed("24x5"), wild).passed
    spec = feed("24x5", known_bad=[date(2024, 5, 15)], missing_days={"limit": 0})
    report = judge(spec, wild)
    assert report.passed
    assert "missing_days" not in failed(report)
    assert len(report.accepted) == len(wild) - 24
    stored = wild[wild["event_time"] < pd.Timestamp("2024-06-01", tz="UTC")]
    assert judge(spec, wild.iloc[len(stored) :], stored).passed


# Prices


@pytest.mark.parametrize("factor", [100, 0.01, 100_000, 1e-3])
@pytest.mark.parametrize("rows", [slice(100, 101), slice(-1, None), slice(-500, None), slice(0, 9)])
def test_bars_in_another_unit_are_refused(hourly: Bars, factor: float, rows: slice) -> None:
    wild = hourly.copy()
    where = wild.index[rows]
    wild.loc[where, ["open", "high", "low", "close"]] *= factor
    report = judge(feed("24x5"), wild)
    assert "scale_errors" in failed(report)
    labels = {f"{moment:%Y-%m-%d %H:%M}" for moment in wild["event_time"][where]}
    assert set(report.quarantined["event_date"]) == labels
    late = judge(feed("24x5"), wild.iloc[-3:], hourly.iloc[:-3])
    assert ("scale_errors" in failed(late)) == (rows.stop is None)


def moved(bars: Bars, days: set[date] | None = None) -> Bars:
    """The bars with day and month exchanged, of these days or of all ambiguous ones."""

    def exchanged(stamp: pd.Timestamp) -> pd.Timestamp:
        day = (stamp - timedelta(microseconds=1)).date()
        if day.day > 12 or (days is not None and day not in days):
            return stamp
        other = day.replace(month=day.day, day=day.month)
        return stamp + (pd.Timestamp(other) - pd.Timestamp(day))

    times = [exchanged(stamp) for stamp in bars["event_time"]]
    changed = bars.assign(event_time=pd.DatetimeIndex(times).as_unit("us"))
    return changed.sort_values("event_time", ignore_index=True)


@pytest.mark.parametrize("frequency", ["1h", "4h"])
def test_days_and_months_that_were_exchanged_are_noticed(frequency: Frequency) -> None:
    spec = feed("24x7", frequency)
    for seed in range(3):
        bars = world(spec, "2024-01-01", "2024-12-31", seed)
        report = judge(spec, moved(bars))
        assert "date_errors" in failed(report)
        assert "all ambiguous dates of 2024" in report.finding("date_errors").message
        assert not report.passed


def test_two_days_that_changed_places_are_noticed() -> None:
    spec = feed("24x7")
    found = 0
    for seed in range(8):
        bars = world(spec, "2024-01-01", "2024-12-31", seed)
        pair = {date(2024, 3, 9), date(2024, 9, 3)}
        report = judge(spec, moved(bars, pair))
        if "date_errors" in failed(report):
            found += 1
            blamed = set(report.quarantined["event_date"].str[:10])
            assert blamed <= {"2024-03-09", "2024-03-10", "2024-09-03", "2024-09-04"}
            assert len(report.quarantined) == 48
    assert found >= 3


def test_a_day_that_arrives_on_its_exchanged_date_is_refused(hourly: Bars) -> None:
    spec = feed("24x5")
    start = at(hourly, "2024-06-07 01:00")
    late = moved(hourly.iloc[start : start + 24])
    assert late["event_time"][0] == pd.Timestamp("2024-07-06 01:00", tz="UTC")
    assert not judge(spec, late, hourly.iloc[:start]).passed
    start = at(hourly, "2024-06-04 01:00")
    now = datetime(2024, 6, 5, tzinfo=UTC)
    back = moved(hourly.iloc[start : start + 24])
    fresh = new_rows(hourly.iloc[:start], back, now)
    report = judge(spec, fresh, hourly.iloc[:start], now)
    assert "2024-04-06, which is probably 2024-06-04" in report.finding("date_errors").message or (
        "closed_days" in failed(report)
    )
    assert not report.passed


def test_a_mass_of_revisions_is_refused_by_the_number_of_bars_of_a_day(hourly: Bars) -> None:
    spec = feed("24x5")
    for count, passes in ((20, True), (48, False)):
        some = hourly.iloc[4000 : 4000 + count].assign(close=lambda b: b["close"] * 1.0001)
        some = some.assign(
            high=some[["high", "close"]].max(axis=1), low=some[["low", "close"]].min(axis=1)
        )
        report = judge(spec, new_rows(hourly, some, NOW), hourly)
        assert ("revisions" not in failed(report)) == passes
        assert report.finding("revisions").count == count


@pytest.mark.parametrize(("frequency", "share"), [("1min", 0.8), ("15min", 0.6), ("1h", 0.3)])
def test_short_bars_may_stand_still_often_but_not_always(frequency: str, share: float) -> None:
    spec = feed("24x7", frequency)
    bars = world(spec, "2024-01-02", "2024-02-20").head(4000)
    flat = np.random.default_rng(0).random(len(bars)) < share
    flat[0] = False
    prices = ["open", "high", "low", "close"]
    still = bars.copy()
    still[prices] = bars[prices].mask(np.repeat(flat[:, None], 4, 1)).ffill()
    assert "zero_returns" not in failed(judge(spec, still))
    stuck = bars.copy()
    stuck.loc[len(bars) - 1500 :, prices] = 1.1
    assert "zero_returns" in failed(judge(spec, stuck))


@pytest.mark.parametrize(("calendar", "frequency"), [("24x5", "1d"), ("24x7", "1h")])
def test_closes_of_the_bar_before_are_refused(calendar: str, frequency: str) -> None:
    spec = feed(calendar, frequency)
    honest = world(spec, "2021-01-04" if frequency == "1d" else "2024-10-01", "2024-12-31")
    report = judge(spec, honest)
    assert abs(report.finding("stale_close").count) < 0.25
    before = honest["close"].shift(1)
    stale = honest.assign(open=before, close=before).iloc[1:]
    lenient = spec.model_copy(
        update={
            "gate": spec.gate.model_copy(
                update={
                    "ohlc_consistency": spec.gate.ohlc_consistency.model_copy(
                        update={"severity": "off"}
                    )
                }
            )
        }
    )
    assert failed(judge(lenient, stale)) - {"jumps"} == {"stale_close"}
    correlated = stale.assign(open=honest["open"].shift(3).iloc[1:])
    finding = judge(lenient, correlated).finding("stale_close")
    assert not finding.passed
    assert finding.count > 0.5


def test_closes_that_often_equal_the_open_are_refused_on_daily_bars_only() -> None:
    for frequency, passes in (("1d", False), ("1min", True)):
        spec = feed("24x7", frequency)
        bars = world(spec, "2022-01-01" if frequency == "1d" else "2024-12-30", "2024-12-31")
        level = bars["close"].to_numpy()
        flat = np.random.default_rng(1).random(len(bars)) < 0.73
        same = bars.assign(open=np.where(flat, level, bars["open"]))
        report = judge(spec, same)
        assert ("stale_close" not in failed(report)) == passes


def test_a_negative_volume_or_market_cap_is_refused_and_zero_is_not(hourly: Bars) -> None:
    for column in ("volume", "market_cap"):
        zero = hourly.assign(**{column: 0.0})
        assert failed(judge(feed("24x5"), zero)) <= {"jumps"}
        zero.loc[77, column] = -1.0
        report = judge(feed("24x5"), zero)
        assert failed(report) - {"jumps"} == {"non_positive"}
        assert len(report.quarantined) == 1


def test_a_large_batch_that_is_refused_whole_is_listed_in_part() -> None:
    spec = feed("24x7", "1min", missing_days={"severity": "block", "limit": 0})
    bars = world(spec, "2024-12-01", "2024-12-31").drop(index=[500])
    report = judge(spec, bars)
    assert not report.passed
    assert report.accepted.empty
    assert len(report.quarantined) == 10_000
    assert f"so are {len(bars) - 10_000} later ones" in report.quarantined["reason"][0]


# Settings and speed


def test_an_intraday_feed_has_rules_of_its_own_and_keeps_what_it_sets() -> None:
    assert feed("24x5", "1d").gate == GateSpec()
    for frequency in FREQUENCIES:
        assert feed("24x7", frequency).gate == gate_defaults(frequency)
    gate = feed("24x7", "1min", missing_days={"limit": 0.5}, jumps={"severity": "block"}).gate
    assert (gate.missing_days.severity, gate.missing_days.limit) == ("warn", 0.5)
    assert (gate.jumps.severity, gate.jumps.limit) == ("block", 20.0)
    spec = FeedSpec.model_validate(
        {
            "name": "feed",
            "calendar": "24x7",
            "frequency": "1min",
            "source": {"kind": "simulated"},
            "gate": GateSpec.model_validate({"nulls": {"limit": 3}}),
        }
    )
    assert spec.gate.nulls.limit == 3
    assert spec.gate.zero_returns == gate_defaults("1min").zero_returns


@pytest.mark.slow
def test_half_a_million_minutes_are_judged_in_seconds_and_one_more_at_once() -> None:
    spec = feed("24x7", "1min")
    bars = world(spec, "2024-01-01", "2024-12-15").head(500_000)
    begin = time.process_time()
    report = judge(spec, bars)
    assert report.passed
    assert time.process_time() - begin < 2
    judge(spec, bars.iloc[-2:-1], bars.iloc[:-2])
    begin = time.process_time()
    assert judge(spec, bars.iloc[-1:], bars.iloc[:-1]).passed
    assert time.process_time() - begin < 0.7
