"""A small lake that a server can start on: prices, published champions, one issued forecast.

Everything in it is made by the platform's own functions, on a simulated random walk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fx_assets import clock, models
from fx_assets.bundles.bundle import Bundle, ChampionFacts, Golden, point_to, store_bundle
from fx_assets.bundles.records import BaselineFacts, ScoredMetric, SkillFacts
from fx_assets.evaluation.decision import Decision, ledger_table
from fx_assets.evaluation.folds import feature_columns, labelled_rows
from fx_assets.evaluation.intervals import IntervalModel, fit_intervals
from fx_assets.features import feature_set, labelled_frame
from fx_assets.lake import Lake
from fx_assets.models.onnx_predict import OnnxModel, difference
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.issue import issue_days
from fx_assets.tables import DECISIONS, PREDICTIONS, PRICES, RAW_PRICES
from fx_assets.targets import target_definition
from fx_assets.testing.lakes.samples import decision as decision_of
from fx_assets.testing.worlds import bars_from_closes

FEED = FeedSpec.model_validate(
    {"name": "simulated_eurusd", "source": {"kind": "ecb", "quote": "USD"}}
)
FORECAST = "simulated_direction"
GOLDEN_ROWS = 8
BAR_COUNT = 1500


@dataclass
class ServedLake:
    """A lake in a folder, with one forecast of XGBoost that has ``versions`` champions.

    Parameters
    ----------
    folder
        Where it is made; ``root`` is the lake within.
    now
        When it is: the newest bar is the newest that is known then.
    trees, depth
        Size of each champion.
    versions
        How many bundles are stored; each has learned from another seed, so that each predicts
        another value. The first is the champion.
    skill
        What the champions are said to have shown.
    """

    folder: Path
    now: datetime = field(default_factory=clock.now)
    trees: int = 300
    depth: int = 4
    versions: int = 2
    skill: float = 0.012

    def __post_init__(self) -> None:
        self.root = self.folder / "lake"
        self.lake = Lake(str(self.root))
        self.bars = _walk(self.now)
        self.spec = ForecastSpec.model_validate(
            {
                "name": FORECAST,
                "feed": FEED.name,
                "target": {"kind": "direction"},
                "candidates": [
                    {
                        "family": "xgboost",
                        "params": {
                            "n_estimators": self.trees,
                            "max_depth": self.depth,
                            "min_child_weight": 5.0,
                        },
                    }
                ],
                "live_from": self.day.isoformat(),
            }
        )
        market = FEED.market
        self.frame = labelled_frame(self.bars, self.spec, market)
        self.columns = feature_columns(self.frame)
        inputs = models.model_inputs(self.frame, models.model_class("xgboost"), self.columns)
        self.newest = inputs[-1]
        """(p,) inputs of the newest bar."""
        self._known = labelled_rows(self.frame)
        self._inputs = inputs[self._known]
        self._publish()

    @property
    def environment(self) -> dict[str, str]:
        """What a server needs to know to serve this lake."""
        return {"FX_ASSETS_HOME": str(self.folder), "FX_ASSETS_LAKE": str(self.root)}

    @property
    def day(self) -> date:
        """The day of the newest bar."""
        return FEED.market.day_of(self.bars["event_time"].iloc[-1].to_pydatetime())

    def features(self) -> dict[str, float]:
        """The newest bar's features by name."""
        return dict(zip(self.columns, self.newest.tolist(), strict=True))

    def newest_bars(self, count: int) -> list[dict[str, object]]:
        """The newest bars as the API takes them."""
        days = FEED.market.day_index(pd.DatetimeIndex(self.bars["event_time"]))
        rows = zip(days[-count:], self.bars["close"].iloc[-count:], strict=True)
        return [{"day": f"{day:%Y-%m-%d}", "close": float(close)} for day, close in rows]

    def promote(self, version: int) -> None:
        """Move the pointer."""
        point_to(self.lake, FORECAST, version)

    def _publish(self) -> None:
        self.lake.append(RAW_PRICES.name, FEED.name, self.bars)
        self.lake.append(PRICES.name, FEED.name, self.bars)
        self.models: dict[int, models.Model[Any]] = {}
        for version in range(1, self.versions + 1):
            bundle = self._bundle(version)
            store_bundle(self.lake, bundle)
        self.promote(1)
        decision = self._decision(1)
        self.lake.append(DECISIONS.name, FORECAST, ledger_table([decision]))
        own = SeriesTables(self.lake, self.spec, FEED)
        issued = issue_days([self.day], own, self.now)
        self.lake.append(PREDICTIONS.name, FORECAST, issued.new_rows)

    def _bundle(self, version: int) -> Bundle:
        candidate, frame = self.spec.candidates[0], self.frame
        y = frame["target"].to_numpy()[self._known]
        model = models.build_model("xgboost", self.spec.target, candidate.params, seed=version)
        model.fit(self._inputs, y)
        self.models[version] = model
        onnx = model.to_onnx(feature_columns=self.columns)
        fitted, computed = model.predict(self._inputs), OnnxModel(onnx).predict(self._inputs)
        golden = self._inputs[-GOLDEN_ROWS:]
        features = {f.name: f for f in feature_set(self.spec.features).features}
        lowest, highest = self._inputs.min(axis=0), self._inputs.max(axis=0)
        decision = self._decision(version)
        facts = ChampionFacts(
            forecast=FORECAST,
            feed=FEED.name,
            calendar=FEED.calendar,
            instrument=FEED.instrument,
            target="direction",
            horizon=1,
            version=version,
            candidate=candidate.name,
            family=candidate.family,
            params=dict(candidate.params),
            recipe=self.spec.recipe_hash(candidate),
            seed=version,
            code_version=models.code_version(candidate.family),
            feature_set=self.spec.features,
            columns=self.columns,
            input_names=self.columns,
            units={n: f"{features[n].meaning} ({features[n].unit})" for n in self.columns},
            input_ranges={
                n: (float(a), float(b))
                for n, a, b in zip(self.columns, lowest, highest, strict=True)
            },
            target_unit=target_definition("direction").unit,
            baseline=BaselineFacts(family=self.spec.baseline.family),
            decision=decision,
            skill=self._skill(len(y)),
            intervals=self._intervals(computed),
            trained_through=frame["event_time"][self._known].max().to_pydatetime(),
            label_end=decision.label_end,
            data_as_of=decision.data_as_of,
            n_rows=len(y),
            train_row_hash="0" * 64,
            table_versions={f"{RAW_PRICES.name}/{FEED.name}": 0},
            mlflow_run_id="",
            parity=difference(target_definition("direction"), fitted, computed),
            tolerance=model.onnx_tolerance,
        )
        return Bundle(facts, onnx, Golden.of(golden, computed[-GOLDEN_ROWS:]))

    def _intervals(self, predictions: np.ndarray) -> IntervalModel:
        rows = self.frame.loc[self._known, ["event_time", "target"]]
        return fit_intervals(rows.assign(prediction=predictions), "direction", self.spec.coverage)

    def _skill(self, rows: int) -> SkillFacts:
        loss = ScoredMetric(
            metric="brier",
            value=0.25 * (1 - self.skill),
            lower=0.24,
            upper=0.26,
            n=rows,
            baseline_value=0.25,
        )
        skill = ScoredMetric(
            metric="skill",
            value=self.skill,
            lower=self.skill - 0.01,
            upper=self.skill + 0.01,
            n=rows,
            baseline_value=0.0,
        )
        return SkillFacts(
            demonstrated=self.skill > 0,
            loss=loss,
            skill=skill,
            interval_coverage=self.spec.coverage,
        )

    def _decision(self, version: int) -> Decision:
        candidate = self.spec.candidates[0]
        recipe = self.spec.recipe_hash(candidate)
        known = self.frame[self._known]
        label_end = known["label_available_at"].max().to_pydatetime()
        decided = label_end + timedelta(minutes=1)
        return decision_of(version).model_copy(
            update={
                "forecast": FORECAST,
                "sequence": version - 1,
                "decided_at": decided,
                "data_as_of": label_end,
                "verdict": "bootstrap" if version == 1 else "refresh",
                "champion": candidate.name,
                "recipe": recipe,
                "champion_before": None if version == 1 else candidate.name,
                "recipe_before": None if version == 1 else recipe,
                "label_end": label_end,
                "published_at": decided,
                "looked": version == 1,
                "recipes_seen": (recipe,) if self.skill > 0 else (),
                "rows": len(known),
                "first_row": known["event_time"].min().to_pydatetime(),
                "last_row": known["event_time"].max().to_pydatetime(),
                "sentence": "A simulated decision.",
            }
        )


def _walk(now: datetime) -> pd.DataFrame:
    market = FEED.market
    today = market.day_of(now)
    days = market.open_days(today - timedelta(days=BAR_COUNT * 3 // 2), today)
    days = [day for day in days if market.available_at(day) <= now][-BAR_COUNT:]
    steps = 0.005 * np.random.default_rng(1).standard_normal(len(days))
    return bars_from_closes(days, 1.1 * np.exp(np.cumsum(steps)))
