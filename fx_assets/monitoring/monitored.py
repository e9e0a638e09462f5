"""The columns that are watched for drift, and how they are cut into reference and current rows."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar, Instants, calendar
from fx_assets.features import feature_set
from fx_assets.features.arrays import bars_from_columns
from fx_assets.features.base import Bars
from fx_assets.specs import ForecastSpec
from fx_assets.targets import TargetDefinition

PREDICTION = "prediction"
TARGET = "target"
LABEL_COLUMNS = (PREDICTION, TARGET)
_PROBE_BARS = 600


@lru_cache(maxsize=16)
def calendar_columns(name: str, key: str = "target") -> frozenset[str]:
    """The features that follow from the calendar alone: those that no price can change.

    They are known in advance, so a distance from their past says something about holidays only;
    computing them again is all the check that they need.
    """
    market = calendar(key)
    features = feature_set(name, market.bar)
    count = features.warm_up + _PROBE_BARS
    years = 2 + count // market.bars_a_year
    times = market.closes(date(2020, 1, 1), date(2020 + years, 1, 1))[:count]
    draws = np.random.default_rng(0)
    first, second = (
        features.compute(_artificial_bars(times, draws, market))[features.warm_up :]
        for _ in range(2)
    )
    same = (first == second).all(axis=0)
    return frozenset(c for c, fixed in zip(features.columns, same, strict=True) if fixed)


def _artificial_bars(times: Instants, draws: np.random.Generator, market: Calendar) -> Bars:
    low, open_, close, high = np.sort(draws.standard_normal((4, len(times))), axis=0) / 100
    level = np.cumsum(draws.standard_normal(len(times))) / 100
    prices = {"low": low, "open": open_, "close": close, "high": high}
    amounts = {name: draws.lognormal(size=len(times)) for name in ("volume", "market_cap")}
    columns = {name: np.exp(level + value) for name, value in prices.items()} | amounts
    return bars_from_columns({"event_time": times, **columns}, market)


def relative_prediction(predictions: pd.DataFrame, target: TargetDefinition) -> pd.Series:
    """What a prediction says beyond the baseline: their difference, for variances of logarithms.

    The baseline follows the mean of all labels and is never where it was; what is said against it
    has a level.
    """
    columns = (predictions[name].to_numpy(dtype=np.float64) for name in ("prediction", "baseline"))
    return pd.Series(target.beyond(*columns), index=predictions.index)


def monitored_frame(
    frame: pd.DataFrame, predictions: pd.DataFrame, spec: ForecastSpec, market: Calendar
) -> pd.DataFrame:
    """Features that prices can move, what the champion says beyond the baseline, and the target.

    Parameters
    ----------
    frame
        The forecast's labelled frame.
    predictions
        ``event_time``, ``prediction`` and ``baseline``: the champion's recipe walking forward, and
        its live predictions where there are any; may be empty.
    spec, market
        The forecast, and the calendar of its feed.

    Returns
    -------
    DataFrame
        ``event_time`` and float columns from the first row with all features on; the prediction and
        the target are NaN where there is none.
    """
    features = feature_set(spec.features, market.bar)
    fixed = calendar_columns(spec.features, market.key)
    names = [name for name in features.columns if name not in fixed]
    out = frame[["event_time", *names]].iloc[features.warm_up :].reset_index(drop=True)
    if len(predictions):
        said = predictions.drop_duplicates("event_time", keep="last")
        series = pd.Series(
            relative_prediction(said, spec.target.definition).to_numpy(),
            index=pd.DatetimeIndex(said["event_time"]),
        )
        out[PREDICTION] = series.reindex(pd.DatetimeIndex(out["event_time"])).to_numpy()
    else:
        out[PREDICTION] = np.nan
    out[TARGET] = frame["target"].iloc[features.warm_up :].to_numpy(dtype=np.float64)
    return out


def reference_and_current(
    monitored: pd.DataFrame, trained_through: datetime, window: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that the champion was trained on without the newest, and the newest ``window``.

    The current rows are never part of the reference, also when the champion was trained on them.
    Labels and predictions that are unknown in the newest rows leave NaN.
    """
    reference = monitored.iloc[: max(len(monitored) - window, 0)]
    reference = reference[reference["event_time"] <= pd.Timestamp(trained_through)]
    return reference.reset_index(drop=True), monitored.iloc[-window:].reset_index(drop=True)
