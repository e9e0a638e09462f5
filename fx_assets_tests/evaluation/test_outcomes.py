"""A prediction is scored with what happened between its bar and its target, once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.calendars import calendar
from fx_assets.evaluation.outcomes import join_outcomes, live_scores
from fx_assets.specs import ForecastSpec
from fx_assets.tables import OUTCOMES
from fx_assets_tests.evaluation.helpers import forecast

MARKETS = {"daily": calendar("target"), "hourly": calendar("24x7|1h||0")}
N = 90


def spec_of(kind: str, horizon: int) -> ForecastSpec:
    families = {"direction": "persistence", "return": "ridge", "volatility": "ewma"}
    return forecast(target={"kind": kind, "horizon": horizon}, candidates=[families[kind]])


def bars(market: str) -> pd.DataFrame:
    clock = MARKETS[market]
    first = pd.Timestamp("2024-01-08").date()
    times = pd.DatetimeIndex(clock.closes(first, pd.Timestamp("2024-07-01").date())[:N])
    close = 1.1 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, N)))
    at = times.tz_localize("UTC").as_unit("us")
    return pd.DataFrame({"event_time": at, "available_at": at, "close": close})


def issued(prices: pd.DataFrame, kind: str, late: int = 0) -> pd.DataFrame:
    n = len(prices)
    draws = np.random.default_rng(4)
    value = {
        "direction": draws.uniform(0.3, 0.7, n),
        "return": draws.normal(0, 0.005, n),
        "volatility": draws.uniform(5e-5, 2e-4, n),
    }[kind]
    return pd.DataFrame(
        {
            "series": "s",
            "day": prices["event_time"].dt.strftime("%Y-%m-%d"),
            "event_time": prices["event_time"],
            "target_time": prices["event_time"],
            "mode": np.where(np.arange(n) < late, "late", "live"),
            "champion": "c",
            "champion_version": "v1",
            "prediction": value,
            "lower": value - 0.006 if kind == "return" else value * 0.3,
            "upper": value + 0.002 if kind == "return" else value * 1.5,
            "baseline": np.full(n, {"direction": 0.5, "return": 0.0, "volatility": 1e-4}[kind]),
        }
    )


def truth(prices: pd.DataFrame, kind: str, horizon: int) -> np.ndarray:
    close = prices["close"].to_numpy()
    steps = np.log(close[1:] / close[:-1])
    if kind == "volatility":
        return np.array([(steps[i : i + horizon] ** 2).sum() for i in range(N - horizon)])
    moved = np.log(close[horizon:] / close[:-horizon])
    return (moved > 0).astype(float) if kind == "direction" else moved


def proper(kind: str, said: np.ndarray, true: np.ndarray) -> np.ndarray:
    if kind != "volatility":
        return (said - true) ** 2
    return true / said - np.log(true / said) - 1


CASES = [
    (market, kind, horizon)
    for market in MARKETS
    for kind in ("direction", "return", "volatility")
    for horizon in (1, 5)
]


@pytest.mark.parametrize(("market", "kind", "horizon"), CASES)
def test_each_bar_has_its_own_outcome_its_own_loss_and_the_baselines(
    market: str, kind: str, horizon: int
) -> None:
    prices, spec = bars(market), spec_of(kind, horizon)
    said = issued(prices, kind)
    known = join_outcomes(said, prices, spec, MARKETS[market])
    assert list(known.columns) == list(OUTCOMES.names)
    assert list(known["event_time"]) == list(prices["event_time"][: N - horizon])
    true = truth(prices, kind, horizon)
    np.testing.assert_allclose(known["target"], true, rtol=1e-9)
    assert list(known["known_at"]) == list(prices["available_at"][horizon:])
    for loss, against in (("loss", "prediction"), ("baseline_loss", "baseline")):
        expected = proper(kind, said[against].to_numpy()[: N - horizon], true)
        np.testing.assert_allclose(known[loss], expected, rtol=1e-6, atol=1e-12)
    assert not np.allclose(known["loss"], known["baseline_loss"])


@pytest.mark.parametrize("kind", ["return", "volatility"])
def test_an_interval_holds_between_both_of_its_bounds(kind: str) -> None:
    prices = bars("hourly")
    known = join_outcomes(issued(prices, kind), prices, spec_of(kind, 1), MARKETS["hourly"])
    below, above = known["target"] < known["lower"], known["target"] > known["upper"]
    assert below.any()
    assert above.any()
    assert list(known["inside_interval"]) == list(~(below | above))


def test_a_probability_has_no_interval_that_could_hold() -> None:
    prices = bars("daily")
    known = join_outcomes(issued(prices, "direction"), prices, spec_of("direction", 1),
                          MARKETS["daily"])  # fmt: skip
    assert known["inside_interval"].isna().all()


@settings(max_examples=20, deadline=None)
@given(
    revised=st.sets(st.integers(1, N - 2), min_size=1, max_size=8),
    late=st.integers(0, 20),
    kind=st.sampled_from(["direction", "return", "volatility"]),
)
def test_live_scores_count_each_live_bar_once_with_the_truth_as_it_is_known_now(
    revised: set[int], late: int, kind: str
) -> None:
    prices, spec, market = bars("hourly"), spec_of(kind, 1), MARKETS["hourly"]
    said = issued(prices, kind, late)
    wrong = prices.index.isin(revised)
    revised_at = prices["available_at"].max() + pd.Timedelta(1, "h")
    known_later = prices["available_at"].where(~wrong, revised_at)
    now = prices.assign(close=prices["close"] * np.where(wrong, 1.02, 1), available_at=known_later)
    first = join_outcomes(said, prices, spec, market)
    again = join_outcomes(said, now, spec, market)
    stored = pd.concat([first, again]).drop_duplicates(list(OUTCOMES.key))
    shuffled = stored.sample(frac=1, random_state=1)
    scores: dict[str, Any] = live_scores(shuffled, spec).set_index("metric").to_dict("index")
    loss = next(iter(scores.values()))
    true = truth(now, kind, 1)[late:]
    value = proper(kind, said["prediction"].to_numpy()[late : N - 1], true).mean()
    base = proper(kind, said["baseline"].to_numpy()[late : N - 1], true).mean()
    assert loss["n"] == N - 1 - late
    assert loss["value"] == pytest.approx(value, rel=1e-6)
    assert loss["baseline_value"] == pytest.approx(base, rel=1e-6)
