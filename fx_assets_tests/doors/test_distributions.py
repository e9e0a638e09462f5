"""Boosted quantiles learn from features what is there to be learned, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fx_assets.evaluation.density import Judged
from fx_assets.evaluation.metrics import skill_interval
from fx_assets.testing import worlds
from fx_assets.testing.distributions import walk
from fx_assets_tests.evaluation.helpers import forecast

N = 3200
SETTINGS = {"walk_forward": {"min_train": 750, "refit_every": 500}, "quantiles": [0.05, 0.5, 0.95]}


def weekday_bars(seed: int, wild: float) -> pd.DataFrame:
    """Normal returns, which vary so much more from each Wednesday to the day after."""
    days = worlds.trading_days(N)
    spread = np.where([day.weekday() == 2 for day in days], wild, 1.0)
    returns = 0.005 * spread * np.random.default_rng(seed).standard_normal(N)
    return worlds.bars_from_closes(days, 1.2 * np.exp(np.cumsum(returns)))


def walked(bars: pd.DataFrame, kind: str, centre: str, family: str) -> Judged:
    about = forecast(kind, 1, **SETTINGS, distribution=family, candidates=[centre])
    return walk(about, bars).judged


@pytest.mark.slow
@pytest.mark.parametrize("family", ["quantile_xgboost", "quantile_lightgbm"])
@pytest.mark.parametrize(("kind", "centre"), [("return", "zero"), ("volatility", "expanding_mean")])
def test_boosted_quantiles_beat_conformal_ones_where_features_tell_and_nowhere_else(
    kind: str, centre: str, family: str
) -> None:
    gained = {}
    for wild in (1.0, 3.0):
        bars = weekday_bars(4, wild)
        ours, theirs = (walked(bars, kind, centre, name) for name in (family, "conformal"))
        assert ours.event_time.equals(theirs.event_time)
        gained[wild] = skill_interval(ours.pinball, theirs.pinball, 1)
    value, lower, _ = gained[3.0]
    assert value > lower > 0.02, "that Wednesdays are wild is no secret"
    value, lower, _ = gained[1.0]
    assert lower <= 0
    assert abs(value) < 0.01, "what knows nothing says what conformal quantiles say"
