"""Feeds of one instrument, and the ECB's packaged fixings, are held against each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from fx_assets.lake import Lake
from fx_assets.quality import GateReport, Reference, inspect, reference_of
from fx_assets.quality.packaged import packaged_reference
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import REJECTED_DTYPES
from fx_assets.stages.references import sibling_references
from fx_assets.testing.gate.kinds import KINDS, Kind, honest
from fx_assets_tests.quality.test_intraday_gate import failed

pytestmark = pytest.mark.long

Bars = pd.DataFrame
NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
NONE_REJECTED = pd.DataFrame(columns=list(REJECTED_DTYPES)).astype(REJECTED_DTYPES)
FIXING, DAILY, HOURLY, MINUTE, COIN, COIN_HOURLY = KINDS
PRICES = ["open", "high", "low", "close"]


def judge(
    kind: Kind, bars: Bars, others: list[Reference] | None = None, *, alone: bool = False
) -> GateReport:
    spec = kind.alone if alone else kind.spec
    return inspect(bars.iloc[:0], bars, NONE_REJECTED, spec, spec.market, NOW, others or [])


def inverted(bars: Bars) -> Bars:
    turned = 1 / bars[PRICES]
    return bars.assign(
        open=turned["open"], close=turned["close"], high=turned["low"], low=turned["high"]
    )


def moved(bars: Bars, step: timedelta) -> Bars:
    return bars.assign(event_time=bars["event_time"] + step)


def early(bars: Bars, count: int) -> Bars:
    """Each bar with the prices of one to come."""
    ahead = bars.iloc[:-count].copy()
    ahead[PRICES] = bars[PRICES].to_numpy()[count:]
    return ahead


WRONG: dict[str, Any] = {
    "are the inverse": inverted,
    "are 1e+05 times": lambda bars: bars.assign(**{name: bars[name] * 1e5 for name in PRICES}),
    "follow the next bar": lambda bars: early(bars, 1),
}


@pytest.mark.parametrize("kind", [FIXING, DAILY], ids=lambda kind: kind.name)
@pytest.mark.parametrize("said", WRONG)
def test_a_first_load_is_held_against_the_ecbs_packaged_fixings(kind: Kind, said: str) -> None:
    bars = honest(kind, 1)
    assert failed(judge(kind, bars)) <= {"jumps"}
    report = judge(kind, WRONG[said](bars))
    assert "references" in failed(report)
    assert not report.passed
    message = report.finding("references").message
    assert said in message
    assert "the ECB's packaged fixings" in message
    assert failed(judge(kind, WRONG[said](bars), alone=True)) <= {"jumps"}


@pytest.mark.parametrize("hours", [-7, -2, 3, 24])
@pytest.mark.parametrize("kind", [HOURLY, MINUTE], ids=lambda kind: kind.name)
def test_a_clock_that_is_hours_off_is_found_by_where_the_fixings_fit(
    kind: Kind, hours: int
) -> None:
    report = judge(kind, moved(honest(kind, 2), timedelta(hours=hours)))
    word = "late" if hours > 0 else "early"
    assert f"come {abs(hours)} h {word}" in report.finding("references").message
    assert not report.passed


def test_prices_of_something_else_are_a_warning() -> None:
    rng = np.random.default_rng(0)
    bars = honest(FIXING, 1)
    walk = 1.1 * np.exp(np.cumsum(0.005 * rng.standard_normal(len(bars))))
    report = judge(FIXING, bars.assign(close=walk))
    assert report.passed
    assert "do not follow" in report.finding("references").message


@pytest.mark.parametrize("said", WRONG)
def test_two_feeds_of_an_instrument_are_held_against_each_other(said: str) -> None:
    market = COIN_HOURLY.spec.market
    bars = honest(COIN_HOURLY, 1)
    rng = np.random.default_rng(1)
    noise = np.exp(2e-4 * rng.standard_normal(len(bars)))
    other = bars.assign(close=bars["close"] * noise)
    same = [reference_of("the feed other", other, market)]
    inverse = [reference_of("the feed other", inverted(other), market, inverse=True)]
    for others in (same, inverse):
        assert failed(judge(COIN_HOURLY, bars, others)) <= {"jumps"}
        report = judge(COIN_HOURLY, WRONG[said](bars), others)
        assert said in report.finding("references").message
        assert "the feed other" in report.finding("references").message
        assert not report.passed


def test_a_bar_that_alone_lies_off_the_other_feed_is_named() -> None:
    bars = honest(DAILY, 1)
    wild = bars.copy()
    wild.loc[1000, PRICES] *= 1.05
    report = judge(DAILY, wild)
    label = DAILY.spec.market.label(bars["event_time"][1000].to_pydatetime())
    finding = report.finding("references")
    assert (finding.severity, finding.passed) == ("warn", False)
    assert f"{label} are off by" in finding.message


@pytest.mark.parametrize("place", [0, 1100, 2400])
def test_a_stretch_that_is_wrong_is_found_wherever_it_lies(place: int) -> None:
    bars = honest(DAILY, 1)
    wild = bars.copy()
    rows = slice(place, place + 300)
    part = early(bars.iloc[place : place + 301], 1)
    wild.loc[part.index, PRICES] = part[PRICES]
    wild["high"] = wild[["open", "high", "close"]].max(axis=1)
    wild["low"] = wild[["open", "low", "close"]].min(axis=1)
    report = judge(DAILY, wild)
    assert "references" in failed(report)
    days = report.quarantined["event_date"]
    middle = DAILY.spec.market.label(bars["event_time"][rows.start + 150].to_pydatetime())
    assert middle in set(days)


def test_the_packaged_fixings_know_inverses_and_crosses_of_the_ecbs_currencies() -> None:
    dollar, euro = packaged_reference("EURUSD"), packaged_reference("USDEUR")
    assert dollar is not None
    assert euro is not None
    assert np.allclose(dollar.log_close, -euro.log_close)
    assert packaged_reference("GBP/JPY") is not None
    for unknown in ("BTCUSD", "EUREUR", "EURUSDT", "US500"):
        assert packaged_reference(unknown) is None


def test_declared_feeds_of_the_instrument_and_of_its_inverse_are_found_in_the_lake(
    tmp_path: Path,
) -> None:
    declared = {
        "mine": {"source": {"kind": "files", "path": "a.csv", "instrument": "EURUSD"}},
        "same": {"source": {"kind": "files", "path": "b.csv", "instrument": "EURUSD"}},
        "turned": {"source": {"kind": "ecb", "base": "USD", "quote": "EUR"}},
        "pound": {"source": {"kind": "ecb", "base": "EUR", "quote": "GBP"}},
        "empty": {"source": {"kind": "ecb", "base": "EUR", "quote": "USD"}},
        "made": {"source": {"kind": "simulated", "instrument": "EURUSD"}, "calendar": "24x7"},
    }
    specs = {}
    for name, attributes in declared.items():
        folder = tmp_path / "defs" / name
        folder.mkdir(parents=True)
        attributes = {"name": name, **attributes}
        text = yaml.safe_dump({"type": "fx_assets.components.PriceFeed", "attributes": attributes})
        (folder / "defs.yaml").write_text(text)
        specs[name] = FeedSpec.model_validate(attributes)
    lake = Lake(str(tmp_path / "lake"))
    bars = honest(FIXING, 1)
    for name in ("mine", "same", "turned", "pound", "made"):
        lake.append("prices", name, inverted(bars) if name == "turned" else bars, run_id="r")
    found = sibling_references(lake, specs["mine"], tmp_path / "defs")
    assert {reference.name for reference in found} == {"the feed same", "the feed turned"}
    for reference in found:
        assert np.allclose(reference.log_close, np.log(bars["close"]))
    assert sibling_references(lake, specs["empty"], tmp_path / "defs") == []
    assert sibling_references(lake, specs["mine"], tmp_path / "nowhere") == []
