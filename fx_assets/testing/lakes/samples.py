"""Bundles of champions small enough to read, and a folder of blobs in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.bundles.bundle import Bundle, ChampionFacts, Golden
from fx_assets.bundles.records import BaselineFacts, ScoredMetric, SkillFacts
from fx_assets.errors import LakeError
from fx_assets.evaluation.decision import Decision, Thresholds
from fx_assets.evaluation.intervals import IntervalModel
from fx_assets.registry.records import CandidateRun

COLUMNS = ["log_return", "rsi_14", "macd"]
METRICS = pd.DataFrame(
    [("brier", 0.2491, 0.2471, 0.2511, 5000, 0.25), ("skill", 0.0036, np.nan, 0.01, 5000, 0.0)],
    columns=["metric", "value", "lower", "upper", "n", "baseline_value"],
)


def linear_graph(weights: list[float], bias: float = 0.1) -> bytes:
    """ONNX of ``inputs @ weights + bias`` in double precision, as ``Model.to_onnx`` gives it."""
    from onnx import TensorProto, helper

    n = len(weights)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["inputs", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["prediction"]),
        ],
        "linear",
        [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, [None, n])],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None])],
        [
            helper.make_tensor("w", TensorProto.DOUBLE, [n], weights),
            helper.make_tensor("b", TensorProto.DOUBLE, [1], [bias]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"family": "linear", "columns": "[]"})
    return bytes(model.SerializeToString())


WEIGHTS = [1.0, 0.5, -0.25]
ROWS = np.array([[0.01, 0.4, 0.1], [-0.02, 0.6, -0.1], [0.0, 0.5, 0.0]])


def candidate(forecast: str = "eurusd_direction", **changes: Any) -> CandidateRun:
    """A candidate that is to be logged."""
    made = CandidateRun(
        facts=facts(forecast=forecast),
        params={"C": 0.1, "seed": 0},
        metrics=METRICS,
        onnx=linear_graph(WEIGHTS),
        example=ROWS,
        root="/lake",
        first_event=datetime(1999, 1, 4, 13, 15, tzinfo=UTC),
        figures={"reliability": "<svg>one</svg>", "loss": "<svg>two</svg>"},
        tags={"dagster_run_id": "d-1"},
    )
    return replace(made, **changes)


class Folder:
    """Blobs in a dictionary; ``before_write`` may raise to stop a writer there."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.stop_at: str | None = None

    def write_blob(self, path: str, data: bytes) -> str:
        if self.stop_at and path.endswith(self.stop_at):
            raise KeyboardInterrupt
        self.files[path] = data
        self.writes.append(path)
        return path

    def read_blob(self, path: str) -> bytes:
        if path not in self.files:
            raise LakeError(f"There is no file {path}.")
        return self.files[path]

    def blob_exists(self, path: str) -> bool:
        return path in self.files

    def list_blobs(self, prefix: str) -> list[str]:
        return sorted(path for path in self.files if path.startswith(prefix))


SHARES = IntervalModel(
    kind="direction", coverage=0.9, n=3000, lower=(0.3, 0.5), upper=(0.5, 0.7), knots=(0.4, 0.6)
)


def skill(**told: Any) -> SkillFacts:
    """What was measured: a Brier score of 0.249 and a skill of 1 %."""
    figures = {"lower": 0.0, "upper": 0.02, "n": 3000, "baseline_value": 0.25}
    return SkillFacts(
        loss=ScoredMetric(metric="brier", value=0.249, **figures),
        skill=ScoredMetric(metric="skill", value=0.01, **figures),
        **told,
    )


def decision(version: int) -> Decision:
    """The decision that put a bundle into production."""
    moment = datetime(2026, 10, 29, 15, tzinfo=UTC)
    return Decision(
        forecast="direction", sequence=0, decided_at=moment,
        data_as_of=datetime(2026, 10, 29, 14, tzinfo=UTC), verdict="replace", champion="linear",
        recipe="0123456789abcdef", champion_before=None, recipe_before=None,
        label_end=datetime(2026, 10, 29, 14, tzinfo=UTC), published_at=moment, version=version,
        challenger=None, looked=True, starts_cool_down=False,
        recipes_seen=("0123456789abcdef",), trials=1, rows=3000, first_row=moment,
        last_row=moment, row_hash="f", statistics=(), sentence="It was better.",
        thresholds=Thresholds(
            min_rows=2000, min_skill=0.001, clark_west_p=0.05, diebold_mariano_p=0.05,
            refresh_max_degradation=0.02, demotion_rows=500, refresh_rows=250,
        ),
    )  # fmt: skip


def facts(version: int = 1, **changes: Any) -> ChampionFacts:
    """What a bundle says of its champion."""
    day = datetime(2026, 1, 2, 13, 15, tzinfo=UTC)
    made = ChampionFacts(
        forecast="eurusd_direction",
        feed="ecb_eurusd",
        calendar="target",
        instrument="EURUSD",
        target="direction",
        horizon=1,
        version=version,
        mlflow_version=version,
        candidate="logistic_regression",
        family="logistic_regression",
        params={"C": 0.1},
        recipe="0123456789abcdef",
        code_version="fedcba",
        feature_set="fx_close",
        columns=tuple(COLUMNS),
        input_names=tuple(COLUMNS),
        target_unit="probability",
        baseline=BaselineFacts(family="base_rate"),
        decision=decision(version),
        skill=skill(demonstrated=False),
        intervals=SHARES,
        trained_through=day,
        label_end=day,
        data_as_of=day,
        n_rows=7000,
        train_row_hash="f" * 64,
        table_versions={"features/ecb_eurusd.fx_close": 3, "raw_prices/ecb_eurusd": 1},
        mlflow_run_id="abc",
        parity=1e-12,
        tolerance=1e-9,
    )
    return made.model_copy(update=changes)


def champion(version: int = 1, weights: list[float] = WEIGHTS, **changes: Any) -> Bundle:
    """A bundle of a linear graph."""
    golden = Golden.of(ROWS, ROWS @ np.array(weights) + 0.1)
    return Bundle(facts(version, **changes), linear_graph(weights), golden)
