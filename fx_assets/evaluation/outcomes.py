"""Issued predictions beside what happened."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar
from fx_assets.evaluation.metrics import MIN_ROWS, score
from fx_assets.evaluation.stated import issued_scores
from fx_assets.features.labels import add_labels
from fx_assets.specs import ForecastSpec
from fx_assets.tables import OUTCOMES


def join_outcomes(
    predictions: pd.DataFrame, prices: pd.DataFrame, spec: ForecastSpec, calendar: Calendar
) -> pd.DataFrame:
    """Every issued prediction whose outcome is known, with its loss and the baseline's.

    Parameters
    ----------
    predictions
        Rows of the ``predictions`` table; may be empty.
    prices
        Bars as known now.
    spec, calendar
        The forecast, and the calendar of its feed.

    Returns
    -------
    DataFrame
        The columns of the ``outcomes`` table, by event time. ``known_at`` is when the outcome was
        known (UTC): a revised truth gives a row with another ``target`` and a later ``known_at``. A
        probability has no outcome to cover, so ``inside_interval`` is null for a direction.
    """
    if predictions.empty:
        return pd.DataFrame(columns=list(OUTCOMES.names)).astype(OUTCOMES.dtypes)
    bars = prices[["event_time", "available_at", "close"]].copy()
    bars["log_return"] = np.log(bars["close"]).diff()
    labels = add_labels(bars, spec.target, calendar)
    truth = labels[labels["target"].notna()].rename(columns={"label_available_at": "known_at"})
    issued = predictions.drop(columns=["target", "known_at"], errors="ignore")
    known = issued.merge(truth[["event_time", "target", "known_at"]], on="event_time")
    loss, intervals = spec.target.definition.loss, spec.target.definition.interval
    known["loss"] = loss(known["target"], known["prediction"])
    known["baseline_loss"] = loss(known["target"], known["baseline"])
    inside = (known["lower"] <= known["target"]) & (known["target"] <= known["upper"])
    known["inside_interval"] = inside if intervals.of_outcomes else None
    known = known.assign(**issued_scores(known))
    known = known.reindex(columns=list(OUTCOMES.names)).astype(OUTCOMES.dtypes)
    return known.sort_values("event_time", ignore_index=True)


def live_rows(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The predictions that were issued before their outcome, by event time.

    A truth that was revised counts once, as it is known now.
    """
    live = outcomes[outcomes["mode"] == "live"].sort_values(["event_time", "known_at"])
    return live.drop_duplicates("event_time", keep="last", ignore_index=True)


def live_scores(outcomes: pd.DataFrame, spec: ForecastSpec) -> pd.DataFrame:
    """Metrics of :func:`live_rows`, or an empty frame."""
    live = live_rows(outcomes)
    if len(live) < MIN_ROWS:
        return pd.DataFrame()
    return score(live, spec.target.kind, spec.target.horizon)
