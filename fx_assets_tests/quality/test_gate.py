from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from fx_assets.calendars import calendar
from fx_assets.quality import CHECKS, GateReport, inspect
from fx_assets.sources import new_rows
from fx_assets.specs import CheckRule, EcbSource, FeedSpec, GateSpec
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES
from fx_assets.testing.worlds import bars_from_closes, ecb_bars, garch_world

TARGET = calendar("target")
NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
NONE_REJECTED = pd.DataFrame(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
Bars = pd.DataFrame


def feed(**gate: Any) -> FeedSpec:
    source = EcbSource(kind="ecb", quote="USD")
    return FeedSpec(name="feed", source=source, gate=GateSpec.model_validate(gate))


def judge(
    batch: Bars,
    stored: Bars | None = None,
    *,
    rejected: Bars = NONE_REJECTED,
    now: datetime = NOW,
    **gate: Any,
) -> GateReport:
    known = batch.iloc[:0] if stored is None else stored
    report = inspect(known, batch, rejected, feed(**gate), TARGET, now)
    assert [finding.check for finding in report.findings] == list(CHECKS)
    assert {name: str(kind) for name, kind in report.quarantined.dtypes.items()} == REJECTED_DTYPES
    assert {name: str(kind) for name, kind in report.accepted.dtypes.items()} == BAR_DTYPES
    assert (report.quarantined["reason"] != "").all()
    return report


def failed(report: GateReport) -> set[str]:
    return {finding.check for finding in report.findings if not finding.passed}


def days_of(bars: Bars) -> list[date]:
    return [TARGET.day_of(moment) for moment in bars["event_time"]]


def relabel(bars: Bars, days: list[date]) -> Bars:
    moved = bars_from_closes(days, bars["close"].to_numpy(), source="ecb")
    return moved.sort_values("event_time", ignore_index=True)


def scaled(bars: Bars, rows: slice | list[int], factor: float) -> Bars:
    changed = bars.copy()
    where = np.arange(len(bars))[rows]
    changed.loc[where, "close"] = changed["close"].to_numpy()[where] * factor
    return changed


@pytest.fixture(scope="module")
def recent() -> Bars:
    return ecb_bars(first="2024-01-01")


# Real history

ACTIVE = """USD JPY CZK DKK GBP HUF PLN RON SEK CHF NOK TRY AUD BRL CAD CNY HKD IDR ILS INR KRW MXN
MYR NZD PHP SGD THB ZAR RUB HRK TRL ROL LVL SIT SKK"""


@pytest.mark.parametrize(
    "quote",
    [
        pytest.param(quote, marks=pytest.mark.slow if place % 4 else ())
        for place, quote in enumerate(ACTIVE.split())
    ],
)
def test_real_history_passes_with_jumps_as_warnings_only(quote: str) -> None:
    bars = ecb_bars(quote=quote)
    report = judge(bars)
    assert report.passed
    assert failed(report) <= {"jumps"}
    assert report.accepted.equals(bars)
    assert report.quarantined.empty


@pytest.mark.parametrize("pair", [("GBP", "USD"), ("USD", "EUR"), ("USD", "TRY"), ("KRW", "JPY")])
def test_real_crosses_and_inverses_pass(pair: tuple[str, str]) -> None:
    assert judge(ecb_bars(*pair)).passed


@pytest.mark.parametrize("quote", ["BGN", "EEK", "LTL", "MTL"])
def test_a_hard_peg_passes_with_a_warning(quote: str) -> None:
    report = judge(ecb_bars(quote=quote))
    assert report.passed
    assert failed(report) - {"jumps"} == {"zero_returns"}
    assert "are exactly zero" in report.finding("zero_returns").message
    assert judge(ecb_bars(quote=quote), zero_returns={"limit": 1.0}).finding("zero_returns").passed


def test_a_gap_of_years_is_a_warning_that_the_feed_can_silence() -> None:
    krona = ecb_bars(quote="ISK")
    report = judge(krona)
    assert report.passed
    assert failed(report) - {"jumps"} == {"missing_days"}
    assert "2008-12-10 to 2018-01-31 (2341 days)" in report.finding("missing_days").message
    assert judge(krona, missing_days={"limit": 2341}).finding("missing_days").passed
    assert judge(ecb_bars(quote="ISK", first="2018-02-01")).finding("missing_days").passed


def test_the_franc_of_january_2015_and_the_crisis_of_2008_are_warnings() -> None:
    franc = judge(ecb_bars(quote="CHF", last="2015-01-15")).finding("jumps")
    assert not franc.passed
    assert franc.severity == "warn"
    assert "2015-01-15: -15.6 %" in franc.message
    live = judge(
        ecb_bars(quote="CHF", first="2015-01-15", last="2015-01-15"),
        ecb_bars(quote="CHF", last="2015-01-14"),
    )
    assert live.passed
    assert len(live.accepted) == 1
    assert failed(live) == {"jumps"}
    assert judge(ecb_bars(first="2007-01-01", last="2009-12-31")).passed


def test_target_days_are_the_days_of_the_ecb() -> None:
    days = days_of(ecb_bars())
    assert days == TARGET.open_days(days[0], days[-1])


def test_each_real_day_passes_when_it_arrives(recent: Bars) -> None:
    for i in range(400, len(recent), 15):
        batch = recent.iloc[i : i + 3].reset_index(drop=True)
        assert judge(batch, recent.iloc[:i]).passed


def test_nothing_new_passes(recent: Bars) -> None:
    assert judge(recent.iloc[:0], recent).passed
    report = judge(recent.iloc[:0])
    assert report.passed
    assert report.accepted.empty


# Rows

ROW_FAULTS: dict[str, Callable[[Bars], Bars]] = {
    "nulls": lambda b: b.assign(close=b["close"].where(b.index != 100)),
    "non_positive": lambda b: b.assign(close=b["close"].where(b.index != 100, 0.0)),
    "schema_and_types": lambda b: b.assign(close=b["close"].where(b.index != 100, np.inf)),
    "duplicates": lambda b: pd.concat([b, b.iloc[[100]].assign(close=1.0)], ignore_index=True),
    "future_bars": lambda b: pd.concat(
        [b, bars_from_closes([date(2026, 11, 11)], np.array([1.1]))], ignore_index=True
    ),
    "closed_days": lambda b: pd.concat(
        [b, bars_from_closes([date(2025, 12, 25)], np.array([1.17]))], ignore_index=True
    ),
}


@pytest.mark.parametrize("check", sorted(set(ROW_FAULTS) - {"closed_days"}))
def test_a_bad_row_refuses_the_batch_and_lands_in_quarantine(recent: Bars, check: str) -> None:
    batch = ROW_FAULTS[check](recent)
    report = judge(batch)
    assert failed(report) - {"jumps"} == {check}
    assert not report.passed
    assert report.accepted.empty
    assert set(report.quarantined["check"]) == {check}
    assert len(report.quarantined) == (2 if check == "duplicates" else 1)
    assert report.finding(check).examples[0].startswith(report.quarantined["event_date"][0])


def test_a_bar_of_a_closed_day_is_kept_out_and_many_of_them_refuse_the_batch(recent: Bars) -> None:
    one = judge(ROW_FAULTS["closed_days"](recent))
    assert one.passed
    assert len(one.accepted) == len(recent)
    assert one.quarantined["check"].tolist() == ["closed_days"]
    assert (one.finding("closed_days").severity, one.finding("closed_days").count) == ("warn", 1)
    assert "closed_days.severity: warn" not in one.finding("closed_days").message
    weekends = [d for d in pd.date_range("2024-03-02", "2024-12-31").date if d.weekday() == 5]
    extra = bars_from_closes(weekends[:9], np.full(9, 1.1))
    beside = judge(pd.concat([recent, extra], ignore_index=True))
    assert beside.passed
    assert beside.finding("closed_days").count == 9
    a_day_late = relabel(recent, [day + timedelta(days=1) for day in days_of(recent)])
    assert "closed_days" in failed(judge(a_day_late))
    assert "closed_days.severity: warn" in judge(a_day_late).finding("closed_days").message
    assert not judge(a_day_late).passed
    alone = judge(extra.iloc[:2], recent)
    assert alone.passed
    assert alone.accepted.empty
    assert not judge(extra.iloc[:3].reset_index(drop=True), recent).passed


@pytest.mark.parametrize("check", ROW_FAULTS)
def test_where_the_check_only_warns_the_bad_row_is_kept_out_and_the_rest_enters(
    recent: Bars, check: str
) -> None:
    batch = ROW_FAULTS[check](recent)
    report = judge(batch, **{check: {"severity": "warn"}})
    assert report.passed
    assert failed(report) - {"jumps"} == {check}
    assert len(report.accepted) + len(report.quarantined) == len(batch)
    assert report.accepted["close"].gt(0).all()
    assert report.accepted["event_time"].is_unique


@pytest.mark.parametrize("check", sorted(set(ROW_FAULTS) - {"closed_days"}))
def test_a_row_that_no_table_can_hold_is_kept_out_even_when_its_check_is_off(
    recent: Bars, check: str
) -> None:
    report = judge(ROW_FAULTS[check](recent), **{check: {"severity": False}})
    assert report.finding(check).severity == "off"
    assert report.passed
    assert len(report.quarantined) in (1, 2)


def test_a_day_known_to_be_bad_goes_to_quarantine_and_never_fails(recent: Bars) -> None:
    for check, plant in ROW_FAULTS.items():
        batch = plant(recent)
        day = {"future_bars": date(2026, 11, 11), "closed_days": date(2025, 12, 25)}.get(
            check, days_of(recent)[100]
        )
        report = judge(batch, known_bad=[day])
        assert report.passed
        assert set(report.quarantined["event_date"]) == {str(day)}
    wild = scaled(recent, [100], 100.0)
    report = judge(wild, known_bad=[days_of(recent)[100]])
    assert report.passed
    assert len(report.accepted) == len(recent) - 1
    stored_wild = judge(recent.iloc[300:], wild.iloc[:300], known_bad=[days_of(recent)[100]])
    assert stored_wild.passed


@pytest.mark.parametrize("check", ["schema_and_types", "non_positive", "duplicates", "future_bars"])
def test_a_row_that_the_parser_rejected_counts_for_its_check(recent: Bars, check: str) -> None:
    rejected = pd.DataFrame(
        [
            {
                "event_date": str(days_of(recent)[100]),
                "column": "USD",
                "value": "0x",
                "check": check,
                "reason": "why not",
                "source": "ecb",
                "ingested_at": pd.Timestamp(NOW),
                "payload": "p",
            }
        ]
    ).astype(REJECTED_DTYPES)
    batch = recent.drop(index=100).reset_index(drop=True)
    report = judge(batch, rejected=rejected)
    assert failed(report) - {"jumps"} == {check}
    assert report.quarantined["value"].tolist() == ["0x"]
    assert "why not" in report.finding(check).message
    assert judge(batch, rejected=rejected, **{check: {"severity": "warn"}}).passed
    assert judge(batch, rejected=rejected, known_bad=[days_of(recent)[100]]).passed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b.drop(columns="close"),
        lambda b: b.assign(close=b["close"].astype(str)),
        lambda b: b.assign(event_time=b["event_time"].dt.tz_localize(None)),
        lambda b: b.assign(event_time=b["event_time"].astype("datetime64[ns, UTC]")),
    ],
)
def test_a_frame_of_another_shape_is_refused_whole(
    recent: Bars, spoil: Callable[[Bars], Bars]
) -> None:
    report = judge(spoil(recent.head(5)), schema_and_types={"severity": "warn"})
    assert failed(report) == {"schema_and_types"}
    assert not report.passed
    assert len(report.quarantined) == 5


# Scale


@pytest.mark.parametrize("factor", [100, 10, 0.1, 0.01, 100_000, 1e-5])
@pytest.mark.parametrize(
    "rows", [[0], [100], [-1], slice(-40, None), slice(None, 40), slice(200, 260), [50, 51, 400]]
)
def test_a_history_partly_in_another_unit_is_refused(
    recent: Bars, rows: slice | list[int], factor: float
) -> None:
    report = judge(scaled(recent, rows, factor))
    assert "scale_errors" in failed(report)
    assert report.accepted.empty
    wrong = np.array(days_of(recent))[rows]
    assert set(report.quarantined["event_date"]) == {str(day) for day in wrong}


@pytest.mark.parametrize("factor", [100, 10, 0.1, 0.01, 100_000])
@pytest.mark.parametrize(("size", "rows"), [(1, [0]), (5, slice(None)), (5, [-1]), (5, [2])])
def test_a_new_bar_in_another_unit_is_refused(
    recent: Bars, factor: float, size: int, rows: list[int]
) -> None:
    stored, batch = recent.iloc[:-size], recent.iloc[-size:].reset_index(drop=True)
    report = judge(scaled(batch, rows, factor), stored)
    assert not report.passed
    assert len(report.quarantined) == len(np.arange(size)[rows])
    assert "scale_errors" in report.finding("scale_errors").check
    assert str(days_of(batch)[np.arange(size)[rows][0]]) in report.finding("scale_errors").message


def test_an_inverted_quote_is_refused() -> None:
    yen = ecb_bars(quote="JPY", first="2024-01-01")
    for rows in ([100], slice(-30, None)):
        flipped = yen.copy()
        where = np.arange(len(yen))[rows]
        flipped.loc[where, "close"] = 1 / flipped["close"].to_numpy()[where]
        report = judge(flipped)
        assert "scale_errors" in failed(report)
        assert len(report.quarantined) == len(where)


def test_a_great_move_is_held_back_until_the_next_bar_confirms_it(recent: Bars) -> None:
    stored, news = recent.iloc[:-3], recent.iloc[-3:].reset_index(drop=True)
    crash = scaled(news, slice(None), 1.9)
    assert failed(judge(crash.iloc[:1], stored)) == {"scale_errors", "jumps"}
    confirmed = judge(crash.iloc[:2], stored)
    assert confirmed.passed
    assert failed(confirmed) == {"jumps"}
    undone = judge(scaled(news, [0], 1.9).iloc[:2], stored)
    assert not undone.passed
    assert undone.quarantined["event_date"].tolist() == [str(days_of(news)[0])]


def test_a_revision_to_another_unit_is_refused(recent: Bars) -> None:
    revision = new_rows(recent, scaled(recent, [100], 100), NOW)
    report = judge(revision, recent)
    assert failed(report) - {"jumps"} == {"scale_errors"}
    assert len(report.quarantined) == 1


def test_a_small_revision_passes_and_a_mass_of_them_does_not(recent: Bars) -> None:
    one = new_rows(recent, scaled(recent, [100], 1.001), NOW)
    assert len(judge(one, recent).accepted) == 1
    many = new_rows(recent, scaled(recent, slice(100, 150), 1.001), NOW)
    report = judge(many, recent)
    assert failed(report) == {"revisions"}
    assert len(report.quarantined) == 50
    assert judge(many, recent, revisions={"limit": 50}).passed


def test_bars_whose_closes_stay_are_revised_in_a_price_that_is_named(recent: Bars) -> None:
    more = recent.iloc[:200].assign(volume=12.0)
    found = judge(new_rows(recent, more, NOW), recent).finding("revisions").message
    assert ": volume none to 12" in found


# Dates


def exchanged(day: date) -> date:
    return day.replace(month=day.day, day=day.month) if day.day <= 12 else day


@pytest.mark.parametrize("quote", ["USD", "CHF", "JPY", "DKK"])
def test_a_history_with_day_and_month_exchanged_is_refused(quote: str) -> None:
    bars = ecb_bars(quote=quote, first="2019-01-01", last="2023-12-31")
    report = judge(relabel(bars, [exchanged(day) for day in days_of(bars)]))
    assert {"date_errors", "closed_days", "missing_days"} <= failed(report)
    assert report.accepted.empty


def test_exchanged_dates_are_noticed_by_the_path_alone() -> None:
    for quote in ("USD", "GBP", "JPY"):
        bars = ecb_bars(quote=quote, first="2018-01-01", last="2025-12-31")
        days = days_of(bars)
        place = {day: i for i, day in enumerate(days)}
        source = [place.get(exchanged(day), i) for i, day in enumerate(days)]
        mixed = bars.assign(close=bars["close"].to_numpy()[source])
        report = judge(mixed)
        assert failed(report) - {"jumps"} == {"date_errors"}
        assert len(report.finding("date_errors").examples) >= 15


def test_most_single_exchanges_of_two_dates_are_noticed() -> None:
    bars = ecb_bars(first="2018-01-01", last="2020-12-31")
    days = days_of(bars)
    place = {day: i for i, day in enumerate(days)}
    pairs = [
        (i, place[exchanged(day)])
        for i, day in enumerate(days)
        if day.day <= 12 and exchanged(day) > day and exchanged(day) in place
    ]
    found = 0
    for i, j in pairs[::8]:
        mixed = bars.copy()
        mixed.loc[[i, j], "close"] = bars["close"].to_numpy()[[j, i]]
        report = judge(mixed)
        found += "date_errors" in failed(report)
    assert found >= 0.4 * len(pairs[::8])


def test_one_row_on_its_exchanged_date_is_refused() -> None:
    bars = ecb_bars(first="2019-01-01", last="2023-12-31")
    days = days_of(bars)
    for i in [i for i, day in enumerate(days) if day.day <= 12 and day.day != day.month][::35]:
        moved = [exchanged(day) if j == i else day for j, day in enumerate(days)]
        report = judge(relabel(bars, moved))
        kept_out = set(report.quarantined["event_date"]) == {str(exchanged(days[i]))}
        assert kept_out or not report.passed


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 5])
def test_new_rows_on_exchanged_dates_are_refused(size: int) -> None:
    bars = ecb_bars(first="2021-01-01")
    days = days_of(bars)
    tried = 0
    for i in range(len(bars) - 700, len(bars) - size, 17):
        batch = bars.iloc[i : i + size].reset_index(drop=True)
        shifted = [exchanged(day) for day in days[i : i + size]]
        if shifted == days[i : i + size]:
            continue
        tried += 1
        stored = bars.iloc[:i].reset_index(drop=True)
        now = TARGET.available_at(days[i + size - 1])
        report = judge(new_rows(stored, relabel(batch, shifted), now), stored, now=now)
        assert not report.passed, (days[i : i + size], shifted)
        assert report.accepted.empty
    assert tried >= 10


# Paths


@pytest.mark.parametrize("gap", [[100], [100, 101, 102], list(range(50, 90))])
def test_days_missing_long_ago_are_named_and_stop_nothing(recent: Bars, gap: list[int]) -> None:
    report = judge(recent.drop(index=gap).reset_index(drop=True))
    assert report.passed
    assert failed(report) - {"jumps"} == {"missing_days"}
    finding = report.finding("missing_days")
    assert (finding.severity, finding.count) == ("warn", len(gap))
    assert str(days_of(recent)[gap[0]]) in finding.message
    assert str(days_of(recent)[gap[-1]]) in finding.message


@pytest.mark.parametrize(("missing", "passes"), [(1, True), (12, True), (13, False), (60, False)])
def test_many_days_missing_in_the_newest_year_refuse_the_batch(
    recent: Bars, missing: int, passes: bool
) -> None:
    due = len(TARGET.open_days(days_of(recent)[-1] - timedelta(days=364), days_of(recent)[-1]))
    assert 12 <= 0.05 * due < 13
    gap = range(len(recent) - 2 * missing - 1, len(recent) - 1, 2)
    report = judge(recent.drop(index=gap).reset_index(drop=True))
    assert failed(report) - {"jumps"} == {"missing_days"}
    assert report.passed == passes
    assert report.finding("missing_days").severity == ("warn" if passes else "block")
    assert judge(
        recent.drop(index=gap).reset_index(drop=True), missing_days={"limit": missing}
    ).passed


def test_a_day_missing_between_stored_and_new_bars_is_noticed(recent: Bars) -> None:
    report = judge(recent.iloc[501:], recent.iloc[:500])
    assert failed(report) == {"missing_days"}
    assert report.passed


def test_a_planted_jump_is_a_warning_and_blocks_when_the_feed_says_so(recent: Bars) -> None:
    shifted = scaled(recent, slice(300, None), 1.1)
    report = judge(shifted)
    assert report.passed
    assert failed(report) == {"jumps"}
    assert str(days_of(recent)[300]) in report.finding("jumps").message
    blocked = judge(shifted, jumps={"severity": "block"})
    assert not blocked.passed
    assert blocked.quarantined["event_date"].tolist() == [str(days_of(recent)[300])]
    assert judge(shifted, jumps={"limit": 1000}).finding("jumps").passed


def test_jumps_are_judged_by_the_returns_before_them_only(recent: Bars) -> None:
    calm = judge(scaled(recent, slice(300, None), 1.1).iloc[:301]).finding("jumps")
    wild = recent.copy()
    noise = np.random.default_rng(0).standard_normal(len(recent) - 301) * 0.03
    wild.loc[301:, "close"] = wild["close"][301:] * np.exp(np.cumsum(noise))
    later = judge(scaled(wild, slice(300, None), 1.1)).finding("jumps")
    assert calm.examples[0] in later.examples


def test_a_stuck_feed_is_refused(recent: Bars) -> None:
    stuck = recent.copy()
    stuck.loc[len(recent) - 110 :, "close"] = 1.1
    assert failed(judge(stuck)) - {"jumps"} == {"zero_returns", "stuck_prices"}


# Bars with open, high and low


def with_ohlc(bars: Bars, seed: int = 0) -> Bars:
    rng = np.random.default_rng(seed)
    open_ = bars["close"].shift(1).fillna(bars["close"])
    body = pd.concat([open_, bars["close"]], axis=1)
    up, down = np.abs(rng.standard_normal((2, len(bars)))) * 0.002
    return bars.assign(
        open=open_, high=body.max(axis=1) * (1 + up), low=body.min(axis=1) * (1 - down)
    )


def test_honest_ohlc_bars_pass() -> None:
    for seed in range(3):
        report = judge(with_ohlc(garch_world(1500, seed), seed))
        assert report.passed
        assert abs(report.finding("stale_close").count) < 0.25


def test_a_close_of_the_day_before_is_refused() -> None:
    honest = with_ohlc(garch_world(1500, 1))
    stale = (
        honest.assign(open=honest["close"].shift(1), close=honest["close"].shift(1))
        .iloc[1:]
        .reset_index(drop=True)
    )
    report = judge(stale, ohlc_consistency={"severity": "off"})
    assert failed(report) == {"stale_close"}
    assert report.finding("stale_close").count > 0.5


def test_an_inconsistent_bar_is_refused_and_where_the_check_warns_it_stays() -> None:
    bars = with_ohlc(garch_world(400, 2))
    bars.loc[200, "high"] = bars["low"][200] * 0.99
    report = judge(bars)
    assert failed(report) == {"ohlc_consistency"}
    assert len(report.quarantined) == 1
    warned = judge(bars, ohlc_consistency={"severity": "warn"})
    assert failed(warned) == {"ohlc_consistency"}
    assert len(warned.accepted) == 400


@pytest.mark.parametrize("hidden", ["open", "high", "low"])
def test_an_empty_cell_hides_no_inconsistency(hidden: str) -> None:
    bars = with_ohlc(garch_world(400, 2))
    bars.loc[200, hidden] = np.nan
    assert judge(bars).passed
    if hidden != "high":
        bars.loc[200, "high"] = bars["close"][200] * 0.98
    else:
        bars.loc[200, "low"] = bars["close"][200] * 1.02
    assert failed(judge(bars)) == {"ohlc_consistency"}


@pytest.mark.parametrize(
    ("level", "decimals"), [(1.1, 4), (1.1, 5), (110.0, 2), (0.8, 3), (3e4, 0)]
)
def test_a_bar_may_be_off_by_one_unit_of_the_vendors_rounding_and_not_by_three(
    level: float, decimals: int
) -> None:
    bars = with_ohlc(garch_world(600, 3))
    prices = ["open", "high", "low", "close"]
    bars[prices] = (bars[prices] * level / 1.2).round(decimals)
    unit = 10.0**-decimals
    for place, column, sign in ((150, "low", 1), (300, "high", -1), (450, "low", 1)):
        top = max(bars["open"][place], bars["close"][place])
        bottom = min(bars["open"][place], bars["close"][place])
        bars.loc[place, column] = round((top if column == "high" else bottom) + sign * unit, 6)
    report = judge(bars)
    assert report.passed
    assert len(report.accepted) == 600
    assert "3 are off by the vendor's rounding" in report.finding("ohlc_consistency").message
    far = bars.copy()
    far.loc[150, "low"] += 2 * unit
    assert failed(judge(far)) == {"ohlc_consistency"}


def test_fixings_have_no_ohlc_to_check(recent: Bars) -> None:
    report = judge(recent)
    for check in ("ohlc_consistency", "stale_close"):
        assert "fixings have only a close" in report.finding(check).message


# Settings


def test_every_check_is_a_setting_of_the_feed_with_one_description() -> None:
    rules = {n for n, f in GateSpec.model_fields.items() if isinstance(f.default, CheckRule)}
    assert rules == set(CHECKS)


def test_a_setting_keeps_the_rest_of_its_rule() -> None:
    gate = GateSpec.model_validate({"jumps": {"limit": 20}, "nulls": {"severity": False}})
    assert gate.jumps == CheckRule(severity="warn", limit=20)
    assert gate.nulls == CheckRule(severity="off", limit=0)


def test_a_check_that_is_off_finds_nothing(recent: Bars) -> None:
    wild = scaled(recent, [100], 100)
    report = judge(wild, scale_errors={"severity": "off"})
    assert report.passed
    assert report.finding("scale_errors").message == "Switched off."


def test_a_finding_is_a_flat_row_for_the_quality_table(recent: Bars) -> None:
    row = judge(scaled(recent, [100], 100)).finding("scale_errors").as_row()
    frame = pd.DataFrame([row])
    assert frame["passed"].tolist() == [False]
    assert isinstance(row["examples"], str)
    assert isinstance(row["limit"], float)


# Single events


def yaml_of(report: GateReport, check: str) -> Any:
    """The settings that a finding tells an operator to add."""
    message = report.finding(check).message
    lines = message[message.index("gate: {confirmed") :]
    return yaml.safe_load(lines[: lines.rindex("}") + 1])["gate"]


def test_an_official_devaluation_by_ten_is_confirmed_by_the_lines_that_the_finding_names() -> None:
    bars = garch_world(800, 4)
    for place, stored in ((300, 0), (700, 0), (500, 450), (799, 799)):
        devalued = scaled(bars, slice(place, None), 10.0)
        known, batch = devalued.iloc[:stored], devalued.iloc[stored:].reset_index(drop=True)
        report = judge(batch, known)
        assert not report.passed
        asked = yaml_of(report, "scale_errors")
        assert [event["day"] for event in asked["confirmed"]] == [days_of(bars)[place]]
        confirmed = judge(batch, known, **asked)
        assert failed(confirmed) == set()
        assert len(confirmed.accepted) == len(batch)
        other = [{**asked["confirmed"][0], "close": 1.0}]
        assert not judge(batch, known, confirmed=other).passed


def test_a_confirmed_event_says_nothing_about_the_bars_after_it() -> None:
    bars = scaled(garch_world(800, 4), slice(300, None), 10.0)
    asked = yaml_of(judge(bars), "scale_errors")
    for rows in ([600], slice(600, None), [301], [799]):
        again = judge(scaled(bars, rows, 10.0), **asked)
        assert "scale_errors" in failed(again)
        assert str(days_of(bars)[300]) not in again.quarantined["event_date"].tolist()


def test_a_spike_that_is_undone_is_confirmed_with_its_way_back() -> None:
    bars = scaled(garch_world(800, 5), [400], 2.5)
    asked = yaml_of(judge(bars), "scale_errors")
    assert len(asked["confirmed"]) == 1
    report = judge(bars, **asked)
    assert report.passed
    assert len(report.accepted) == 800


def test_a_confirmation_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        feed(confirmed=[{"day": "2024-01-02", "close": 1.1, "reason": ""}])


# Revisions of one kind


@pytest.mark.parametrize("count", [3, 20])
@pytest.mark.parametrize("at", [100, -25])
def test_revisions_that_shift_a_part_of_the_path_are_refused(
    recent: Bars, count: int, at: int
) -> None:
    place = at % len(recent)
    rows = slice(place, place + count)
    shifted = new_rows(recent, scaled(recent, rows, 1.03), NOW)
    report = judge(shifted, recent)
    assert "revisions" in failed(report)
    assert "They move together, by +3.0 %" in report.finding("revisions").message
    assert len(report.quarantined) == count
    mended = new_rows(scaled(recent, rows, 1.03), recent.iloc[rows], NOW)
    assert judge(mended, scaled(recent, rows, 1.03)).passed
    assert judge(shifted, recent, **yaml_of(report, "revisions")).passed


def test_revisions_this_way_and_that_pass(recent: Bars) -> None:
    rng = np.random.default_rng(0)
    for size in (1e-4, 3e-3):
        noisy = recent.copy()
        noisy.loc[100:119, "close"] *= np.exp(size * rng.standard_normal(20))
        assert judge(new_rows(recent, noisy, NOW), recent).passed


# Inversions near one


def test_an_inverted_price_near_one_is_found_by_its_path() -> None:
    for seed in range(3):
        bars = garch_world(900, seed)
        bars["close"] *= 1.12 / bars["close"].iloc[0]
        bars = bars[bars["close"].cummin() > 1.06].reset_index(drop=True)
        half = len(bars) // 2
        for rows in (slice(1, None, 2), slice(half, None), slice(None, half), [half]):
            flipped = bars.copy()
            where = np.arange(len(bars))[rows]
            flipped.loc[where, "close"] = 1 / flipped["close"].to_numpy()[where]
            report = judge(flipped)
            assert not report.passed, (seed, rows)
            assert "scale_errors" in failed(report)
