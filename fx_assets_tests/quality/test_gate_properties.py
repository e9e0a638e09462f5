"""Whatever honest world it is, it passes; wherever a fault lies, it is found and named."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.calendars import BAR_LENGTHS, FREQUENCIES, Frequency
from fx_assets_tests.examples import examples
from fx_assets_tests.quality.test_intraday_gate import failed, feed, judge, world

pytestmark = pytest.mark.long

PRICES = ["open", "high", "low", "close"]
LAST = {"1min": "2024-01-12", "5min": "2024-02-09", "15min": "2024-03-08", "30min": "2024-04-12"}
Bars = pd.DataFrame


@cache
def honest(calendar: str, frequency: Frequency, seed: int) -> Bars:
    spec = feed(calendar, frequency)
    first = "2020-01-02" if BAR_LENGTHS[frequency].days else "2024-01-02"
    bars = world(spec, first, LAST.get(frequency, "2024-08-30"), seed)
    decimals = seed % 3 + 3
    bars[PRICES] = bars[PRICES].round(decimals)
    return bars


ASKED = st.tuples(
    st.sampled_from(["24x5", "24x7"]), st.sampled_from(FREQUENCIES), st.integers(0, 5)
)


@settings(max_examples=examples(25), deadline=None)
@given(ASKED, st.floats(0, 1), st.integers(1, 40))
def test_honest_worlds_pass_whole_and_bar_by_bar(
    asked: tuple[str, Frequency, int], cut: float, size: int
) -> None:
    spec, bars = feed(*asked[:2]), honest(*asked)
    whole = judge(spec, bars)
    assert whole.passed
    assert failed(whole) <= {"jumps"}
    at = int(cut * (len(bars) - size))
    part = judge(spec, bars.iloc[at : at + size], bars.iloc[:at])
    assert failed(part) <= {"jumps"}
    assert len(part.accepted) == size


@settings(max_examples=examples(40), deadline=None)
@given(
    ASKED,
    st.floats(0, 1),
    st.sampled_from(["high", "low", "open", "close", "all", "volume"]),
    st.sampled_from([10.0, 100.0, 1e5]),
    st.booleans(),
)
def test_a_single_planted_fault_is_found_wherever_it_lies_and_its_bar_is_named(
    asked: tuple[str, Frequency, int], where: float, column: str, factor: float, live: bool
) -> None:
    spec, bars = feed(*asked[:2]), honest(*asked).copy()
    place = int(where * (len(bars) - 1))
    if column == "volume":
        bars.loc[place, "volume"] = 1e12 * factor
    else:
        sign = -1 if column == "low" else 1
        bars.loc[place, PRICES if column == "all" else [column]] *= factor**sign
    split = place if live and place > 300 else 0
    report = judge(spec, bars.iloc[split : place + 80], bars.iloc[:split])
    label = spec.market.label(bars["event_time"][place].to_pydatetime())
    assert not report.passed
    assert label in set(report.quarantined["event_date"])
    assert len(report.quarantined) == 1
    said = [f for f in report.findings if not f.passed and f.severity == "block"]
    assert any(label in " ".join((f.message, *f.examples)) for f in said)


@settings(max_examples=examples(25), deadline=None)
@given(ASKED, st.floats(0.1, 0.9), st.floats(-0.5, 0.5))
def test_what_is_confirmed_passes_and_nothing_else_does(
    asked: tuple[str, Frequency, int], where: float, noise: float
) -> None:
    spec, bars = feed(*asked[:2]), honest(*asked).copy()
    place = int(where * len(bars))
    bars.loc[place:, PRICES] *= 10.0
    event = {
        "day": spec.market.bar_day(bars["event_time"][place].to_pydatetime()),
        "close": float(bars["close"][place]),
        "reason": "a step by ten",
    }
    assert not judge(spec, bars).passed
    assert judge(feed(*asked[:2], confirmed=[event]), bars).passed
    other = event | {"close": event["close"] * (1 + (noise or 0.1))}
    if abs(noise) > 1e-3:
        assert not judge(feed(*asked[:2], confirmed=[other]), bars).passed


@pytest.mark.parametrize("frequency", ["1h", "1d"])
def test_a_feed_of_any_length_is_judged(frequency: Frequency) -> None:
    spec, bars = feed("24x5", frequency), honest("24x5", frequency, 4)
    for length in (30, 60, 130, 260, 390, 499, 520, 777, 1001):
        assert judge(spec, bars[:length]).passed
