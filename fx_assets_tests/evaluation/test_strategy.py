"""What a strategy would have earned, bar by bar."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fx_assets.calendars import calendar
from fx_assets.errors import NotEnoughDataError, SpecError
from fx_assets.evaluation.strategy import Earned, Prices, earn
from fx_assets.specs import ForecastSpec
from fx_assets.specs.strategy import StrategySpec, usual_pip
from fx_assets.targets import target_definition

BARS = 300
HOURS = calendar("24x5|1h||0")
COSTS: dict[str, Any] = {
    "unit": "pips",
    "spread": 1.0,
    "commission": 0.2,
    "swap_long": -0.5,
    "swap_short": 0.2,
}


def strategy(kind: str = "sign", *, fill: str = "next_close", **costs: Any) -> StrategySpec:
    return StrategySpec.model_validate({"kind": kind, "fill": fill, "costs": COSTS | costs})


def bars_of(key: str, seed: int = 1, level: float = 1.1) -> pd.DataFrame:
    times = calendar(key).closes(date(2024, 1, 2), date(2025, 12, 31))[:BARS]
    noise = np.random.default_rng(seed)
    close = level * np.exp(np.cumsum(0.005 * noise.standard_normal(BARS)))
    opened = close * np.exp(0.001 * noise.standard_normal(BARS))
    at = pd.DatetimeIndex(times).tz_localize("UTC")
    return pd.DataFrame({"event_time": at, "open": opened, "close": close})


def said_of(bars: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"event_time": bars["event_time"], "prediction": values})


def earned(
    bars: pd.DataFrame,
    said: np.ndarray,
    spec: StrategySpec,
    *,
    key: str = "24x5|1h||0",
    kind: str = "return",
    horizon: int = 1,
    instrument: str = "EURUSD",
) -> Earned:
    market = calendar(key)
    prices = Prices.of(bars, market, spec, instrument)
    definition = target_definition(kind)
    return earn(said_of(bars, said), prices, spec, definition, horizon, market.bars_a_year)


signals = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).choice([-1e-3, 0.0, 1e-3], BARS)
)


def test_each_bar_is_what_a_loop_with_pencil_and_paper_gives() -> None:
    bars, spec = bars_of("24x5|1h||0"), strategy()
    said = np.random.default_rng(2).standard_normal(BARS)
    found = earned(bars, said, spec)
    price = bars["close"].to_numpy()
    held, local = 0.0, bars["event_time"].dt.tz_convert("America/New_York") + pd.Timedelta(hours=7)
    for k in range(1, BARS - 1):
        position = math.copysign(1.0, said[k - 1])
        pip = 0.0001 / price[k]
        nights = (local.iloc[k + 1].date() - local.iloc[k].date()).days
        cost = abs(position - held) * (0.5 + 0.2) * pip
        swap = (-0.5 if position > 0 else 0.2) * nights * pip
        gross = position * (price[k + 1] / price[k] - 1)
        assert found.net[k - 1] == pytest.approx(gross - cost + swap, abs=1e-15)
        held = position
    assert len(found.net) == BARS - 2


@settings(deadline=None, max_examples=25)
@given(signals, st.floats(0.1, 5), st.sampled_from(["sign", "sized"]), st.integers(1, 7))
def test_doubling_the_spread_never_earns_more_and_parts_add_up(
    said: np.ndarray, spread: float, kind: str, horizon: int
) -> None:
    bars = bars_of("24x5|1h||0")
    once, twice = (
        earned(bars, said, strategy(kind, spread=n * spread), horizon=horizon) for n in (1, 2)
    )
    assert (twice.net <= once.net).all()
    assert once.net == pytest.approx(once.gross - once.cost + once.swap)
    assert (once.gross == twice.gross).all()
    assert np.abs(once.position).max() <= 1 + 1e-12


@pytest.mark.parametrize("kind", ["sign", "sized"])
def test_who_holds_nothing_pays_nothing(kind: str) -> None:
    found = earned(bars_of("24x5|1h||0"), np.zeros(BARS), strategy(kind))
    for name in ("position", "gross", "cost", "swap", "net"):
        assert (getattr(found, name) == 0).all()


@pytest.mark.parametrize("key", ["target", "24x5|1h||0", "24x5|1h||25", "24x7|1d||35"])
@pytest.mark.parametrize("fill", ["next_close", "next_open"])
@pytest.mark.parametrize("kind", ["return", "volatility"])
def test_a_scrambled_future_changes_nothing_that_was_earned_before(
    key: str, fill: str, kind: str
) -> None:
    bars, noise = bars_of(key), np.random.default_rng(5)
    said = np.abs(noise.standard_normal(BARS)) * 1e-5 if kind == "volatility" else None
    said = noise.standard_normal(BARS) if said is None else said
    spec = strategy("risk_target" if kind == "volatility" else "sized", fill=fill)
    before = earned(bars, said, spec, key=key, kind=kind, horizon=3)
    cut = 200
    changed, later = bars.copy(), noise.permutation(said)
    changed.loc[cut:, ["open", "close"]] *= np.exp(noise.standard_normal((BARS - cut, 1)) * 0.1)
    after = earned(
        changed, np.where(np.arange(BARS) < cut, said, later), spec, key=key, kind=kind, horizon=3
    )
    known = int(np.searchsorted(before.filled_at, bars["event_time"].dt.tz_localize(None)[cut])) - 2
    assert known > 150
    for name in ("position", "gross", "cost", "swap", "net", "volatility", "usual"):
        assert (getattr(before, name)[:known] == getattr(after, name)[:known]).all(), name


@settings(deadline=None, max_examples=10)
@given(signals, st.sampled_from(["target", "24x5|1h||0", "24x5|1h||75", "24x7|1d||0"]))
def test_nothing_is_traded_before_it_was_decided_nor_at_the_bar_that_decided(
    said: np.ndarray, key: str
) -> None:
    bars = bars_of(key)
    for fill in ("next_close", "next_open"):
        found = earned(bars, said, strategy(fill=fill), key=key)
        assert (found.filled_at >= found.decided_at).all()
        if fill == "next_close":
            closes = bars["event_time"].dt.tz_localize(None).to_numpy("datetime64[us]")
            made = calendar(key).published(closes)
            decided = closes[np.searchsorted(made, found.decided_at)]
            assert (found.filled_at > decided).all()


def test_who_knows_the_next_bar_only_earns_nothing_by_it() -> None:
    """The bar after the decision is over before a position can be taken at its close."""
    rates = []
    for seed in range(20):
        bars = bars_of("target", seed)
        ahead = np.append(np.diff(np.log(bars["close"])), 0.0)
        found = earned(bars, ahead, strategy(), key="target")
        rates.append(found.gross.mean() / found.gross.std() * math.sqrt(len(found.gross)))
    assert abs(np.mean(rates)) < 4 / math.sqrt(20)


def test_a_yen_has_pips_of_a_hundredth_and_no_unit_changes_the_share() -> None:
    said = np.random.default_rng(3).standard_normal(BARS)
    dollars = earned(bars_of("24x5|1h||0", level=1.5), said, strategy())
    yen = earned(bars_of("24x5|1h||0", level=150.0), said, strategy(), instrument="USDJPY")
    assert yen.cost == pytest.approx(dollars.cost, rel=1e-12)
    assert yen.swap == pytest.approx(dollars.swap, rel=1e-12)
    assert yen.net == pytest.approx(dollars.net, abs=1e-15)
    points = earned(bars_of("24x5|1h||0", level=1.0), said, strategy(unit="basis_points"))
    assert points.cost.max() == pytest.approx(2 * 0.7e-4)
    assert [usual_pip(name) for name in ("EURUSD", "USDJPY", "BTCUSD", "XAUUSD")] == [
        0.0001,
        0.01,
        None,
        None,
    ]


def test_a_coin_in_pips_needs_the_size_of_a_pip() -> None:
    bars, said = bars_of("24x7|1d||0"), np.ones(BARS)
    with pytest.raises(SpecError, match="no customary pip"):
        earned(bars, said, strategy(), key="24x7|1d||0", instrument="BTCUSD")
    found = earned(bars, said, strategy(pip=0.01), key="24x7|1d||0", instrument="BTCUSD")
    assert found.cost[0] == pytest.approx(0.7 * 0.01 / bars["close"][1])


def test_nights_are_those_of_new_york_and_a_weekend_has_three() -> None:
    found = earned(bars_of("24x5|1h||0"), np.ones(BARS), strategy())
    local = pd.DatetimeIndex(found.filled_at).tz_localize("UTC").tz_convert("America/New_York")
    nights = np.round(found.swap / (-0.5 * 0.0001 / found.price), 9)
    pause = (local.dayofweek == 4) & (local.hour == 17)
    assert set(nights[local.hour == 16]) == {1.0}
    assert set(nights[pause]) == {2.0}
    assert (nights[(local.hour != 16) & ~pause] == 0).all()


def test_a_forecast_of_many_bars_is_followed_by_its_share_for_so_long() -> None:
    said = np.where(np.arange(BARS) < 100, 1.0, -1.0)
    found = earned(bars_of("24x5|1h||0"), said, strategy(), horizon=4)
    assert found.position[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found.position[98:105] == pytest.approx([1, 1, 0.5, 0, -0.5, -1, -1])


def test_risk_is_held_at_the_target_up_to_the_limit() -> None:
    variance = np.full(BARS, 4e-6)
    variance[150:] = 1e-12
    found = earned(bars_of("24x5|1h||0"), variance, strategy("risk_target"), kind="volatility")
    a_year = math.sqrt(4e-6 * HOURS.bars_a_year)
    assert found.position[0] == pytest.approx(0.1 / a_year)
    assert found.position[-1] == 4.0


def test_too_few_bars_and_bars_without_an_open_are_refused() -> None:
    bars = bars_of("24x5|1h||0")
    with pytest.raises(NotEnoughDataError):
        earned(bars.iloc[:20], np.ones(20), strategy())
    with pytest.raises(SpecError, match="without an open"):
        earned(bars.assign(open=np.nan), np.ones(BARS), strategy(fill="next_open"))


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("direction", "sign", "has no costs"),
        ("volatility", {"kind": "risk_target"}, "has no costs"),
        ("direction", {"kind": "risk_target", "costs": COSTS}, "choose sign or sized"),
        ("volatility", {"kind": "sign", "costs": COSTS}, "choose risk_target"),
        ("return", {"kind": "sign", "costs": {"unit": "pips", "spread": 1}}, "commission"),
        (
            "return",
            {"kind": "sign", "costs": COSTS | {"spread": 0, "commission": 0}},
            "trading costs something",
        ),
    ],
)
def test_a_strategy_without_costs_or_of_another_target_is_refused(
    kind: str, value: Any, message: str
) -> None:
    family = {"direction": "persistence", "return": "historical_mean", "volatility": "ewma"}[kind]
    with pytest.raises(ValidationError, match=message):
        ForecastSpec.model_validate(
            {
                "name": "f",
                "feed": "f",
                "target": {"kind": kind},
                "candidates": [family],
                "strategy": value,
            }
        )
    plain = ForecastSpec(name="f", feed="f", target={"kind": kind}, candidates=[family])  # type: ignore
    assert plain.strategy.kind == "none"
