"""A small lake with a linear champion, made without training anything."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.bundles.bundle import Bundle, Golden, point_to, store_bundle
from fx_assets.calendars import calendar
from fx_assets.evaluation.decision import ledger_table
from fx_assets.features import feature_set
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.series import series_of
from fx_assets.stages.issue import issue_days
from fx_assets.tables import DECISIONS, PREDICTIONS, PRICES, RAW_PRICES
from fx_assets.testing.lakes.samples import decision, facts, linear_graph, skill

TARGET = calendar("target")
FEED = FeedSpec.model_validate({"name": "eurusd", "source": {"kind": "ecb", "quote": "USD"}})
SPEC = ForecastSpec.model_validate(
    {
        "name": "direction",
        "feed": "eurusd",
        "target": {"kind": "direction"},
        "candidates": ["logistic_regression"],
        "live_from": "2024-01-01",
    }
)
COLUMNS = ("return_1", "rsi_14", "volatility_21")
LAST = date(2026, 10, 30)
BARS = 400
WEIGHTS = [1.0, 0.001, -2.0]


def bars() -> pd.DataFrame:
    """The newest ``BARS`` bars up to ``LAST``: a random walk."""
    days = TARGET.open_days(LAST - timedelta(days=2 * BARS), LAST)[-BARS:]
    steps = np.random.default_rng(7).normal(0, 0.005, BARS)
    known = [TARGET.available_at(day) for day in days]
    return pd.DataFrame(
        {
            "event_time": pd.DatetimeIndex([TARGET.event_time(day) for day in days]).as_unit("us"),
            "available_at": pd.DatetimeIndex(known).as_unit("us"),
            "open": np.nan,
            "high": np.nan,
            "low": np.nan,
            "close": (1.1 * np.exp(np.cumsum(steps))).round(4),
            "volume": np.nan,
            "source": "ecb",
            "ingested_at": pd.DatetimeIndex(known).as_unit("us"),
            "payload": "0" * 64,
        }
    )


def supplied(frame: pd.DataFrame) -> dict[str, list[dict[str, object]]]:
    """Bars as a request's body."""
    days = TARGET.day_index(pd.DatetimeIndex(frame["event_time"]))
    return {
        "bars": [
            {"day": day.date().isoformat(), "close": close}
            for day, close in zip(days, frame["close"], strict=True)
        ]
    }


def bundle(version: int, bias: float = 0.45) -> Bundle:
    """A linear champion whose bias, and so every answer, belongs to its version."""
    features = {f.name: f for f in feature_set("fx_close").features}
    rows = np.array([[0.001, 50.0, 0.005], [-0.002, 40.0, 0.006]])
    told = facts(
        version,
        mlflow_version=0,
        forecast="direction",
        feed="eurusd",
        series=series_of(SPEC, FEED).id,
        candidate="linear",
        params={},
        columns=COLUMNS,
        input_names=COLUMNS,
        units={name: features[name].unit for name in COLUMNS},
        input_ranges={"return_1": (-0.1, 0.1), "rsi_14": (0, 100), "volatility_21": (0, 0.1)},
        target_unit="probability that the close is above",
        skill=skill(demonstrated=True, interval_coverage=0.9),
        trained_through=datetime(2026, 10, 28, 13, 15, tzinfo=UTC),
        label_end=datetime(2026, 10, 29, 14, tzinfo=UTC),
        data_as_of=datetime(2026, 10, 29, 14, tzinfo=UTC),
        n_rows=3000,
        table_versions={},
        parity=0.0,
    )
    outputs = rows @ np.array(WEIGHTS) + bias
    return Bundle(told, linear_graph(WEIGHTS, bias), Golden.of(rows, outputs))


def own(lake: Lake) -> SeriesTables:
    """The tables of the forecast in a lake."""
    return SeriesTables(lake, SPEC, FEED)


def make(root: Path, *, issue: bool = True) -> Lake:
    """A lake with prices, one champion and the forecast of the newest day."""
    return make_in(Lake(str(root)), issue=issue)


def make_in(lake: Lake, *, issue: bool = True) -> Lake:
    """As :func:`make`, in a lake that may be anywhere."""
    frame = bars()
    lake.append(RAW_PRICES.name, "eurusd", frame)
    lake.append(PRICES.name, "eurusd", frame)
    store_bundle(lake, bundle(1))
    point_to(lake, "direction", 1)
    lake.append(DECISIONS.name, "direction", ledger_table([decision(1)]))
    if issue:
        now = datetime(2026, 10, 30, 16, tzinfo=UTC)
        issued = issue_days([LAST], own(lake), now)
        lake.append(PREDICTIONS.name, "direction", issued.new_rows)
    return lake
