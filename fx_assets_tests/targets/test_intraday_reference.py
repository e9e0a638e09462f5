"""The reference of intraday variances: smoothing, or with a quarter the same hour's mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.calendars import calendar
from fx_assets.evaluation.compare import (
    compared,
    reference_among,
    reference_of,
    references,
    with_references,
)
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.significance import diebold_mariano
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.specs import ForecastSpec
from fx_assets.targets.volatility import SMOOTHED, Volatility, smoothing
from fx_assets.testing import worlds
from fx_assets_tests.evaluation.helpers import forecast

DAY = 24
PATTERN = 1 + 0.8 * np.sin(2 * np.pi * np.arange(DAY) / DAY)
"""How large the variance of an hour is beside the day's mean."""
CALLED = "exponential smoothing (0.94, a quarter the same hour's mean)"


def same_hour(squares: np.ndarray, horizon: int, bars_a_day: int) -> float:
    """The mean of the same hours, one bar to come after the other."""
    days = min(20, SMOOTHED // bars_a_day)
    total = 0.0
    for step in range(1, horizon + 1):
        first = -(-step // bars_a_day) * bars_a_day - step
        at = [len(squares) - 1 - first - k * bars_a_day for k in range(days)]
        total += float(np.mean(squares[at]))
    return total


@given(
    horizon=st.sampled_from([1, 5, 24, 30]),
    bars_a_day=st.sampled_from([2, 6, 24, 48]),
    seed=st.integers(0, 99),
)
def test_a_quarter_is_the_mean_of_the_same_hours(horizon: int, bars_a_day: int, seed: int) -> None:
    squares = np.random.default_rng(seed).standard_normal(SMOOTHED) ** 2
    decay = 0.94 if horizon == 1 else 0.97
    (plain, before), (weights, rest) = (smoothing(horizon, decay, m) for m in (1, bars_a_day))
    pattern = same_hour(squares, horizon, bars_a_day)
    assert weights @ squares == pytest.approx(0.75 * (plain @ squares) + 0.25 * pattern, rel=1e-12)
    assert rest == 0.75 * before
    assert weights.sum() + rest == pytest.approx(horizon), "a variance that stands still is said"


@pytest.mark.parametrize(("name", "bars"), [("24x5", 24), ("24x7", 24), ("target", 1)])
def test_a_day_has_as_many_bars_as_most_days_of_its_calendar(name: str, bars: int) -> None:
    frequency = "1d" if bars == 1 else "1h"
    assert calendar(f"{name}|{frequency}||0").bars_a_day == bars
    if bars > 1:
        lengths = {"4h": 6, "30min": 48, "15min": 96, "5min": 288}
        found = {length: calendar(f"{name}|{length}||0").bars_a_day for length in lengths}
        assert found == lengths


def test_days_and_bars_of_which_a_day_has_too_many_have_smoothing_alone() -> None:
    kind = Volatility()
    assert kind.intraday_references(1, 1) == kind.intraday_references(1, 96) == []
    (month,) = kind.intraday_references(20, 48)
    assert month.params == {"decay": 0.97, "bars_a_day": 48}
    (hour,) = kind.intraday_references(1, DAY)
    assert hour.called == CALLED


def hourly_bars(pattern: np.ndarray, n: int = 6000) -> pd.DataFrame:
    """Bars of coins by the hour, whose variance persists and follows the hours of a day."""
    market = calendar("24x7|1h||0")
    closes = market.closes(pd.Timestamp("2021-01-01").date(), pd.Timestamp("2022-01-01").date())[:n]
    times = pd.DatetimeIndex(closes).tz_localize("UTC").as_unit("us")
    rng = np.random.default_rng(4)
    level = np.exp(0.6 * np.sin(2 * np.pi * np.arange(n) / 900)) * pattern[times.hour]
    close = 100 * np.exp(np.cumsum(0.002 * np.sqrt(level) * rng.standard_normal(n)))
    bars = worlds.bars_from_closes(worlds.trading_days(n), close)
    return bars.assign(event_time=times, available_at=times, open=close, high=close, low=close)


def hourly_forecast(candidates: list[object]) -> ForecastSpec:
    cut = {"first_test": "2021-02-01", "min_train": 300, "refit_every": 1000}
    return forecast("volatility", candidates=candidates, walk_forward=cut, features="ohlc")


def judged(bars: pd.DataFrame) -> tuple[Evidence, Evidence]:
    """What smoothing alone, and what the reference said of the same hours."""
    spec, market = hourly_forecast(["ewma"]), calendar("24x7|1h||0")
    study = Study(spec, labelled_frame(bars, spec, market), bars_a_day=market.bars_a_day)
    rows = study.walk_forward(spec.candidates[0]).predictions
    alone = Evidence("ewma", spec.recipe_hash(spec.candidates[0]), rows)
    (_, plain), (_, hours) = references(spec, DAY)
    assert plain == spec.candidates[0]
    for candidate in (plain, hours):
        assert len(study.walk_forward(candidate).predictions) == len(rows)
    return alone, reference_of(study, alone)


def losses(evidence: Evidence) -> np.ndarray:
    rows = evidence.predictions
    return np.asarray(Volatility().loss(rows["target"], rows["prediction"]))


def test_smoothing_that_knows_no_hours_loses_where_days_have_a_pattern() -> None:
    alone, reference = judged(hourly_bars(PATTERN))
    assert reference.candidate == CALLED
    gain = 1 - losses(reference).mean() / losses(alone).mean()
    better = diebold_mariano(losses(alone), losses(reference), 1)
    assert gain > 0.01
    assert better.p_value < 1e-3
    spec = hourly_forecast(["ewma"])
    found = compared(alone, alone, reference, spec.target)
    assert found.claim(0.05, 1).word == "not demonstrated", "one line of a practitioner does more"
    assert found.claim(0.05, 1).reference.benchmark == CALLED


def test_smoothing_is_the_reference_where_no_hour_differs() -> None:
    alone, reference = judged(hourly_bars(np.ones(DAY)))
    assert reference.candidate == "exponential smoothing (0.94)"
    assert reference.recipe == alone.recipe
    spec = hourly_forecast(["ewma"])
    found = compared(alone, alone, reference, spec.target)
    assert found.claim(0.05, 1).word == "not demonstrated", "beside itself"


def test_a_candidate_that_is_declared_with_the_hours_of_a_day_is_the_reference_itself() -> None:
    same = {"family": "ewma", "name": "hours", "params": {"bars_a_day": DAY}}
    spec = hourly_forecast(["ewma", same])
    assert [each for _, each in references(spec, DAY)] == spec.candidates
    assert [each for _, each in references(spec, 1)] == spec.candidates[:1]
    assert with_references(spec, DAY) == spec.candidates
    names = [each.name for each in with_references(hourly_forecast(["log_har"]), DAY)]
    assert names == ["log_har", "ewma_reference", "ewma_reference_2"]


def test_a_reference_whose_rows_are_unknown_is_no_reason_to_claim() -> None:
    spec = hourly_forecast(["ewma"])
    rows = pd.DataFrame({"target": [1.0, 2.0], "prediction": [1.0, 1.0]})
    baseline = Evidence("expanding_mean", "b", rows)
    names = {"ewma"}
    rows_of = dict.fromkeys(names, rows)
    assert reference_among(spec, baseline, DAY, lambda one: rows_of.get(one.name)) is None
    told = reference_among(spec, baseline, 1, lambda one: rows_of.get(one.name))
    assert told is not None
    assert told.candidate == "exponential smoothing (0.94)"
    direction = forecast("direction")
    assert reference_among(direction, baseline, DAY, lambda _: None) is baseline
