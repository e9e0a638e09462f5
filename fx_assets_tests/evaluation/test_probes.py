"""Leaks that are planted are suspected, and the probes say where they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.calendars import Calendar, calendar
from fx_assets.evaluation import probes
from fx_assets.evaluation.plausible import Excess, excesses, plausible_limits
from fx_assets.evaluation.probes import likely_causes
from fx_assets.evaluation.study import Study
from fx_assets.evaluation.suspicion import Cause
from fx_assets.features import labelled_frame, labels
from fx_assets.features.base import Feature, FeatureSet, feature_set
from fx_assets.specs import ForecastSpec

pytestmark = pytest.mark.long

DAILY, HOURLY = calendar("24x5|1d||0"), calendar("24x7|1h||0")
BARS, STEPS = 1900, 8
PRICES = ("open", "high", "low", "close")


def honest(market: Calendar, seed: int = 1, n: int = BARS) -> pd.DataFrame:
    """A random walk whose volatility changes, with volume and market capitalisation."""
    rng = np.random.default_rng(seed)
    closes = market.closes(date(2012, 1, 2), date(2024, 1, 1))[:n]
    level = np.zeros(n)
    for i in range(1, n):
        level[i] = 0.97 * level[i - 1] + 0.1 * rng.standard_normal()
    moves = 0.006 * np.exp(level)[:, None] * rng.standard_normal((n, STEPS)) / np.sqrt(STEPS)
    path = np.cumsum(moves.ravel()).reshape(n, STEPS)
    before = np.concatenate([[0.0], path[:-1, -1]])
    whole = np.column_stack([before, path])
    logs = {"open": before, "high": whole.max(1), "low": whole.min(1), "close": path[:, -1]}
    times = pd.DatetimeIndex(closes).tz_localize("UTC").as_unit("us")
    bars = pd.DataFrame({"event_time": times, "available_at": times})
    bars = bars.assign(**{name: 1.2 * np.exp(x) for name, x in logs.items()})
    return bars.assign(volume=rng.lognormal(size=n), market_cap=1e6 * bars["close"])


def contained(bars: pd.DataFrame) -> pd.DataFrame:
    """High and low that contain the other prices, as every gate asks."""
    return bars.assign(high=bars[list(PRICES)].max(axis=1), low=bars[list(PRICES)].min(axis=1))


def stale_close(bars: pd.DataFrame) -> pd.DataFrame:
    return contained(bars.assign(close=bars["close"].shift(1).fillna(bars["open"])))


def day_early_but_for_the_close(bars: pd.DataFrame) -> pd.DataFrame:
    early = {name: bars[name].shift(-1).ffill() for name in ("open", "high", "low")}
    return contained(bars.assign(**early))


def capitalisation_a_day_early(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(market_cap=bars["market_cap"].shift(-1).ffill())


def range_of_the_next_day_too(bars: pd.DataFrame) -> pd.DataFrame:
    high = np.maximum(bars["high"], bars["high"].shift(-1).fillna(0))
    low = np.minimum(bars["low"], bars["low"].shift(-1).fillna(np.inf))
    return bars.assign(high=high, low=low)


def midnight_bars_of_the_whole_day(bars: pd.DataFrame) -> pd.DataFrame:
    """Hourly bars whose first of a day has the high and low of all that follow in it."""
    out = bars.copy()
    first = pd.DatetimeIndex(bars["event_time"]).hour == 1
    for k in range(1, 24):
        out["high"] = np.where(first, np.fmax(out["high"], bars["high"].shift(-k)), out["high"])
        out["low"] = np.where(first, np.fmin(out["low"], bars["low"].shift(-k)), out["low"])
    return out


def spec_of(kind: str, features: str, family: str) -> ForecastSpec:
    return ForecastSpec.model_validate(
        {
            "name": "leak",
            "feed": "planted",
            "target": {"kind": kind},
            "features": features,
            "candidates": [family],
            "walk_forward": {"first_test": "1990-01-01", "min_train": 500, "refit_every": 500},
        }
    )


def look(
    bars: pd.DataFrame, market: Calendar, kind: Any, features: str, family: str
) -> tuple[tuple[Excess, ...], Callable[[], tuple[Cause, ...]]]:
    """What is beyond the plausible, and the probes."""
    spec = spec_of(kind, features, family)
    frame = labelled_frame(bars, spec, market)
    candidate = spec.candidates[0]
    study = Study(spec, frame)
    made = study.walk_forward(candidate).predictions
    rows = made[made["target"].notna()]
    limits = plausible_limits(spec.suspicion, kind, 1, "1d" if market.daily else "1h")
    columns = (rows[name].to_numpy() for name in ("target", "baseline", "prediction"))
    return excesses(limits, 1, *columns), lambda: likely_causes(study, candidate, bars, market)


PLANTED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str, str, str]] = {
    "stale close, direction": (
        stale_close, "direction", "ohlc", "logistic_regression", "high and low"
    ),
    "stale close, return": (stale_close, "return", "ohlc", "ridge", "high and low"),
    "stale close, variance": (stale_close, "volatility", "ohlc", "xgboost", "high and low"),
    "range reaches into the next day": (
        range_of_the_next_day_too, "direction", "ohlc", "logistic_regression", "high and low"
    ),
    "times a day early": (
        day_early_but_for_the_close, "direction", "ohlc", "logistic_regression", "high and low"
    ),
    "capitalisation a day early": (
        capitalisation_a_day_early, "return", "price_cap_volume", "ridge", "market cap"
    ),
}  # fmt: skip


AT_ONCE = {"stale close, return", "capitalisation a day early"}
"""Leaks that each run plants; CI plants all."""


@pytest.mark.parametrize(
    "name",
    [name if name in AT_ONCE else pytest.param(name, marks=pytest.mark.slow) for name in PLANTED],
)
def test_a_planted_leak_is_suspected_and_its_cause_named_first(name: str) -> None:
    plant, kind, features, family, expected = PLANTED[name]
    found, causes = look(plant(honest(DAILY)), DAILY, kind, features, family)
    assert found
    first, *others = causes()
    assert first.probe == expected
    assert first.vanished > 0.6
    assert f"{first.vanished:.0%} of the skill goes" in first.text
    assert len(others) <= 2
    assert all(cause.vanished <= first.vanished + 0.05 for cause in others)


@pytest.mark.parametrize("kind", ["direction", "return", "volatility"])
@pytest.mark.parametrize("market", [DAILY, HOURLY], ids=["daily", "hourly"])
def test_honest_bars_are_not_suspected(kind: str, market: Calendar) -> None:
    family = {"direction": "logistic_regression", "return": "ridge", "volatility": "xgboost"}[kind]
    found, _ = look(honest(market, seed=3), market, kind, "ohlc", family)
    assert found == ()


@pytest.mark.slow
def test_midnight_bars_that_hold_the_whole_day_are_named_by_their_hour() -> None:
    bars = midnight_bars_of_the_whole_day(honest(HOURLY, n=6000))
    found, causes = look(bars, HOURLY, "volatility", "ohlc", "xgboost")
    _, direction = look(bars, HOURLY, "direction", "ohlc", "xgboost")
    text = " ".join(cause.text for cause in direction())
    assert not found or causes()[0].probe == "high and low"
    assert "bars that close at 01:00 UTC are" in text


def test_a_feature_that_reads_ahead_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = Feature(
        "momentum_of_tomorrow",
        "a mistake",
        "log return",
        0,
        lambda b: np.append(np.diff(b.log_close), 0.0) + 0.003 * np.sin(7.0 * np.arange(len(b))),
    )

    def with_mistake(name: str, bar: Any) -> FeatureSet:
        usual = feature_set(name, bar)
        return FeatureSet(name, (*usual.features, ahead))

    monkeypatch.setattr(labels, "feature_set", with_mistake)
    monkeypatch.setattr(probes, "feature_set", with_mistake)
    found, causes = look(honest(DAILY), DAILY, "direction", "ohlc", "logistic_regression")
    assert found
    first = causes()[0]
    assert first.probe == "column momentum_of_tomorrow"
    assert "Does it read what is not known yet?" in first.text


def test_without_skill_there_is_nothing_to_explain() -> None:
    _, causes = look(honest(DAILY, seed=5), DAILY, "direction", "ohlc", "logistic_regression")
    assert causes() == ()
