"""The columns that are watched for drift, and how they are cut into reference and current rows."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np
import pandas as pd

from fx_assets.features import feature_set
from fx_assets.features.base import Bars
from fx_assets.specs import ForecastSpec

PREDICTION = "prediction"
TARGET = "target"
LABEL_COLUMNS = (PREDICTION, TARGET)
_PROBE_BARS = 600


@lru_cache(maxsize=16)
def calendar_columns(name: str) -> frozenset[str]:
    """The features that follow from the calendar alone: those that no price can change.

    They are known in advance, so a distance from their past says something about holidays only;
    computing them again is all the check that they need.
    """
    features = feature_set(name)
    day = np.arange(_PROBE_BARS, dtype=np.int64)
    noise = np.random.default_rng(0).standard_normal((2, _PROBE_BARS)) / 100
    first, second = (
        features.compute(Bars(np.exp(np.cumsum(steps)), day, day + 1))[features.warm_up :]
        for steps in noise
    )
    same = (first == second).all(axis=0)
    return frozenset(c for c, fixed in zip(features.columns, same, strict=True) if fixed)


def relative_prediction(predictions: pd.DataFrame, kind: str) -> pd.Series:
    """What a prediction says beyond the baseline: their difference, for variances of logarithms.

    The baseline follows the mean of all labels and is never where it was; what is said against it
    has a level.
    """
    said = predictions["prediction"].astype("float64")
    baseline = predictions["baseline"].astype("float64")
    if kind == "volatility":
        return pd.Series(np.log(said / baseline))
    return said - baseline


def monitored_frame(
    frame: pd.DataFrame, predictions: pd.DataFrame, spec: ForecastSpec
) -> pd.DataFrame:
    """Features that prices can move, what the champion says beyond the baseline, and the target.

    Parameters
    ----------
    frame
        The forecast's labelled frame.
    predictions
        ``event_time``, ``prediction`` and ``baseline``: the champion's recipe walking forward, and
        its live predictions where there are any; may be empty.
    spec
        The forecast.

    Returns
    -------
    DataFrame
        ``event_time`` and float columns from the first row with all features on; the prediction and
        the target are NaN where there is none.
    """
    features = feature_set(spec.features)
    fixed = calendar_columns(spec.features)
    names = [name for name in features.columns if name not in fixed]
    out = frame[["event_time", *names]].iloc[features.warm_up :].reset_index(drop=True)
    if len(predictions):
        said = predictions.drop_duplicates("event_time", keep="last")
        series = pd.Series(
            relative_prediction(said, spec.target.kind).to_numpy(),
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
