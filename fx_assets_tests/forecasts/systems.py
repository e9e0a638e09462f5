"""The declared forecasts with less history, and the vendors that serve bars for their feeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.losses import loss_for
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import PACKAGED_DECLARATIONS, Settings
from fx_assets.sources import Wanted, fetch_bars
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.files import load_declared
from fx_assets.testing.vendors.exchanges import Exchange
from fx_assets_tests.platform import Platform, failed_checks, failures

DECLARED = load_declared(PACKAGED_DECLARATIONS)
KRAKEN = 1.0005
"""Kraken's prices relative to Coinbase's."""
LEAST_ROWS = 1000
"""The fewest rows on which the promotion rule lets skill be shown."""


def declared_feed(name: str, start: str) -> FeedSpec:
    """A packaged feed that begins later."""
    declared = DECLARED.feeds[name]
    return FeedSpec.model_validate(declared.model_dump() | {"start": start})


def declared_forecast(
    name: str,
    live_from: str,
    *,
    min_train: int,
    refit_every: int,
    trials: int | None = None,
    params: Mapping[str, Mapping[str, Any]] = {},
) -> ForecastSpec:
    """A packaged forecast with few folds; ``params`` are added to those of a family."""
    declared = DECLARED.forecasts[name]
    candidates = []
    for candidate in declared.candidates:
        values = candidate.model_dump()
        values["params"] |= params.get(candidate.family, {})
        if candidate.tune is not None and trials is not None:
            values["tune"] |= {"trials": trials}
        candidates.append(values)
    folds = {"first_test": "2000-01-01", "min_train": min_train, "refit_every": refit_every}
    rows = {"min_rows": LEAST_ROWS, "demotion_rows": 250, "refresh_rows": 100}
    return ForecastSpec.model_validate(
        declared.model_dump()
        | {
            "candidates": candidates,
            "walk_forward": declared.walk_forward.model_dump() | folds,
            "promotion": declared.promotion.model_dump() | rows,
            "live_from": live_from,
        }
    )


def simulated(like: FeedSpec, last: datetime, *, seed: int, **source: Any) -> pd.DataFrame:
    """Bars of a price without any predictable mean, on a feed's calendar."""
    values = like.model_dump() | {
        "source": {"kind": "simulated", "seed": seed, "instrument": like.instrument, **source},
        "failover": [],
    }
    spec = FeedSpec.model_validate(values)
    first = datetime.combine(like.start, datetime.min.time(), UTC)
    return fetch_bars(spec, Settings(), last, None, Wanted(((first, last),))).bars


@dataclass
class Traded(Exchange):
    """Exchanges at which these bars were traded, and none that is not among them.

    Prices at Kraken are a little higher.
    """

    bars: Mapping[int, tuple[float, float, float, float, float]] = field(default_factory=dict)
    """Open, high, low, close and volume by the second at which a bar opens."""
    factor: float = 1.0

    @classmethod
    def of(cls, frame: pd.DataFrame, now: datetime, step: int = 3600) -> Traded:
        names = ["open", "high", "low", "close", "volume"]
        opened = frame["event_time"].astype("datetime64[s, UTC]").astype("int64") - step
        cells = frame[names].round(2).itertuples(index=False, name=None)
        return cls(now=int(now.timestamp()), bars=dict(zip(opened, cells, strict=True)))

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.factor = KRAKEN if request.path.startswith("/0/public/") else 1.0
        super().answer(request)

    def opens(self, first: float, last: float, step: int) -> list[int]:
        return [t for t in super().opens(first, last, step) if t in self.bars]

    def candle(self, opened: int, step: int) -> tuple[float, float, float, float, float]:
        *prices, volume = self.bars[opened]
        first, high, low, close = (price * self.factor for price in prices)
        if opened + step > self.now:
            close, high = close * 1.05, max(high, close * 1.05)
        return first, high, low, close, volume


@contextmanager
def environment(platform: Platform, values: Mapping[str, str]) -> Iterator[None]:
    """Other settings for a while."""
    with platform.monkeypatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


def must(*results: Any) -> Any:
    """Runs that succeeded; the last of them."""
    for result in results:
        assert result.success, failures(result)
    return results[-1]


def last_decision(platform: Platform, forecast: str) -> Decision:
    spec = next(one for one in platform.forecasts if one.name == forecast)
    feed = next(one for one in platform.feeds if one.name == spec.feed)
    return SeriesTables(platform.lake, spec, feed).ledger()[-1]


def backtest(platform: Platform, forecast: str, candidate: str) -> pd.DataFrame:
    rows = platform.lake.read("backtest", forecast)
    return rows[rows["candidate"] == candidate].sort_values("event_time", ignore_index=True)


def live(platform: Platform, spec: ForecastSpec, first: date, last: date | None = None) -> Any:
    """A run that predicts the days from ``first`` to ``last``, and scores what has come true."""
    return must(platform.predict(first, last, forecast=spec.name))


def row_of(platform: Platform, spec: ForecastSpec, event_time: datetime) -> pd.Series:
    """The issued prediction of a bar."""
    rows = platform.lake.read("predictions", spec.name)
    (row,) = (found for _, found in rows[rows["event_time"] == event_time].iterrows())
    return row


def assert_scored(platform: Platform, spec: ForecastSpec, event_time: datetime) -> None:
    """The outcome of a bar's prediction is that of the prices, and its loss belongs to it."""
    issued = row_of(platform, spec, event_time)
    outcomes = platform.lake.read("outcomes", spec.name)
    outcome = outcomes[outcomes["event_time"] == event_time].iloc[-1]
    close = platform.lake.prices(spec.feed).set_index("event_time")["close"]
    log_return = np.log(close[issued["target_time"]]) - np.log(close[event_time])
    truth = {
        "direction": float(log_return > 0),
        "return": log_return,
        "volatility": log_return**2,
    }[spec.target.kind]
    assert outcome["target"] == pytest.approx(truth, rel=1e-9)
    assert outcome["mode"] == "live"
    loss = loss_for(spec.target.kind)
    assert outcome["loss"] == pytest.approx(
        float(loss(np.array([truth]), np.array([issued["prediction"]]))[0])
    )


def assert_honest(platform: Platform, spec: ForecastSpec) -> Decision:
    """Nobody sees the future, and the champion is the baseline or has shown skill by the rule.

    The world has no predictable mean: hits are those of a coin that knows the share of ups.
    """
    candidates = spec.all_candidates
    for candidate in candidates:
        rows = backtest(platform, spec.name, candidate.name)
        assert len(rows) >= LEAST_ROWS
        assert (rows["label_available_at"] > rows["event_time"]).all()
        if spec.target.kind == "volatility":
            continue
        centre = 0.5 if spec.target.kind == "direction" else 0.0
        said = rows[rows["prediction"] != centre]
        if said.empty:
            continue
        hits = int(((said["prediction"] > centre) == (said["target"] > centre)).sum())
        share = float((rows["target"] > centre).mean())
        luck = binomtest(hits, len(said), max(share, 1 - share), "greater")
        assert luck.pvalue > 0.001, f"{candidate.name}: {hits} hits of {len(said)}"
        loss = loss_for(spec.target.kind)
        skill = 1 - (
            loss(rows["target"], rows["prediction"]).mean()
            / loss(rows["target"], rows["baseline"]).mean()
        )
        assert skill < 0.02, f"{candidate.name}: skill {skill:+.3f} in a world without any"
    decision = last_decision(platform, spec.name)
    assert decision.rows >= LEAST_ROWS
    assert decision.claim is not None
    assert decision.champion == spec.baseline.name or decision.predicts
    if decision.skill_demonstrated:
        assert all(each.lower is not None and each.lower > 0 for each in decision.claim.benchmarks)
    assert len(decision.statistics) == len(candidates)
    return decision


def assert_reproduced(platform: Platform, spec: ForecastSpec, day: date) -> None:
    """Asking for a day again adds no row, and every row comes out as it was issued."""
    before = platform.lake.read("predictions", spec.name)
    result = live(platform, spec, day)
    assert "reproduced" not in failed_checks(result)
    assert re.match(r"[1-9]\d* rows? made again, all the same", said_by(result, "reproduced"))
    after = platform.lake.read("predictions", spec.name)
    pd.testing.assert_frame_equal(before, after)


def said_by(result: Any, check: str) -> str:
    """The sentence of a check."""
    (found,) = (e for e in result.get_asset_check_evaluations() if e.check_name == check)
    return str(found.description)
