"""A lake of hourly forecasts, a return and a variance, with outcomes that differ each hour.

Three hours were predicted late, one truth was revised, and parts of the backtest were computed
twice. Nothing is trained: the champions are linear.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.bundles.bundle import Bundle, Golden, point_to, store_bundle
from fx_assets.bundles.records import BaselineFacts
from fx_assets.evaluation.decision import ledger_table
from fx_assets.evaluation.distribution import empirical, parametric
from fx_assets.evaluation.intervals import IntervalModel
from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.evaluation.spread import GarchSpread
from fx_assets.evaluation.stated import Calibration, DistributionModel
from fx_assets.features import labelled_frame
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.series import series_of
from fx_assets.stages.issue import issue_days
from fx_assets.tables import (
    BACKTEST,
    DECISIONS,
    FEATURES,
    OUTCOMES,
    PREDICTIONS,
    PRICES,
    QUANTILES,
    RAW_PRICES,
)
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.samples import decision as decision_of
from fx_assets.testing.lakes.samples import linear_graph

FEED = FeedSpec.model_validate(
    {
        "name": "btcusd",
        "source": {"kind": "ccxt", "exchange": "kraken", "symbol": "BTC/USD"},
        "calendar": "24x7",
        "frequency": "1h",
    }
)
NOW = datetime(2026, 10, 30, 18, 0, 30, tzinfo=UTC)
LAST = pd.Timestamp("2026-10-30T18:00Z")
FIRST = pd.Timestamp("2026-10-29T01:00Z")
"""The first bar that was predicted from."""
BARS, LATE, REVISED = 900, 3, pd.Timestamp("2026-10-30T06:00Z")
BIAS = {"return": 2e-4, "volatility": 3e-5}
BASELINE = {"return": "zero", "volatility": "expanding_mean"}
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MEASURED = Calibration(
    n=3000, histogram=(0.05,) * 20, distance=0.01, p_value=0.4, below=((0.05, 0.06), (0.95, 0.94))
)
"""How the distributions of the champions are said to have been calibrated."""


def distribution(kind: str) -> DistributionModel:
    """Student's t of GARCH for the return, exponential ratios for the variance."""
    if kind == "return":
        garch = GarchSpread(offset=4e-6, weight=0.05, decay=0.9, fill=3.6e-5, dof=6.0)
        shape = parametric(LEVELS, garch.dof)
        return DistributionModel(
            family="garch_t", quantiles=LEVELS, shape=shape, garch=garch, n=3000, measured=MEASURED
        )
    shares = (np.arange(3000) + 0.5) / 3000
    shape = empirical(np.log(-np.log1p(-shares)), LEVELS)
    return DistributionModel(
        family="conformal", quantiles=LEVELS, shape=shape, multiplicative=True, n=3000,
        measured=MEASURED,
    )  # fmt: skip


def spec(kind: str) -> ForecastSpec:
    return ForecastSpec.model_validate(
        {
            "name": f"hourly_{kind}",
            "feed": FEED.name,
            "target": {"kind": kind},
            "features": "ohlc",
            "candidates": ["xgboost"],
            "live_from": "2026-10-29",
        }
    )


SPECS = {kind: spec(kind) for kind in BIAS}


def bars() -> pd.DataFrame:
    """The bars as they were known first; each hour moves by another amount."""
    times = pd.date_range(end=LAST, periods=BARS, freq="h").as_unit("us")
    close = 60_000 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.006, BARS)))
    known = times + pd.Timedelta(0)
    return pd.DataFrame(
        {
            "event_time": times,
            "available_at": known,
            "open": close.round(2),
            "high": (close * 1.004).round(2),
            "low": (close * 0.996).round(2),
            "close": close.round(2),
            **dict.fromkeys(("volume", "market_cap"), np.nan),
            "source": "kraken",
            "ingested_at": known,
            "payload": "0" * 64,
        }
    )


def revised(frame: pd.DataFrame) -> pd.DataFrame:
    """The bars as they are known now: one close was corrected hours later."""
    wrong = (frame["event_time"] == REVISED).to_numpy()
    late = frame["available_at"].where(~wrong, REVISED + pd.Timedelta(5, "h"))
    return frame.assign(close=frame["close"] * np.where(wrong, 1.01, 1.0), available_at=late)


def truth(kind: str) -> pd.Series:
    """What happened after each bar, as it is known now."""
    frame = revised(bars())
    returns = np.log(frame["close"]).diff().shift(-1)
    values = returns if kind == "return" else returns**2
    return pd.Series(values.to_numpy(), index=pd.DatetimeIndex(frame["event_time"])).dropna()


def bundle(kind: str) -> Bundle:
    facts = small_lake.bundle(1).facts.model_copy(
        update={
            "forecast": SPECS[kind].name,
            "feed": FEED.name,
            "calendar": FEED.market.key,
            "instrument": FEED.instrument,
            "series": series_of(SPECS[kind], FEED).id,
            "target": kind,
            "feature_set": "ohlc",
            "columns": ("return_1",),
            "input_names": ("return_1",),
            "input_ranges": {"return_1": (-0.1, 0.1)},
            "target_unit": "log return" if kind == "return" else "variance",
            "baseline": BaselineFacts(family=BASELINE[kind]),
            "intervals": IntervalModel.model_validate(
                {
                    "kind": kind,
                    "coverage": 0.9,
                    "n": 3000,
                    "lower": [-1.0] if kind == "return" else [0.2],
                    "upper": [0.6] if kind == "return" else [2.0],
                }
            ),
            "distribution": distribution(kind),
            "trained_through": FIRST.to_pydatetime() - timedelta(hours=3),
            "label_end": FIRST.to_pydatetime() - timedelta(hours=2),
            "data_as_of": FIRST.to_pydatetime() - timedelta(hours=2),
        }
    )
    weights, rows = [0.0], np.array([[0.001], [-0.002]])
    golden = Golden.of(rows, np.full(2, BIAS[kind]))
    return Bundle(facts, linear_graph(weights, BIAS[kind]), golden)


def make(root: Path) -> Lake:
    lake = Lake(str(root))
    first, now = bars(), revised(bars())
    lake.append(RAW_PRICES.name, FEED.name, first)
    lake.append(RAW_PRICES.name, FEED.name, now[now["event_time"] == REVISED])
    lake.append(PRICES.name, FEED.name, now)
    for kind, forecast in SPECS.items():
        _fill(lake, kind, forecast, first, now)
    return lake


def _fill(
    lake: Lake, kind: str, forecast: ForecastSpec, first: pd.DataFrame, now: pd.DataFrame
) -> None:
    own = SeriesTables(lake, forecast, FEED)
    own.remember(NOW)
    frame = labelled_frame(now, forecast, FEED.market)
    lake.replace(FEATURES.name, own.features_name, frame)
    store_bundle(lake, bundle(kind))
    point_to(lake, forecast.name, 1)
    decided = FIRST.to_pydatetime() - timedelta(hours=1)
    facts = bundle(kind).facts
    decision = decision_of(1).model_copy(
        update={
            "forecast": forecast.name,
            "series": own.series.id,
            "decided_at": decided,
            "published_at": decided,
            "data_as_of": facts.data_as_of,
            "label_end": facts.label_end,
        }
    )
    own.insert(DECISIONS, ledger_table([decision]))
    days = [date(2026, 10, 29), date(2026, 10, 30)]
    issued = issue_days(days, SeriesTables(lake, forecast, FEED), NOW).new_rows
    issued = issued[issued["event_time"] >= FIRST].sort_values("event_time", ignore_index=True)
    late = issued.index < LATE
    issued["mode"] = np.where(late, "late", "live")
    delays = pd.to_timedelta(np.where(late, 5, 0), unit="h") + pd.Timedelta(seconds=20)
    issued["issued_at"] = (issued["decision_time"] + delays).dt.as_unit("us")
    own.insert(PREDICTIONS, issued)
    for known in (first, now):
        own.insert(OUTCOMES, join_outcomes(issued, known, forecast, FEED.market))
    own.insert(BACKTEST, _backtest(frame, -1.0, "2026-10-01"))
    newer = _backtest(frame, 1.0, "2026-10-28").iloc[200:]
    own.insert(BACKTEST, newer)
    own.insert(QUANTILES, _quantiles(newer))


def _quantiles(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the newest hundred walk-forward rows: each level of what was said."""
    told = rows[["recipe", "candidate", "event_time", "prediction", "made_at"]].iloc[-100:]
    parts = [told.assign(level=level, value=told["prediction"] + level - 0.5) for level in LEVELS]
    return pd.concat(parts, ignore_index=True).drop(columns="prediction")


def _backtest(frame: pd.DataFrame, sign: float, made_at: str) -> pd.DataFrame:
    rows = frame[frame["target"].notna() & frame["baseline_mean"].notna()].iloc[-500:-60]
    said = rows["target"] * (0.5 if sign > 0 else 0.9)
    return pd.DataFrame(
        {
            "recipe": small_lake.bundle(1).facts.recipe,
            "family": "xgboost",
            "candidate": "linear",
            "fold": 0,
            "event_time": rows["event_time"],
            "target_time": rows["target_time"],
            "prediction": said,
            "target": rows["target"],
            "baseline": rows["baseline_mean"].abs() + 1e-9,
            "fold_key": f"fit {sign}",
            "row_key": rows["event_time"].astype(str),
            "label_available_at": rows["label_available_at"],
            "made_at": pd.Timestamp(made_at, tz="UTC").as_unit("us"),
        }
    ).reset_index(drop=True)
