"""A lake with judged champions, live and late forecasts and their outcomes, without Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from fx_assets import clock
from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.features import labelled_frame
from fx_assets.lake import Lake
from fx_assets.registry.records import CandidateRun, LoggedModel, RegisteredVersion
from fx_assets.registry.runs import ModelRegistry
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.candidate import try_candidate
from fx_assets.stages.champion import decide_champion
from fx_assets.stages.issue import issue_days
from fx_assets.stages.shadow import weigh_candidates
from fx_assets.tables import LIVE_EVIDENCE, SHADOW_PREDICTIONS
from fx_assets.testing import worlds

TARGET = worlds.TARGET
LATE, LIVE = 3, 32
BARS = worlds.garch_world(1700, 4)
NOW = BARS["available_at"].iloc[-1].to_pydatetime() + timedelta(minutes=5)
"""The newest bar has just become known."""
FEED = FeedSpec.model_validate(
    {
        "name": "eurusd",
        "description": "A simulated EUR/USD.",
        "source": {"kind": "ecb", "quote": "USD"},
        "start": worlds.START,
    }
)


DRIFT = pd.DataFrame(
    {
        "measured_at": pd.DatetimeIndex([NOW - timedelta(days=1), NOW, NOW]).as_unit("us"),
        "verdict": ["quiet", "drift", "drift"],
        "sentence": ["All is as it was.", *2 * ["One column has moved."]],
        "column": ["log_return", "log_return", "rsi_14"],
        "distance": [0.1, 0.2, 0.9],
        "threshold": 0.5,
        "shift": [0.1, 0.1, 0.3],
        "shift_threshold": 0.6,
        "drifted": [False, False, True],
    }
)
"""Two drift reports, a row a column; the newer one found something."""


class Unlogged:
    """Stands in for MLflow, of which nothing here is about."""

    def __init__(self) -> None:
        self.registered: list[RegisteredVersion] = []
        self.shown_uri = ""

    def log_candidate(self, _candidate: CandidateRun) -> LoggedModel:
        return LoggedModel(
            forecast="forecast", run_id="run", experiment_id="experiment", model_id="m"
        )

    def register(self, *_given: Any) -> int:
        version = len(self.registered) + 1
        self.registered.append(RegisteredVersion("forecast", version, "run", "", clock.now()))
        return version

    def versions(self, *_given: Any) -> list[RegisteredVersion]:
        return self.registered

    def set_champion(self, *_given: Any) -> None:
        pass

    def set_challenger(self, *_given: Any) -> None:
        pass


def spec(name: str, target: dict[str, Any], candidates: Sequence[str]) -> ForecastSpec:
    return ForecastSpec.model_validate(
        {
            "name": name,
            "description": "A forecast of the simulated rate.",
            "feed": FEED.name,
            "target": target,
            "candidates": list(candidates),
            "walk_forward": {"first_test": "2006-02-01", "min_train": 250},
            "promotion": {"min_rows": 1000, "demotion_rows": 250},
            "live_from": "2010-01-04",
        }
    )


ISSUED = [
    spec("direction", {"kind": "direction"}, ["persistence"]),
    spec("returns", {"kind": "return"}, ["historical_mean"]),
    spec("volatility", {"kind": "volatility", "horizon": 5}, ["garch"]),
]
SILENT = spec("silent", {"kind": "direction", "horizon": 5}, ["base_rate"])
"""It has a champion, and has issued nothing."""


def build_lake(home: Path) -> Lake:
    """Bars, and for each forecast: champion, decisions, backtest, scores, issued rows, outcomes."""
    lake = Lake.from_settings(Settings(home=home))
    judged_on = len(BARS) - LIVE - LATE
    bars = BARS.assign(ingested_at=BARS["available_at"])
    for table in ("raw_prices", "prices"):
        lake.replace(table, FEED.name, bars)
    for forecast in (*ISSUED, SILENT):
        _judge(lake, forecast, bars[:judged_on])
    for forecast in ISSUED:
        _issue(lake, forecast, bars, judged_on)
    lake.replace("drift", "volatility", DRIFT)
    return lake


def _judge(lake: Lake, forecast: ForecastSpec, bars: pd.DataFrame) -> None:
    registry = cast("ModelRegistry", Unlogged())
    frame = labelled_frame(bars, forecast, TARGET)
    own = SeriesTables(lake, forecast, FEED)
    lake.replace("features", own.features_name, frame)
    study = own.study(frame)
    for candidate in forecast.all_candidates:
        try_candidate(
            candidate,
            study,
            own,
            registry=registry,
            run_id="",
            parent_run_id=None,
            progress=lambda *_: None,
        )
    now = bars["available_at"].iloc[-1].to_pydatetime() + timedelta(minutes=1)
    decide_champion(study, own, registry=registry, run_id="", now=now)


def _issue(lake: Lake, forecast: ForecastSpec, bars: pd.DataFrame, first: int) -> None:
    """Issue each day once its bar is known; the first ones only a month later."""
    moments = pd.DatetimeIndex(bars["event_time"][first:])
    days = [TARGET.day_of(moment.to_pydatetime()) for moment in moments]
    issued = issue_days(days, SeriesTables(lake, forecast, FEED), NOW).new_rows
    late = issued.index < LATE
    issued["mode"] = np.where(late, "late", "live")
    delays = pd.to_timedelta(np.where(late, 30, 0), unit="D") + pd.Timedelta(minutes=1)
    issued["issued_at"] = issued["decision_time"] + delays
    lake.replace("predictions", forecast.name, issued)
    outcomes = join_outcomes(issued, bars, forecast, TARGET)
    lake.replace("outcomes", forecast.name, outcomes)
    own, live = SeriesTables(lake, forecast, FEED), issued[~late]
    for candidate in forecast.all_candidates:
        rows = live.assign(
            candidate=candidate.name,
            recipe=forecast.recipe_hash(candidate),
            label_end=live["champion_label_end"],
            mode="shadow",
            prediction=live["prediction"] * 1.01,
        )
        own.insert(SHADOW_PREDICTIONS, rows[[n for n in SHADOW_PREDICTIONS.names if n in rows]])
    own.insert(LIVE_EVIDENCE, weigh_candidates(own, outcomes))
