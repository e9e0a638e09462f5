"""Labelled frames and specs for the tests of the evaluation, and its provenance assertion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.evaluation.folds import Fold
from fx_assets.specs import ForecastSpec


def forecast(kind: str = "direction", horizon: int = 1, **settings: Any) -> ForecastSpec:
    """A forecast whose first test row is wherever ``min_train`` allows, not calibrated."""
    family = {"direction": "logistic_regression", "return": "ridge", "volatility": "ewma"}[kind]
    cut = {"first_test": "1990-01-01", "min_train": 60, "refit_every": 40}
    return ForecastSpec.model_validate(
        {
            "name": "test_forecast",
            "feed": "test_feed",
            "target": {"kind": kind, "horizon": horizon},
            "candidates": settings.pop("candidates", [family]),
            "walk_forward": {**cut, **settings.pop("walk_forward", {})},
            "calibrate": False,
            **settings,
        }
    )


def labelled_frame(
    n: int, horizon: int = 1, warm_up: int = 5, signal: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """A labelled frame of n business days with two features, for the direction.

    The first feature predicts the sign of the next return with strength ``signal``. The first rows
    do not depend on how many follow.
    """
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((n + horizon, 3))
    log_return = 0.006 * draws[:, 0]
    feature = np.full((n, 2), np.nan)
    feature[:, 0] = draws[:n, 1] + signal * np.sign(draws[1 : n + 1, 0])
    feature[:, 1] = draws[:n, 2]
    feature[:warm_up] = np.nan
    moves = np.concatenate([[0.0], np.cumsum(log_return)])
    ahead = moves[1 + horizon : 1 + horizon + n] - moves[1 : 1 + n]
    target = (ahead > 0).astype(np.float64)
    target[n - horizon :] = np.nan
    times = pd.bdate_range("2001-01-01 14:00", periods=n + horizon, tz="UTC").as_unit("us")
    available = times + pd.Timedelta(hours=2)
    known = np.arange(n) - horizon
    mean = np.full(n, np.nan)
    last = np.full(n, np.nan)
    some = known >= 0
    mean[some] = np.cumsum(np.nan_to_num(target))[known[some]] / (known[some] + 1)
    last[some] = target[known[some]]
    return pd.DataFrame(
        {
            "event_time": times[:n],
            "available_at": available[:n],
            "close": np.exp(moves[1 : n + 1]),
            "log_return": log_return[:n],
            "x": feature[:, 0],
            "z": feature[:, 1],
            "target": target,
            "target_time": times[horizon:],
            "label_available_at": pd.Series(available[horizon:]).where(~np.isnan(target)),
            "baseline_mean": mean,
            "last_target": last,
        }
    )


def assert_no_fold_saw_its_test(frame: pd.DataFrame, cut: Sequence[Fold], purge: int) -> None:
    """Every training label was known before any test row was, and the purge was kept."""
    for fold in cut:
        known = frame["label_available_at"].iloc[fold.train]
        assert known.notna().all()
        assert known.max() <= frame["available_at"].iloc[fold.test].min()
        assert fold.test.min() - fold.train.max() > purge
        assert frame["target"].iloc[np.concatenate([fold.train, fold.test])].notna().all()
