from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.errors import SourceError
from fx_assets.quality import inspect
from fx_assets.settings import Settings
from fx_assets.sources import Batch, Wanted, fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets_tests.examples import examples

NOW = datetime(2024, 11, 25, 12, 30, tzinfo=UTC)
PRICES = ["open", "high", "low", "close", "volume", "market_cap"]


def feed(seed: int = 7, **changes: Any) -> FeedSpec:
    values = {
        "name": "simulated",
        "source": {"kind": "simulated", "seed": seed, "annual_volatility": 0.5},
        "calendar": "24x7",
        "frequency": "1h",
        "start": "2018-01-01",
    }
    return FeedSpec.model_validate({**values, **changes})


def made(spec: FeedSpec, now: datetime = NOW, wanted: Wanted | None = None) -> Batch:
    return fetch_bars(spec, Settings(), now, None, wanted)


@cache
def hours() -> pd.DataFrame:
    return made(feed()).bars


MARKETS = {
    "minutes": feed(frequency="1min", start="2024-11-01"),
    "hours": feed(seed=-3, calendar="24x5", start="2020-01-01"),
    "days": feed(frequency="1d", start="1999-01-04"),
    "fixings": feed(calendar="target", frequency="1d", start="1999-01-04"),
}


@cache
def whole(name: str) -> pd.DataFrame:
    return made(MARKETS[name]).bars


@settings(max_examples=examples(25), deadline=None)
@given(
    name=st.sampled_from(list(MARKETS)),
    age=st.floats(0, 1),
    length=st.integers(1, 40_000),
    later=st.integers(0, 3000),
)
def test_a_part_agrees_with_the_whole_bit_for_bit_whenever_it_is_asked_for(
    name: str, age: float, length: int, later: int
) -> None:
    bars = whole(name)
    times = bars["event_time"]
    last = times.iloc[round(age * (len(times) - 1))].to_pydatetime()
    after = last - length * MARKETS[name].market.bar
    now = min(last + timedelta(minutes=later), NOW)
    part = made(MARKETS[name], now, Wanted(((after, last),))).bars
    expected = bars[(times > after) & (times <= last)].reset_index(drop=True)
    without = ["ingested_at"]
    pd.testing.assert_frame_equal(
        part.drop(columns=without), expected.drop(columns=without), check_exact=True
    )


def test_several_spans_are_answered_at_once() -> None:
    bars = hours()
    times = bars["event_time"]
    spans = [
        (times.iloc[i].to_pydatetime(), times.iloc[i + 3].to_pydatetime()) for i in (5, 40_000)
    ]
    part = made(feed(), wanted=Wanted(tuple(spans))).bars
    assert list(part["event_time"]) == [*times.iloc[6:9], *times.iloc[40_001:40_004]]
    assert list(part["close"]) == [*bars["close"].iloc[6:9], *bars["close"].iloc[40_001:40_004]]


@pytest.mark.parametrize("name", MARKETS)
def test_bars_are_those_of_the_calendar_and_agree_with_themselves(name: str) -> None:
    bars, market = whole(name), MARKETS[name].market
    due = market.closes(MARKETS[name].start, NOW.date())
    due = due[due <= np.datetime64(NOW.replace(tzinfo=None))]
    assert (bars["event_time"].dt.tz_localize(None).to_numpy("datetime64[us]") == due).all()
    assert bars[PRICES].notna().all(axis=None)
    assert (bars[PRICES] > 0).all(axis=None)
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["high"] > bars["low"]).all()


def test_the_quality_gate_finds_nothing_to_say() -> None:
    for spec in (feed(start="2023-01-01"), MARKETS["days"], MARKETS["fixings"]):
        batch = made(spec)
        report = inspect(batch.bars.iloc[:0], batch.bars, batch.rejected, spec, spec.market, NOW)
        failed = [f.message for f in report.findings if not f.passed and f.severity == "block"]
        assert failed == []
        assert len(report.accepted) == len(batch.bars)


def test_range_estimators_find_the_volatility_that_was_declared() -> None:
    bars, a_year = hours(), feed().market.bars_a_year
    returns = np.log(bars["close"]).diff().dropna()
    span, body = np.log(bars["high"] / bars["low"]), np.log(bars["close"] / bars["open"])
    parkinson = np.sqrt((span**2).mean() / (4 * np.log(2)) * a_year)
    garman_klass = np.sqrt((0.5 * span**2 - (2 * np.log(2) - 1) * body**2).mean() * a_year)
    assert np.sqrt((returns**2).mean() * a_year) == pytest.approx(0.5, rel=0.06)
    assert parkinson == pytest.approx(0.5, rel=0.06)
    assert garman_klass == pytest.approx(0.5, rel=0.06)


def test_signs_cannot_be_predicted_and_sizes_can() -> None:
    bars = hours()
    returns = np.log(bars["close"]).diff().dropna()
    noise = 4 / np.sqrt(len(returns))
    assert abs((returns > 0).mean() - 0.5) < noise / 2
    for lag in (1, 2, 24):
        assert abs(np.sign(returns).autocorr(lag)) < noise
    assert (returns**2).autocorr(1) > 3 * noise
    assert returns.kurt() > 1.5
    assert np.log(bars["volume"]).corr(np.log(bars["high"] / bars["low"])) > 0.3


def test_another_seed_is_another_price_and_the_first_price_scales_it() -> None:
    one, other = made(feed()).bars["close"].iloc[:500], made(feed(8)).bars["close"].iloc[:500]
    assert abs(np.log(one).diff().corr(np.log(other).diff())) < 0.2
    source = {"kind": "simulated", "seed": 7, "annual_volatility": 0.5, "price": 1000}
    ten_times = made(feed(source=source)).bars["close"].iloc[:500]
    assert ten_times.to_numpy() == pytest.approx(10 * one.to_numpy())


def test_it_says_that_nobody_traded_at_these_prices() -> None:
    batch = made(feed())
    assert batch.provenance.provider == "simulated"
    assert "nobody traded" in batch.provenance.notes
    assert set(batch.bars["source"]) == {"simulated"}
    assert feed().instrument == "SIMULATED"
    assert batch.provenance.last_date == NOW.date()


def test_a_start_in_the_future_is_an_error() -> None:
    with pytest.raises(SourceError, match="begins on 2030-01-01"):
        made(feed(start="2030-01-01"))


def test_the_example_of_the_page_parses() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources" / "simulated.md").read_text()
    text = page.split("```yaml\n")[1].split("```")[0]
    spec = FeedSpec.model_validate(yaml.safe_load(text)["attributes"])
    assert spec.source.kind == "simulated"
    assert len(made(spec).bars) > 1000
